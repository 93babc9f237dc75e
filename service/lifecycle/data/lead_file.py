"""A CSV or Parquet file of leads, gzip or not, a batch of rows at a time: memory does not grow with the file.

The kind of file is told by its first bytes, as in `service.lifecycle.data.table`, which reads whole files for training.
"""

import gzip
import io
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple, Self

import pyarrow as pa
from pyarrow import parquet

from service.lifecycle.data import workbook
from service.lifecycle.data.csv_batches import ROWS, CsvTable, LeadBatch
from service.lifecycle.data.csvbytes import CsvBytes, Unpacked
from service.lifecycle.data.file_parts import FilePart, csv_parts, row_group_parts
from service.lifecycle.data.parquet_chunks import chunks
from service.lifecycle.data.source import SourceError
from service.lifecycle.data.table import FileForm, Table, parse_table
from service.read_ahead import Window, expect
from service.reading.header import Header, told_apart

COLUMN_BUFFER = 1 << 20
"""Bytes that are fetched ahead of each Parquet column."""


class Written(NamedTuple):
    """How a CSV file for the reader of this one is written: as this one is.

    Excel takes a text for UTF-8 where it begins with a byte order mark: a file has one where this one is no plain
    ASCII, or is a workbook.
    """

    delimiter: str = ","
    byte_order_mark: bool = False


class LeadFile:
    """An open file of leads. `columns` are all that it has, `total` is its number of rows where that is known.

    With a `part` its batches are of this part alone. Raises SourceError, here and while it is read, when the file is
    not what it says.
    """

    def __init__(
        self,
        origin: str,
        file: io.RawIOBase,
        size: int,
        delimiter: str | None = None,
        encoding: str | None = None,
        sheet: str | None = None,
        part: FilePart | None = None,
    ) -> None:
        self.part = part
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
        self._packed = file.peek(2)[:2] == b"\x1f\x8b"
        if self._packed:
            file = Unpacked(self.origin, gzip.GzipFile(fileobj=file))
        self._table: Table | None = None
        self.written = Written()
        self._file, self.total = file, None  # kept, for it closes what it reads when it goes
        self.is_parquet = file.read(4) == b"PAR1"
        file.seek(0)
        if self.is_parquet:
            if self._packed:
                expect(self._raw, [(self._raw.tell(), self._size)])
            self._whole = self._raw if isinstance(file, io.BufferedReader) else self._unpack(file)
            self._first = self._parquet([])  # kept likewise
            self.columns, self.total = self._first.schema_arrow, self._first.metadata.num_rows
            return
        start = file.read(len(workbook.OLE))
        file.seek(0)
        if self._packed or start.startswith((workbook.ZIP, workbook.OLE)):
            expect(self._raw, [(self._raw.tell(), self._size)])
        if start.startswith((workbook.ZIP, workbook.OLE)):
            form = FileForm(self._delimiter, self._encoding, self._sheet)
            self._table = parse_table(self.origin, file.read(), form)
            self.columns, self.total = self._table.cells.schema, self._table.cells.num_rows
            self.written = Written(byte_order_mark=True)
            return
        text = CsvBytes(self.origin, file, self._encoding)
        layout = text.layout(self._delimiter)
        self._csv = CsvTable(self.origin, text, layout.delimiter, layout.row, told_apart(layout.header))
        if self.part:
            within = io.BufferedReader(Window(self._raw, self.part.start, self.part.stop), 1 << 20)
            text.only(within, self.part.above)
            self._csv = self._csv._replace(above=self.part.above, last=self.part.last)
        self.columns = pa.schema([(name, pa.string()) for name in self._csv.columns])
        self.written = Written(layout.delimiter, text.marked)

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

    def parts(self) -> list[FilePart]:
        """The parts into which the file can be divided, fewer than two where it cannot. For CSV all of it is read."""
        if self._packed or self._table is not None:
            return []
        if self.is_parquet:
            return row_group_parts(self._first.metadata)
        if self._csv.text.encoding is not None:
            return []
        expect(self._raw, [(0, self._size)])
        return csv_parts(self._file, self._size, self._csv.text.starts, self._csv.above, self._csv.delimiter)

    def batches(self, wanted: Collection[str], repeating: Collection[str]) -> Iterator[LeadBatch]:
        """The wanted columns. Those that are `repeating` come dictionary-encoded where the file allows it."""
        names = [name for name in self.columns.names if name in wanted]
        if self._table is not None:
            yield from self._table_batches(self._table, names)
        elif self.is_parquet:
            yield from self._parquet_batches(names, repeating)
        else:
            if not self._packed:
                bounds = (self.part.start, self.part.stop) if self.part else (self._raw.tell(), self._size)
                expect(self._raw, [bounds])
            yield from self._csv._replace(columns=self.columns.names).batches(names, repeating)

    def call(self, wanted: Collection[str]) -> list[str]:
        """Call the columns as they are wanted, where case and blanks alone differ; return a line for each."""
        names, notes = self.columns.names, []
        for want in wanted:
            place = Header(names).place_of(want)
            if place is not None and names[place] != want:
                notes.append(f"{self.origin}: {names[place]!r} is read as {want!r}")
                names[place] = want
        self.columns = pa.schema([field.with_name(name) for field, name in zip(self.columns, names, strict=True)])
        return notes

    def _table_batches(self, table: Table, names: list[str]) -> Iterator[LeadBatch]:
        """A workbook, which is read as a whole."""
        cells = table.cells.rename_columns(self.columns.names).select(names).combine_chunks()
        for start in range(0, cells.num_rows, ROWS):
            (batch,) = cells.slice(start, ROWS).to_batches()
            self._done += batch.num_rows
            yield LeadBatch(batch, list(table.rows[start : start + ROWS]), [])

    def _parquet(self, repeating: list[str], metadata: parquet.FileMetaData | None = None) -> parquet.ParquetFile:
        try:
            return parquet.ParquetFile(
                pa.PythonFile(self._whole, "r"),
                metadata=metadata,
                read_dictionary=repeating,
                pre_buffer=False,
                buffer_size=COLUMN_BUFFER,
            )
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self.origin}: is a broken Parquet file: {error}") from error

    def _parquet_batches(self, names: list[str], repeating: Collection[str]) -> Iterator[LeadBatch]:
        own = dict(zip(self.columns.names, self._first.schema_arrow.names, strict=True))
        texts = [own[n] for n in names if n in repeating and pa.types.is_string(self.columns.field(n).type)]
        columns, metadata = [own[n] for n in names], self._first.metadata
        part = self.part or FilePart(0, metadata.num_row_groups, 0, last=True)
        groups = range(part.start, part.stop)
        expect(self._whole, chunks(metadata, groups, columns))
        file, first = self._parquet(texts, metadata), part.above + 1
        read = file.iter_batches(ROWS, row_groups=groups, columns=columns, use_threads=False)
        while True:
            try:
                cells = next(read, None)
            except (pa.ArrowException, OSError) as error:
                raise SourceError(f"{self.origin}: is a broken Parquet file: {error}") from error
            if cells is None:
                return
            self._done += cells.num_rows
            yield LeadBatch(cells.rename_columns(names), range(first, first + cells.num_rows), [])
            first += cells.num_rows
