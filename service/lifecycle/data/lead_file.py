"""A CSV or Parquet file of leads, gzip or not, a batch of rows at a time: memory does not grow with the file.

The kind of file is told by its first bytes, as in `service.lifecycle.data.table`, which reads whole files for training.
"""

import gzip
import io
import shutil
import tempfile
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from service.lifecycle.data import workbook
from service.lifecycle.data.csvbytes import CsvBytes, Unpacked
from service.lifecycle.data.rows import LAST_ROWS, may_be_below_the_table
from service.lifecycle.data.source import SourceError
from service.lifecycle.data.table import FileForm, Table, parse_table
from service.model.spelling import fold
from service.reading.header import told_apart

ROWS = 16_384
"""Rows of a batch from Parquet. Their matrix stays near the processor's caches; larger ones are scored more slowly."""

BLOCK = 2 << 20
"""Bytes of a batch from CSV, some ten thousand rows; no single row may be longer."""

COLUMN_BUFFER = 1 << 20
"""Bytes that are fetched ahead of each Parquet column."""


class Ragged(NamedTuple):
    """A CSV row that is not cut like the header or lies below the table, by its number; the header is row 1."""

    row: int
    reason: str


class LeadBatch(NamedTuple):
    """Some rows, the number of each as a person counts, and those among them that could not be cut into cells.

    `blank` counts rows that are left out: every cell that was asked for is empty.
    """

    cells: pa.RecordBatch
    rows: range | list[int]
    ragged: list[Ragged]
    blank: int = 0


