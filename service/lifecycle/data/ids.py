"""A lead's id as text: see `service.reading.ids`."""

from service.reading.ids import WHOLE as WHOLE
from service.reading.ids import as_id as as_id
from service.reading.ids import join_key as join_key
from service.reading.ids import spellings as spellings
