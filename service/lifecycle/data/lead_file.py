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
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from service.lifecycle.data.csvbytes import CsvBytes, Unpacked
from service.lifecycle.data.source import SourceError

ROWS = 16_384
"""Rows of a batch from Parquet. Their matrix stays near the processor's caches; larger ones are scored more slowly."""

BLOCK = 2 << 20
"""Bytes of a batch from CSV, some ten thousand rows; no single row may be longer."""

COLUMN_BUFFER = 1 << 20
"""Bytes that are fetched ahead of each Parquet column."""


class Ragged(NamedTuple):
    """A CSV row that is not cut like the header, by its number; the header is row 1."""

    row: int
    reason: str


class LeadBatch(NamedTuple):
    """Some rows, the number of each as a person counts, and those among them that could not be cut into cells."""

    cells: pa.RecordBatch
    rows: range | list[int]
    ragged: list[Ragged]


class LeadFile:
    """An open file of leads. `columns` are all that it has, `total` is its number of rows where that is known.

    Raises SourceError, here and while it is read, when the file is not what it says.
    """

    def __init__(self, origin: str, file: io.RawIOBase, size: int, delimiter: str | None = None) -> None:
        self.origin, self._raw, self._size, self._delimiter = origin, file, max(1, size), delimiter
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
        self._file, self.total = file, None  # kept, for it closes what it reads when it goes
        self.is_parquet = file.read(4) == b"PAR1"
        file.seek(0)
        if self.is_parquet:
            self._whole = self._raw if isinstance(file, io.BufferedReader) else self._unpack(file)
            self._first = self._parquet([])  # kept likewise
            self.columns, self.total = self._first.schema_arrow, self._first.metadata.num_rows
            return
        self._text = CsvBytes(self.origin, file)
        self._delimiter, names = self._text.header(self._delimiter)
        self.columns = pa.schema([(name, pa.string()) for name in names])

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
        yield from self._parquet_batches(names, repeating) if self.is_parquet else self._csv_batches(names, repeating)

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

    def _csv_batches(self, names: list[str], repeating: Collection[str]) -> Iterator[LeadBatch]:
        ragged: list[Ragged] = []

        def keep(row: arrow_csv.InvalidRow) -> str:
            reason = f"has {row.actual_columns} cells where the header has {row.expected_columns}"
            ragged.append(
                Ragged(row.number, f"{reason} (delimiter {self._delimiter!r}; a cell with it must be quoted)")
            )
            return "skip"

        coded = pa.dictionary(pa.int32(), pa.string())
        try:
            read = arrow_csv.open_csv(
                pa.PythonFile(self._text, "r"),
                # One thread, or rows would have no numbers.
                arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK),
                arrow_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=keep),
                arrow_csv.ConvertOptions(
                    column_types={name: coded if name in repeating else pa.string() for name in names},
                    include_columns=names,
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
            row = 2
            while (cells := next(read, None)) is not None:
                # Whatever was read ahead stays for the batch that it belongs to.
                rows, passed, row = _numbered(row, cells.num_rows, ragged)
                del ragged[: len(passed)]
                for start in range(0, len(rows), ROWS):
                    yield LeadBatch(cells.slice(start, ROWS), rows[start : start + ROWS], [] if start else passed)
            if ragged:
                yield LeadBatch(
                    pa.RecordBatch.from_pylist([], pa.schema([(n, pa.string()) for n in names])), [], ragged
                )
        except pa.ArrowException as error:
            raise SourceError(self._text.fault() or f"{self.origin}: is no CSV file: {error}") from error
        if self._text.quotes % 2 and (opened := self._text.never_closed(str(self._delimiter))):
            raise SourceError(f"{self.origin}, row {opened}: a quote is opened and never closed")


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
