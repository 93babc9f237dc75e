"""How a CSV text is cut into cells: see `service.reading.dialect`."""

from service.reading.dialect import DELIMITERS as DELIMITERS
from service.reading.dialect import Layout as Layout
from service.reading.dialect import header_place as header_place
from service.reading.dialect import layout_of as layout_of
from service.reading.dialect import shown as shown
