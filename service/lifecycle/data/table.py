"""A CSV file, Parquet file or workbook as a table of raw cells, or a SourceError that names the row at fault.

The kind of file is told by its first bytes, never by its name. Arrow cuts CSV text into cells and reads Parquet (it is
there for both, and tells the rows that it cannot cut); calamine reads workbooks.
"""

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from service.lifecycle.data import workbook
from service.lifecycle.data.rows import blank, totals_and_footers
from service.lifecycle.data.source import Source, SourceError
from service.model.spelling import clean
from service.reading.decoding import as_utf8, kind_of_file
from service.reading.dialect import Layout, header_place, layout_of, shown
from service.reading.rows import SPARSE_WIDTH
from service.storage import StorageError, open_storage

LISTED = 5
"""Row numbers that a note lists at most."""


@dataclass(frozen=True)
class Table:
    """Raw cells. CSV cells are text as written, and empty ones are ""; other cells have their own types.

    `rows` are the numbers of the rows as a person counts: in a CSV file the header is row 1. `notes` say how the file
    was read and which rows and columns are left out. `typed` columns hold numbers that a program wrote. `form` is how
    the file is written: encoding, delimiter or sheet, and the header's row.
    """

    origin: str
    cells: pa.Table
    rows: Sequence[int]
    sha256: str
    notes: tuple[str, ...] = ()
    typed: frozenset[str] = frozenset()
    form: str = ""

    def row(self, index: int) -> int:
        """The row's number as a person counts."""
        return int(self.rows[index])

    def only(self, kept: Any) -> "Table":
        """The rows for which this mask holds."""
        places = np.flatnonzero(kept)
        return replace(self, cells=self.cells.take(places), rows=np.asarray(self.rows)[places].tolist())


@dataclass(frozen=True)
class FileForm:
    """What the lead source says about how its file is written; the file itself says the rest."""

    delimiter: str | None = None
    encoding: str | None = None
    sheet: str | None = None


def form_of_table(source: Source) -> FileForm:
    """What this source says of its files."""
    return FileForm(source.delimiter, source.encoding, source.sheet)


def read_table(location: Path | str, form: FileForm = FileForm()) -> Table:
    """Read a whole file or `gs://bucket/object`. Raises SourceError."""
    return parse_table(str(location), _stored(str(location)), form)


def parse_table(path: str, stored: bytes, form: FileForm = FileForm()) -> Table:
    """The table in these bytes, as stored at `path`. Raises SourceError."""
    data = stored
    if stored.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(stored)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path}: is a broken gzip file ({error}); fetch it again") from error
    digest = hashlib.sha256(stored).hexdigest()
    if data.startswith(b"PAR1"):
        cells = _read_parquet(path, data)
        table = Table(path, cells, range(1, cells.num_rows + 1), digest, form="Parquet")
    elif workbook.is_workbook(path, data):
        table = _read_workbook(path, data, form, digest)
    else:
        table = _read_csv(path, data, form, digest)
    if table.cells.num_rows == 0:
        raise SourceError(f"{path}: holds no leads")
    compressed = "gzip of " if data is not stored else ""
    return _named_once(replace(table, form=compressed + table.form))


def _stored(location: str) -> bytes:
    folder, _, name = location.rpartition("/") if location.startswith("gs://") else ("", "", "")
    try:
        if not folder:
            return Path(location).read_bytes()
        found = open_storage(folder).read(name)
    except OSError as error:
        raise SourceError(f"{location}: cannot be read: {error.strerror}") from error
    except (StorageError, ValueError) as error:
        raise SourceError(f"{location}: {error}") from error
    if found is None:
        raise SourceError(f"{location}: there is no such object")
    return found.data


def _read_parquet(path: str, data: bytes) -> pa.Table:
    try:
        return parquet.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path}: is a broken Parquet file: {error}") from error


def _read_workbook(path: str, data: bytes, form: FileForm, digest: str) -> Table:
    sheet, rows = workbook.read_rows(path, data, form.sheet)
    header = header_place(rows[:50])
    names = [clean(workbook.text(cell)) for cell in rows[header]]
    below = rows[header + 1 :]
    columns = [workbook.column([row[place] for row in below]) for place in range(len(names))]
    cells = pa.Table.from_arrays(columns, names=names)
    typed = frozenset(
        name
        for place, name in enumerate(names)
        if any(isinstance(row[place], float) and not row[place].is_integer() for row in below)
    )
    numbers = range(header + 2, header + 2 + len(below))
    written = f"a workbook, sheet {sheet!r}"
    note = f"{path}: {written}"
    found = Table(path, cells, numbers, digest, (note,), typed, f"{written}, header in row {header + 1}")
    return _without_other_rows(found, [], header)


