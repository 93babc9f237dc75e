"""Writes records to one Parquet table a part, streamed to the storage, and reads them back."""

import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from service.lifecycle.compaction.raw_objects import in_schema
from service.lifecycle.relations.columns import FIXED
from service.lifecycle.relations.lead_keys import PARTS, parts_of
from service.lifecycle.relations.record_files import TABLES, Output
from service.storage import Opened, Storage, StorageError

ROW_GROUP = 32_768
"""Rows of a row group, sorted by time. As many of each part are held in memory: 16 x 32,768 records."""
GROUP_BYTES = 16 << 20
"""Bytes, at most, that are held of each part: records of hundreds of columns make smaller row groups."""
_RUN = "%Y%m%dT%H%M%SZ"
_BEGAN = re.compile(r"/(\d{8}T\d{6}Z)-[^/]+$")


def run_name() -> str:
    """The name of the tables that are written from now on."""
    return f"{datetime.now(UTC):{_RUN}}-{uuid.uuid4().hex[:8]}"


def run_began(key: str) -> datetime | None:
    """When the run began that wrote a table, as its name says; None for another name."""
    found = _BEGAN.search(key)
    return datetime.strptime(f"{found[1]}+0000", f"{_RUN}%z") if found else None


class _Part:
    """The tables of one part. Where records bring new input columns, a further table begins that has these too."""

    def __init__(self, predictions: Storage, name: str, schema: pa.Schema) -> None:
        self._predictions, self._name, self._schema = predictions, name, schema
        self._waiting: list[pa.Table] = []
        self._rows = self._bytes = 0
        self._open: ExitStack | None = None
        self._writer: parquet.ParquetWriter | None = None
        self.written: dict[str, int] = {}
        """Rows by the key of their table."""

    def take(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._rows += table.num_rows
        self._bytes += table.nbytes
        if self._rows >= ROW_GROUP or self._bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        table = pa.concat_tables(self._waiting, promote_options="default").sort_by("time")
        self._waiting, self._rows, self._bytes = [], 0, 0
        if new := [field for field in table.schema if field.name not in self._schema.names]:
            self._schema = pa.schema([*self._schema, *new])
        writer = self._writer
        if writer is None or new:
            writer = self._next()
        writer.write_table(in_schema(table, self._schema), row_group_size=ROW_GROUP)
        self.written[f"{self._name}-{len(self.written) - 1}.parquet"] += table.num_rows

    def _next(self) -> parquet.ParquetWriter:
        self._finish()
        key = f"{self._name}-{len(self.written)}.parquet"
        self._open = ExitStack()
        out = self._open.enter_context(self._predictions.writing(key, None))
        self._writer = self._open.enter_context(
            parquet.ParquetWriter(out, self._schema, compression="zstd", write_page_checksum=True)
        )
        self.written[key] = 0
        return self._writer

    def _finish(self) -> None:
        if self._open:
            self._open.close()
        self._open = self._writer = None

    def end(self) -> None:
        if self._waiting:
            self._flush()
        self._finish()

    def abandon(self, error: BaseException) -> None:
        if self._open:
            self._open.__exit__(type(error), error, error.__traceback__)


class PartTables:
    """Tables of one day and run: `take` records, then `end`. Without `end`, for an error, no unfinished table stays.

    `schema` has the columns that each table begins with.
    """

    def __init__(self, predictions: Storage, day: str, run: str, schema: pa.Schema = FIXED) -> None:
        self._predictions = predictions
        self._parts = [_Part(predictions, f"{TABLES}day={day}/part={part}/{run}", schema) for part in PARTS]

    def take(self, table: pa.Table) -> None:
        """Add records, each to the part of its lead."""
        parts = parts_of(table.column("lead_key").to_pylist())
        order = np.argsort(parts, kind="stable")
        ends = np.searchsorted(parts[order], np.arange(len(PARTS) + 1))
        ordered = table.take(pa.array(order))
        for part, start, end in zip(self._parts, ends, ends[1:], strict=False):
            if start < end:
                part.take(ordered.slice(start, end - start))

    def end(self) -> dict[str, int]:
        """Finish the tables; return the rows written by the key of their table."""
        for part in self._parts:
            part.end()
        return {key: rows for part in self._parts for key, rows in part.written.items()}

    def __enter__(self) -> "PartTables":
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error:
            for part in self._parts:
                part.abandon(error)


def read_back(predictions: Storage, key: str, columns: list[str], rows: int) -> tuple[Output, pa.Table]:
    """A table as the storage now has it, and some of its columns. Raises StorageError where it has not these rows."""
    part = key.split("/part=")[1][0]
    with _opened(predictions, key) as (opened, file):
        batches = [batch.select(columns) for batch in file.iter_batches(ROW_GROUP)]
    table = pa.Table.from_batches(batches, pa.schema([FIXED.field(name) for name in columns]))
    found = sum(batch.num_rows for batch in batches)
    if found != rows or set(parts_of(table.column("lead_key").to_pylist())) - {PARTS.index(part)}:
        raise StorageError(f"{predictions.url}/{key} holds {found:,} records of its part where {rows:,} were written")
    return Output(key, opened.generation, rows, part), table


def schema_of(predictions: Storage, keys: Iterable[str]) -> pa.Schema:
    """The columns of all these tables. Raises StorageError."""
    schemas = [FIXED]
    for key in keys:
        with _opened(predictions, key) as (_, file):
            schemas.append(file.schema_arrow.remove_metadata())
    return pa.unify_schemas(schemas)


def copy(predictions: Storage, key: str, tables: PartTables) -> int:
    """Add the records of a table to others; return how many there are. Raises StorageError."""
    with _opened(predictions, key) as (_, file):
        for batch in file.iter_batches(ROW_GROUP):
            tables.take(pa.table(batch))
        return int(file.metadata.num_rows)


@contextmanager
def _opened(predictions: Storage, key: str) -> Iterator[tuple[Opened, parquet.ParquetFile]]:
    """A table, whose pages are compared with their checksums as they are read. Raises StorageError."""
    opened = predictions.open(key)
    if opened is None:
        raise StorageError(f"{predictions.url}/{key} was written and is not there")
    with opened.file:
        try:
            yield opened, parquet.ParquetFile(opened.file, pre_buffer=False, page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            raise StorageError(
                f"{predictions.url}/{key} cannot be read back: {error}; restore an earlier version of it"
            ) from error
