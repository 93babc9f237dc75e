"""First scores of leads: what compaction keeps of all history, and what raw objects hold that are not compacted yet."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from service.lifecycle.relations.columns import FIXED
from service.lifecycle.relations.raw_objects import RawObjects, gone
from service.lifecycle.relations.record_files import waiting_hours
from service.records import TRIALS
from service.storage import Storage

COLUMNS = ["lead_key", "lead_id", "time", "request_id", "model_version", "score"]
READ_COLUMNS = [*COLUMNS, "channel", "role"]
"""What `firsts` needs of a table of records."""
SCHEMA = pa.schema([FIXED.field(name) for name in COLUMNS])
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def firsts(table: pa.Table) -> pa.Table:
    """The first score of each lead among these records, sorted by its key. Trials and shadow scores are left out."""
    trial = pc.equal(table["channel"], "trial").fill_null(False)
    for start in TRIALS:
        trial = pc.or_(trial, pc.starts_with(table["lead_id"], start))
    shadow = pc.equal(table["role"], "shadow").fill_null(False)
    return least(table.filter(pc.invert(pc.or_(trial, shadow))).select(COLUMNS))


def least(table: pa.Table) -> pa.Table:
    """Of each lead the row with the least time, then request id; the other columns break ties."""
    order = ["lead_key", "time", "request_id", "model_version", "score", "lead_id"]
    table = table.sort_by([(name, "ascending") for name in order]).combine_chunks()
    if table.num_rows < 2:
        return table.cast(SCHEMA)
    keys = table["lead_key"].combine_chunks()
    changes = pc.not_equal(keys[1:], keys[:-1])
    return table.filter(pa.concat_arrays([pa.array([True]), changes])).cast(SCHEMA)


def earlier_scores(predictions: Storage, since: datetime) -> Iterator[pa.Table]:
    """Scores before `since` in raw objects that no table holds: without them a lead that is scored again looks new.

    Tables have the columns of SCHEMA. Where records are compacted each hour there is next to nothing to read. Objects
    that cannot be read are left to `compact`, which names them. Raises StorageError.
    """
    # All hours that began before: that in which the time lies may hold scores before it.
    keys = sorted(waiting_hours(predictions, since + timedelta(hours=1) - timedelta.resolution))
    raw = RawObjects(predictions, BEGINNING, since)
    for table in raw.decoded([key for key in keys if not key.endswith(".parquet")]):
        yield firsts(table)
    for key in keys:
        if key.endswith(".parquet") and (schema := raw.schema(key)):
            yield firsts(_columns(predictions, key, schema))


def _columns(predictions: Storage, key: str, schema: pa.Schema) -> pa.Table:
    """READ_COLUMNS of a Parquet object; those that it does not have are empty."""
    opened = predictions.open(key)
    if opened is None:
        raise gone(predictions, key)
    with opened.file as file:
        there = [name for name in READ_COLUMNS if name in schema.names]
        table = parquet.ParquetFile(pa.PythonFile(file, mode="r")).read(there)
    for name in set(READ_COLUMNS) - set(there):
        table = table.append_column(name, pa.nulls(len(table), FIXED.field(name).type))
    return table