def _read_csv(path: str, data: bytes, form: FileForm, digest: str) -> Table:
    if not data.strip():
        raise SourceError(f"{path}: is empty")
    if other := kind_of_file(data):
        raise SourceError(f"{path}: is {other}")
    data, encoding = as_utf8(path, data, form.encoding)
    text = data.decode()
    layout = layout_of(path, text, form.delimiter)
    body = text[layout.start :].encode()
    cells, ragged = _cut(path, body, layout)
    numbers = np.arange(layout.row + 1, layout.row + 1 + cells.num_rows + len(ragged))
    numbers = np.delete(numbers, [each.number - 1 for each in ragged])
    # A quote that never ends swallows the rest of the file into the last cell.
    if cells.num_rows and "\n" in cells.columns[-1][-1].as_py() and not data.rstrip().endswith(b'"'):
        raise SourceError(f"{path}, row {numbers[-1]}: a quote is opened and never closed")
    written = f"{encoding} text, delimiter {shown(layout.delimiter)}"
    notes = [] if encoding == "UTF-8" and layout.delimiter == "," else [f"{path}: {written}"]
    footers = []
    for row in ragged:
        number = layout.row + row.number
        if not (row.text or "").strip():
            continue
        below = (len(numbers) == 0 or number > numbers[-1]) and len(layout.header) >= SPARSE_WIDTH
        if not (below and 2 * row.actual_columns <= len(layout.header)):
            raise SourceError(
                f"{path}, row {number}: has {row.actual_columns} cells where the header has {row.expected_columns} "
                f"(delimiter {layout.delimiter!r}; a cell that holds it must be quoted)"
            )
        footers.append(number)
    found = f"CSV, {written}, header in row {layout.row}"
    table = Table(path, cells, numbers.tolist(), digest, tuple(notes), form=found)
    return _without_other_rows(table, footers, layout.preamble)


def _cut(path: str, body: bytes, layout: Layout) -> tuple[pa.Table, list[arrow_csv.InvalidRow]]:
    """The rows below the header, blank ones too, and those that are not cut like the header."""
    ragged: list[arrow_csv.InvalidRow] = []

    def keep(row: arrow_csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    places = [str(place) for place in range(len(layout.header))]
    if not body.strip():
        return pa.table({name: pa.array([], pa.string()) for name in places}).rename_columns(layout.header), []
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(body),
            # One block and one thread: rows keep their numbers, and a quoted text may be as long as it likes.
            arrow_csv.ReadOptions(use_threads=False, block_size=max(1 << 20, len(body)), column_names=places),
            arrow_csv.ParseOptions(
                delimiter=layout.delimiter, newlines_in_values=True, invalid_row_handler=keep, ignore_empty_lines=False
            ),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(places, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowException as error:
        raise SourceError(f"{path}: is no CSV file with the delimiter {layout.delimiter!r}: {error}") from error
    return table.rename_columns(layout.header), ragged


def _without_other_rows(table: Table, footers: list[int], preamble: int) -> Table:
    """The table without blank rows, totals and footers, and a note for each of these."""
    empty = blank(table.cells)
    others = totals_and_footers(table.cells, ~empty)
    numbers = np.asarray(table.rows)
    # Those at the end are lines that a file may end with.
    within = empty & (np.arange(len(empty)) < (np.flatnonzero(~empty).max(initial=-1)))
    said = (
        (list(range(1, preamble + 1)), "above the header"),
        (numbers[within].tolist(), "blank"),
        (sorted([*numbers[others].tolist(), *footers]), "totals or lines below the table, no leads"),
    )
    notes = tuple(f"{table.origin}, {listed(rows)}: left out, {why}" for rows, why in said if rows)
    found = replace(table, notes=table.notes + notes)
    return found.only(~(empty | others)) if (empty | others).any() else found


def _named_once(table: Table) -> Table:
    """The table without columns that have no name or repeat another, with a note for each. Raises SourceError."""
    names, notes = table.cells.column_names, []
    kept: dict[str, int] = {}
    for place, name in enumerate(names):
        if not name:
            notes.append(f"{table.origin}, column {place + 1}: left out, it has no name")
        elif name not in kept:
            kept[name] = place
        elif table.cells.column(place).equals(table.cells.column(kept[name])):
            notes.append(f"{table.origin}, column {place + 1}: left out, it repeats {name!r}")
        else:
            raise SourceError(f"{table.origin}: the column {name!r} is there twice, with other cells; rename one")
    cells = table.cells.select(list(kept.values())) if len(kept) < len(names) else table.cells
    return replace(table, cells=cells, notes=table.notes + tuple(notes))


def listed(rows: list[int]) -> str:
    """Row numbers for a message, the first few of them: "rows 3, 4"."""
    more = f" and {len(rows) - LISTED:,} more" if len(rows) > LISTED else ""
    return f"row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows[:LISTED]))}{more}"