class LeadFile:
    """An open file of leads. `columns` are all that it has, `total` is its number of rows where that is known.

    Raises SourceError, here and while it is read, when the file is not what it says.
    """

    def __init__(
        self,
        origin: str,
        file: io.RawIOBase,
        size: int,
        delimiter: str | None = None,
        encoding: str | None = None,
        sheet: str | None = None,
    ) -> None:
        self.origin, self._raw, self._size, self._delimiter = origin, file, max(1, size), delimiter
        self._encoding, self._sheet = encoding, sheet
        self._closing = ExitStack()
        self._closing.callback(file.close)
        self._done = 0
        try:
            self._open()
        except BaseException:
            self._closing.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _open(self) -> None:
        file: Any = io.BufferedReader(self._raw, 1 << 20)
        if file.peek(2)[:2] == b"\x1f\x8b":
            file = Unpacked(self.origin, gzip.GzipFile(fileobj=file))
        self._table: Table | None = None
        self._file, self.total = file, None  # kept, for it closes what it reads when it goes
        self.is_parquet = file.read(4) == b"PAR1"
        file.seek(0)
        if self.is_parquet:
            self._whole = self._raw if isinstance(file, io.BufferedReader) else self._unpack(file)
            self._first = self._parquet([])  # kept likewise
            self.columns, self.total = self._first.schema_arrow, self._first.metadata.num_rows
            return
        start = file.read(len(workbook.OLE))
        file.seek(0)
        if start.startswith((workbook.ZIP, workbook.OLE)):
            form = FileForm(self._delimiter, self._encoding, self._sheet)
            self._table = parse_table(self.origin, file.read(), form)
            self.columns, self.total = self._table.cells.schema, self._table.cells.num_rows
            return
        self._text = CsvBytes(self.origin, file, self._encoding)
        layout = self._text.layout(self._delimiter)
        self._delimiter, self._above = layout.delimiter, layout.row
        self.columns = pa.schema([(name, pa.string()) for name in told_apart(layout.header)])

    def _unpack(self, file: Any) -> Any:
        """Parquet needs its end first."""
        whole = self._closing.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed by the stack
        shutil.copyfileobj(file, whole, 1 << 20)
        whole.seek(0)
        return whole

    def share(self) -> float:
        """How much of the file has been read, 0 to 1."""
        done = self._done / max(1, self.total) if self.total is not None else self._raw.tell() / self._size
        return min(1.0, done)

    def batches(self, wanted: Collection[str], repeating: Collection[str]) -> Iterator[LeadBatch]:
        """The wanted columns. Those that are `repeating` come dictionary-encoded where the file allows it."""
        names = [name for name in self.columns.names if name in wanted]
        if self._table is not None:
            yield from self._table_batches(self._table, names)
        elif self.is_parquet:
            yield from self._parquet_batches(names, repeating)
        else:
            yield from self._without_footers(self._csv_batches(names, repeating))

    def call(self, wanted: Collection[str]) -> list[str]:
        """Call the columns as they are wanted, where case and blanks alone differ; return a line for each."""
        if self.is_parquet or self._table is not None:
            return []
        names, notes = self.columns.names, []
        for want in wanted:
            alike = [place for place, name in enumerate(names) if fold(name) == fold(want)]
            if want not in names and len(alike) == 1:
                notes.append(f"{self.origin}: {names[alike[0]]!r} is read as {want!r}")
                names[alike[0]] = want
        self.columns = pa.schema([(name, pa.string()) for name in names])
        return notes

    def _table_batches(self, table: Table, names: list[str]) -> Iterator[LeadBatch]:
        """A workbook, which is read as a whole."""
        cells = table.cells.select(names).combine_chunks()
        for start in range(0, cells.num_rows, ROWS):
            (batch,) = cells.slice(start, ROWS).to_batches()
            self._done += batch.num_rows
            yield LeadBatch(batch, list(table.rows[start : start + ROWS]), [])

    def _parquet(self, repeating: list[str]) -> parquet.ParquetFile:
        try:
            return parquet.ParquetFile(
                pa.PythonFile(self._whole, "r"),
                read_dictionary=repeating,
                pre_buffer=False,
                buffer_size=COLUMN_BUFFER,
            )
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self.origin}: is a broken Parquet file: {error}") from error

    def _parquet_batches(self, names: list[str], repeating: Collection[str]) -> Iterator[LeadBatch]:
        texts = [name for name in names if name in repeating and pa.types.is_string(self.columns.field(name).type)]
        read = self._parquet(texts).iter_batches(batch_size=ROWS, columns=names, use_threads=False)
        while True:
            try:
                cells = next(read, None)
            except (pa.ArrowException, OSError) as error:
                raise SourceError(f"{self.origin}: is a broken Parquet file: {error}") from error
            if cells is None:
                return
            first = self._done + 1
            self._done += cells.num_rows
            yield LeadBatch(cells, range(first, first + cells.num_rows), [])

    def _without_footers(self, batches: Iterator[LeadBatch]) -> Iterator[LeadBatch]:
        """The batches, of which the last are held back until the file's end shows which of their rows are no leads."""
        held: deque[LeadBatch] = deque()
        for batch in batches:
            held.append(batch)
            while sum(len(each.rows) for each in held) - len(held[0].rows) >= LAST_ROWS:
                yield held.popleft()
        last = next((each.cells.slice(len(each.rows) - 1) for each in reversed(held) if len(each.rows)), None)
        footers: frozenset[int] = frozenset()
        if last is not None and may_be_below_the_table([column[0].as_py() for column in last.columns]):
            footers = self._text.below_the_table(str(self._delimiter), len(self.columns), self._above)
        for batch in held:
            yield _leaving_out(batch, footers)

    def _csv_batches(self, names: list[str], repeating: Collection[str]) -> Iterator[LeadBatch]:
        if self._text.ends:
            return
        ragged: list[Ragged] = []

        def keep(row: arrow_csv.InvalidRow) -> str:
            reason = f"has {row.actual_columns} cells where the header has {row.expected_columns}"
            ragged.append(
                Ragged(
                    self._above + row.number, f"{reason} (delimiter {self._delimiter!r}; a cell with it must be quoted)"
                )
            )
            return "skip"

        coded = pa.dictionary(pa.int32(), pa.string())
        try:
            read = arrow_csv.open_csv(
                pa.PythonFile(self._text, "r"),
                # One thread, or rows would have no numbers.
                arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=self.columns.names),
                arrow_csv.ParseOptions(
                    delimiter=self._delimiter,
                    newlines_in_values=True,
                    invalid_row_handler=keep,
                    ignore_empty_lines=False,  # or rows would have other numbers than in a spreadsheet
                ),
                arrow_csv.ConvertOptions(
                    column_types={name: coded if name in repeating else pa.string() for name in names},
                    include_columns=names,
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
            row = self._above + 1
            while (cells := next(read, None)) is not None:
                # Whatever was read ahead stays for the batch that it belongs to.
                rows, passed, row = _numbered(row, cells.num_rows, ragged)
                del ragged[: len(passed)]
                cells, rows, blank = _filled(cells, rows)
                for start in range(0, max(1, len(rows)), ROWS):
                    first = start == 0
                    yield LeadBatch(
                        cells.slice(start, ROWS), rows[start : start + ROWS], passed if first else [], blank * first
                    )
            if ragged:
                yield LeadBatch(
                    pa.RecordBatch.from_pylist([], pa.schema([(n, pa.string()) for n in names])), [], ragged
                )
        except pa.ArrowException as error:
            raise SourceError(self._text.fault() or f"{self.origin}: is no CSV file: {error}") from error
        if self._text.quotes % 2 and (opened := self._text.never_closed(str(self._delimiter))):
            raise SourceError(f"{self.origin}, row {opened}: a quote is opened and never closed")


def _filled(cells: pa.RecordBatch, rows: range | list[int]) -> tuple[pa.RecordBatch, range | list[int], int]:
    """The rows in which a cell is filled, their numbers, and how many others there are."""
    if not all(column.null_count for column in cells.columns) or not cells.num_columns:
        return cells, rows, 0
    empty = np.logical_and.reduce([column.is_null().to_numpy(zero_copy_only=False) for column in cells.columns])
    if not empty.any():
        return cells, rows, 0
    kept = np.flatnonzero(~empty)
    return cells.filter(pa.array(~empty)), np.asarray(rows)[kept].tolist(), int(empty.sum())


def _leaving_out(batch: LeadBatch, footers: frozenset[int]) -> LeadBatch:
    """The batch in which these rows are set aside."""
    kept = [row not in footers for row in batch.rows] if footers else []
    if all(kept):
        return batch
    rows = [row for row, keep in zip(batch.rows, kept, strict=True) if keep]
    found = [Ragged(row, "is a total or a line below the table, no lead") for row in batch.rows if row in footers]
    return batch._replace(cells=batch.cells.filter(pa.array(kept)), rows=rows, ragged=[*batch.ragged, *found])


def _numbered(row: int, count: int, ragged: list[Ragged]) -> tuple[range | list[int], list[Ragged], int]:
    """Numbers of `count` rows from `row` on, the ragged ones that lie before the last of them, and the next number."""
    if not ragged or ragged[0].row >= row + count:
        return range(row, row + count), [], row + count
    rows: list[int] = []
    passed = 0
    while len(rows) < count:
        if passed < len(ragged) and ragged[passed].row == row:
            passed += 1
        else:
            rows.append(row)
        row += 1
    return rows, ragged[:passed], row
