"""How a CSV text is cut into cells, and where in it the table begins, told from its first rows."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from service.model.spelling import clean
from service.reading.error import SourceError

DELIMITERS = ",;\t|"
SNIFFED_ROWS = 50
_SEP_LINE = re.compile(r'"?sep=(.)"?(\r\n|\r|\n)', re.IGNORECASE)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")


class Layout(NamedTuple):
    """Where the table is: `header` is row `row` of the file, and the first lead begins at character `start`."""

    delimiter: str
    header: list[str]
    row: int
    start: int
    preamble: int


class _Record(NamedTuple):
    cells: list[str]
    end: int


def layout_of(path: str, text: str, delimiter: str | None) -> Layout:
    """The layout of the text, of which the beginning is enough. Raises SourceError."""
    start, before = 0, 0
    if separated := _SEP_LINE.match(text):
        start, before = separated.end(), 1
        delimiter = delimiter or separated[1]
    delimiter = delimiter or sniff(path, text[start:])
    records = list(_records(text[start:], delimiter))
    if not records:
        return Layout(delimiter, [], 1 + before, len(text), before)
    header = header_place([record.cells for record in records])
    names = [clean(name) for name in records[header].cells]
    return Layout(delimiter, names, before + header + 1, start + records[header].end, before + header)


def header_place(rows: Sequence[Sequence[Any]]) -> int:
    """Which of the first rows is the header: the first in which more than half of the columns have a name.

    What stands above it, such as a report's title, is left out. The first with a filled cell where no row is such.
    """
    width = _width(rows)
    filled = [sum(cell is not None and str(cell).strip() != "" for cell in row) for row in rows]
    first = next((place for place, count in enumerate(filled) if count), 0)
    return next((place for place, count in enumerate(filled) if 2 * count > width), first)


def sniff(path: str, text: str) -> str:
    """The delimiter that cuts the first rows most evenly into the most cells. Raises SourceError where none does."""

    def quality(delimiter: str) -> tuple[bool, float, int]:
        rows = [record.cells for record in _records(text, delimiter) if any(map(str.strip, record.cells))]
        rows = rows[header_place(rows) :]
        width = _width(rows)
        even = sum(len(row) == width for row in rows) / max(1, len(rows))
        return width > 1 and even == 1, round(even, 1) if width > 1 else 0.0, width

    qualities = {delimiter: quality(delimiter) for delimiter in DELIMITERS}
    best = max(qualities, key=lambda delimiter: qualities[delimiter])
    if qualities[best][2] < 2:
        raise SourceError(
            f"{path}, row 1: is one column; if the delimiter is none of , ; tab | name it: delimiter = ..."
        )
    return best


def shown(delimiter: str) -> str:
    """The delimiter as a word for people."""
    return "tab" if delimiter == "\t" else repr(delimiter)


def _width(rows: Sequence[Sequence[Any]]) -> int:
    """The commonest number of cells, of the larger where two are equally common."""
    counted = Counter(len(row) for row in rows)
    return max(counted, key=lambda width: (counted[width], width), default=0)


def _records(text: str, delimiter: str) -> Iterator[_Record]:
    """The first rows and where each ends, as far as their quotes make sense."""
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        for line in _LINE.finditer(text):
            if line[0]:
                end = line.end()
                yield line[0]

    reader = csv.reader(lines(), delimiter=delimiter)
    for _ in range(SNIFFED_ROWS):
        try:
            yield _Record(next(reader), end)
        except (StopIteration, csv.Error):  # the end, or a quote that never ends
            return
