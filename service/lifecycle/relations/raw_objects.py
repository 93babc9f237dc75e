"""Prediction records that are not compacted yet, as tables."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import pyarrow as pa
from pyarrow import parquet

from service import records
from service.lifecycle.relations.columns import record_table
from service.model.schema import Value
from service.records import PredictionRecord, RecordError
from service.storage import Storage

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
        """The columns of a Parquet object; None where it is gone, or broken. Raises StorageError."""
        opened = self.predictions.open(key)
        if opened is None:
            return None
        try:
            with opened.file as file:
                return parquet.ParquetFile(pa.PythonFile(file, mode="r")).schema_arrow
        except (pa.ArrowException, OSError) as error:
            self.broken.append((key, RecordError(key, 0, f"is a broken Parquet file ({error})")))
            return None

    def decoded(self, keys: Sequence[str]) -> Iterator[pa.Table]:
        """The records in these objects of JSON lines, about ROWS of them a table. Raises StorageError."""
        waiting: list[PredictionRecord[dict[str, Value]]] = []
        for key in keys:
            stored = self.predictions.read(key)
            if stored is None:
                continue
            whole, broken = records.sift_object(stored.data, key)
            self.broken += [(key, error) for error in broken]
            waiting += [record for record in whole if self.since <= record.time < self.until]
            if len(waiting) >= ROWS:
                yield record_table(waiting)
                waiting.clear()
        if waiting:
            yield record_table(waiting)
