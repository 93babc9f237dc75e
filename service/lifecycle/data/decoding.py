"""The text of a file in UTF-8: see `service.reading.decoding`."""

from service.reading.decoding import NAMES as NAMES
from service.reading.decoding import as_utf8 as as_utf8
from service.reading.decoding import encoding_of as encoding_of
from service.reading.decoding import kind_of_file as kind_of_file
