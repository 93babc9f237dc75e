"""Prediction records that are not compacted yet, as tables."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import pyarrow as pa
from pyarrow import parquet

from service import records
from service.lifecycle.relations.columns import check_columns, record_table
from service.model.schema import Value
from service.records import PredictionRecord, RecordError
from service.storage import Storage, StorageError

ROWS = 50_000
"""Records that are decoded at once."""


class RawObjects:
    """The raw objects of a storage, of which records of [since, until) are wanted.

    `broken` are objects and lines that hold no record, each with its object's key.
    """

    def __init__(self, predictions: Storage, since: datetime, until: datetime) -> None:
        self.predictions, self.since, self.until = predictions, since, until
        self.broken: list[tuple[str, RecordError]] = []

    def schema(self, key: str) -> pa.Schema | None:
        """The columns of a Parquet object; None where it is broken. Raises StorageError, also where it is gone."""
        opened = self.predictions.open(key)
        if opened is None:
            raise gone(self.predictions, key)
        try:
            with opened.file as file:
                schema = parquet.ParquetFile(pa.PythonFile(file, mode="r")).schema_arrow
            check_columns(schema)
        except (pa.ArrowException, ValueError, OSError) as error:
            self.broken.append((key, RecordError(key, 0, f"is no Parquet file of prediction records ({error})")))
            return None
        return schema

    def decoded(self, keys: Sequence[str]) -> Iterator[pa.Table]:
        """The records in these objects of JSON lines, about ROWS of them a table. Raises StorageError."""
        waiting: list[PredictionRecord[dict[str, Value]]] = []
        for key in keys:
            stored = self.predictions.read(key)
            if stored is None:
                raise gone(self.predictions, key)
            whole, broken = records.sift_object(stored.data, key)
            self.broken += [(key, error) for error in broken]
            waiting += [record for record in whole if self.since <= record.time < self.until]
            if len(waiting) >= ROWS:
                yield record_table(waiting)
                waiting.clear()
        if waiting:
            yield record_table(waiting)


def gone(storage: Storage, key: str) -> StorageError:
    """What to raise for an object that was listed and is not there any more."""
    return StorageError(
        f"{storage.url}/{key} was deleted or replaced while it was read; run again, and restore it where it stays gone"
    )
