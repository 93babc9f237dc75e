"""Removes leads from a CSV file, of which every other byte stays."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from typing import IO

from service.lifecycle.data.source import SourceError
from service.lifecycle.forgetting.search import Search, Tally
from service.model.spelling import fold
from service.reading.decoding import as_utf8, encoding_of, whole_lines
from service.reading.dialect import Layout, layout_of
from service.storage import Writable

HEAD = 1 << 20
"""Bytes that are looked at to tell how a file is written."""

LONGEST = 1 << 24
"""Characters of a CSV cell at most."""

_MARKED = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Encodings by the mark that a file begins with. Each keeps the mark as a character, so that it is written again."""


def without_csv_rows(origin: str, data: IO[bytes], out: Writable, search: Search) -> Tally:
    """Rows that stay keep their very bytes. A row that is not cut like the header is found by any of its cells."""
    head = data.read(HEAD)
    data.seek(0)
    if not head.strip() and len(head) < HEAD:
        return Tally()
    encoding = _encoding(origin, head, search)
    layout, at = _layout(origin, head.decode(encoding, errors="replace").removeprefix("\ufeff"), search)
    with io.TextIOWrapper(data, encoding, errors="surrogateescape", newline="") as lines:
        ascii_ids = all(lead.isascii() for lead in search.ids)
        rows = gone = 0
        for row, (record, cells) in enumerate(_records(origin, lines, layout.delimiter), 1):
            cut_alike = row > layout.row and len(cells) == len(layout.header)
            named = [cells[place] for place in at] if cut_alike else cells if row != layout.row else []
            if not ascii_ids and any("\udc80" <= mark <= "\udcff" for cell in named for mark in cell):
                raise SourceError(
                    f"{origin}, row {row}: the id is not UTF-8; convert the file, for instance: "
                    "iconv -f WINDOWS-1252 -t UTF-8 < in > out"
                )
            if search.holds(named):
                gone += 1
                if cut_alike and search.trials:
                    search.trials.learn(search.lead_of(named), dict(zip(layout.header, cells, strict=True)))
                record = "\ufeff" if record.startswith("\ufeff") else ""
            else:
                rows += row > layout.row and any(cell.strip() for cell in cells)
            out.write(record.encode(encoding, errors="surrogateescape"))
        return Tally(rows, gone)


def _encoding(origin: str, head: bytes, search: Search) -> str:
    """The encoding in which a file that begins so is read, and written again byte for byte, as training tells it.

    A text that is neither UTF-8 nor likely to be another is read as UTF-8 with marks for what it cannot hold.
    """
    if marked := next((name for bom, name in _MARKED if head.startswith(bom)), encoding_of(head)):
        return marked
    try:
        other = as_utf8(origin, whole_lines(head, HEAD))[1] != "UTF-8"
    except SourceError:
        other = search.encoding is not None
    return (search.encoding or "cp1252") if other else "utf-8"


def _layout(origin: str, text: str, search: Search) -> tuple[Layout, list[int]]:
    """Where the table begins and the places of its ids: with the delimiter that is given, else with the file's own.

    Scores are written with commas whatever the leads' delimiter is. Raises SourceError where no column holds ids.
    """
    wanted, refused = set(map(fold, search.id_columns)), search.no_column(origin)
    for delimiter in dict.fromkeys((search.delimiter, None)):
        try:
            layout = layout_of(origin, text, delimiter)
        except SourceError as error:  # ids alone are cut by no delimiter
            layout, refused = layout_of(origin, text, ","), error
        if at := [place for place, name in enumerate(layout.header) if fold(name) in wanted]:
            return layout, at
    raise refused


def _records(origin: str, lines: Iterable[str], delimiter: str) -> Iterator[tuple[str, list[str]]]:
    r"""Yield each CSV record as it is written, line end included, and its cells.

    A line ends with \n, \r\n or \r, as in Arrow. A byte that is not UTF-8 is a lone surrogate in its cell (PEP 383).
    """
    csv.field_size_limit(LONGEST)
    taken: list[str] = []
    row = 1

    def feed() -> Iterator[str]:
        for number, line in enumerate(lines):
            taken.append(line)
            yield line.removeprefix("\ufeff") if number == 0 else line
        if taken:  # the reader asks for one line more within a record only while a quote is open
            raise SourceError(f"{origin}, row {row}: a quote is opened and never closed; close or remove it")

    try:
        for cells in csv.reader(feed(), delimiter=delimiter):
            yield "".join(taken), cells
            taken.clear()
            row += 1
    except csv.Error as error:
        raise SourceError(f"{origin}, row {row}: {error}") from error
