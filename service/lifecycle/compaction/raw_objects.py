"""Raw objects of prediction records, read as tables: JSON lines of the service, Parquet of batch."""

import hashlib
import io
from collections.abc import Iterator
from typing import IO

import pyarrow as pa
from pyarrow import parquet

from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.relations.columns import FIXED, INPUT_TYPES, check_columns, input_field, record_table
from service.records import sift_object
from service.storage import Opened, Storage

READ = 8 << 20
"""Bytes read at once."""
BATCH_ROWS = 50_000
"""Rows of a table, and held of a Parquet object. One of JSON lines, at most a spool's segment, is read whole."""


class Unreadable(Exception):
    """The raw object is not what its name says; the message says why."""


class RawObject:
    """A raw object that is open. `tables` reads it; `records` and `broken` are complete when that has ended."""

    def __init__(self, url: str, key: str, opened: Opened) -> None:
        self.key, self.generation = key, opened.generation
        self.records = 0
        self.broken: list[Rejected] = []
        self._file = io.BufferedReader(opened.file, READ)
        self._url = url
        self.sha256 = digest(self._file)

    def tables(self) -> Iterator[pa.Table]:
        """Its records with the columns of `relations.columns`. Raises Unreadable."""
        self._file.seek(0)
        for table in self._rows() if self.key.endswith(".parquet") else self._lines():
            self.records += table.num_rows
            yield table

    def _lines(self) -> Iterator[pa.Table]:
        whole, broken = sift_object(self._file.read(), self.key)
        for error in broken:
            if not error.line:
                raise Unreadable(error.reason)
            self.broken.append(
                Rejected(
                    file=f"{self._url}/{self.key}", row=error.line, column="", reason=error.reason, content=error.text
                )
            )
        for start in range(0, len(whole), BATCH_ROWS):
            yield record_table(whole[start : start + BATCH_ROWS])

    def _rows(self) -> Iterator[pa.Table]:
        try:
            file = parquet.ParquetFile(self._file, pre_buffer=False)
            check_columns(file.schema_arrow)
            for batch in file.iter_batches(BATCH_ROWS):
                yield in_schema(pa.table(batch), _schema_of(file.schema_arrow))
        except (pa.ArrowException, ValueError, OSError) as error:
            raise Unreadable(f"not a Parquet file of prediction records ({error})") from error

    def __enter__(self) -> "RawObject":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def open_raw(predictions: Storage, key: str) -> RawObject | None:
    """The raw object; None where there is none any more. Raises StorageError."""
    opened = predictions.open(key)
    return RawObject(predictions.url, key, opened) if opened else None


def digest(file: IO[bytes] | io.RawIOBase) -> str:
    """The SHA-256 of what a file holds from where it stands, as hexadecimal digits."""
    found = hashlib.sha256()
    while part := file.read(READ):
        found.update(part)
    return found.hexdigest()


def in_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly these columns, null where it has none. Raises ValueError where a required one has none."""
    columns = []
    for field in schema:
        there = field.name in table.schema.names
        column = table.column(field.name).cast(field.type) if there else pa.nulls(table.num_rows, field.type)
        if not field.nullable and column.null_count:
            raise ValueError(f"column {field.name!r} has no value in {column.null_count} rows")
        columns.append(column)
    return pa.table(columns, schema=schema)


def _schema_of(schema: pa.Schema) -> pa.Schema:
    inputs = [(name, found[0]) for name in schema.names if (found := input_field(name))]
    return pa.schema([*FIXED, *(pa.field(name, INPUT_TYPES[kind]) for name, kind in inputs)])
