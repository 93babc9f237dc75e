"""How one large file is divided into parts that are read, and started again, each by itself.

A Parquet file is divided between row groups, a CSV file in UTF-8 behind row ends. The division follows from the file
alone. What cannot be read from its middle stays whole: gzip, workbooks, other encodings, CSV with quotes that are not
regular, and whatever is small.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from pyarrow import parquet

LEAST = 32 << 20
"""Bytes, as stored, below which no file is divided."""

PART_BYTES = 64 << 20
"""Bytes of CSV in a part, at least. The last part holds more rows than can lie below a table, of 2 MiB each at most."""

PART_ROWS = 500_000
"""Rows of a Parquet file in a part, about; a part holds whole row groups."""

BLOCK = 8 << 20
"""Bytes that are searched for row ends at once."""

QUOTE, LF, CR = b'"\n\r'
Places = npt.NDArray[np.intp]


class FilePart(msgspec.Struct, frozen=True):
    """A part: row groups `start` to `stop`, or bytes of CSV, the latter left out.

    `above` is the number of the row above its first one, as a person counts. `last` is the part that ends the file.
    """

    start: int
    stop: int
    above: int
    last: bool


def row_group_parts(metadata: parquet.FileMetaData) -> list[FilePart]:
    """The parts of a Parquet file, one where it is not divided."""
    ends = np.cumsum([metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)], dtype=np.int64)
    wished = max(1, metadata.num_rows // PART_ROWS)
    targets = [metadata.num_rows * i // wished for i in range(1, wished)]
    cuts = sorted({0, *(int(np.searchsorted(ends, target)) + 1 for target in targets), len(ends)})
    above = [0, *ends.tolist()]
    return [FilePart(start, stop, above[start], stop == len(ends)) for start, stop in pairwise(cuts)]


def csv_parts(file: Any, size: int, start: int, above: int, delimiter: str) -> list[FilePart]:
    """The parts of CSV text in UTF-8 whose rows begin at byte `start`, below row `above`; one where it is not divided.

    A part begins behind a row's end that lies outside quotes. To tell, all quotes from the first row on are looked at:
    the first opens, the next closes, and so on. This is so if each that opens follows a delimiter, a row's end or a
    quote that closed, and each that closes comes before one of these. Text with any other quote is not divided.
    """
    wished = (size - start) // PART_BYTES
    mark = delimiter.encode()
    targets = [start + (size - start) * i // wished for i in range(1, wished)] if len(mark) == 1 else []
    file.seek(start)
    rows, cuts = above, [(start, above)]
    for ends in _row_ends(file, start, mark):
        if ends is None:
            cuts = cuts[:1]
            break
        while targets and len(ends) and ends[-1] >= targets[0]:
            place = int(np.searchsorted(ends, targets.pop(0)))
            cut = int(ends[place]), rows + place + 1
            cuts += [cut] if cuts[-1] < cut and cut[0] < size else []
        rows += len(ends)
        if not targets:
            break
    bounds = [*cuts, (size, 0)]
    return [FilePart(a, b, before, b == size) for (a, before), (b, _) in pairwise(bounds)]


def _row_ends(file: Any, start: int, delimiter: bytes) -> Iterator[Places | None]:
    """Where rows begin below others, block by block, up to the file's end; None where a quote is not regular."""
    beside = np.zeros(256, np.bool_)
    beside[[QUOTE, LF, CR, delimiter[0]]] = True
    before, inside, at = b"\n", False, start
    rest = b""
    while True:
        data = file.read(BLOCK)
        block = rest + data if data else rest + b"\n"
        rest = block[-1:] if data else b""
        if len(block) > 1:
            cells = np.frombuffer(before + block, np.uint8)  # those but the first and the last are looked at
            ends, inside, regular = _ends_in(cells, inside, beside)
            if not regular:
                yield None
                return
            yield ends + at
            before, at = block[-2:-1], at + len(block) - 1
        if not data:
            return


class _Ends(NamedTuple):
    places: Places
    inside: bool
    regular: bool


def _ends_in(cells: npt.NDArray[np.uint8], inside: bool, beside: npt.NDArray[np.bool_]) -> _Ends:
    """The places behind row ends outside quotes among the middle cells, counted from the first of these.

    A row ends with LF, CRLF or CR, as Arrow cuts rows.
    """
    middle, following = cells[1:-1], cells[2:]
    ends = np.flatnonzero((middle == LF) | ((middle == CR) & (following != LF)))
    quotes = np.flatnonzero(middle == QUOTE)
    if not len(quotes):
        return _Ends(ends[:0] if inside else ends + 1, inside, True)
    opening, closing = (quotes[1::2], quotes[::2]) if inside else (quotes[::2], quotes[1::2])
    regular = bool(beside[cells[opening]].all() and beside[cells[closing + 2]].all())
    outside = (np.searchsorted(quotes, ends) % 2 == 0) != inside
    return _Ends(ends[outside] + 1, inside != bool(len(quotes) % 2), regular)
