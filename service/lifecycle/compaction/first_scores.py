"""Each lead's first score over all history, by part: `records/first/part=P.parquet`, one row a lead, sorted by its key.

Where that is large, recent ones stand in `records/first/part=P.new.parquet`, so that a run does not write the whole
history again; they are merged into it when they are a tenth of it. A lead may be in both: its earliest row holds.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from service.lifecycle.relations.earlier_scores import SCHEMA, least
from service.lifecycle.relations.record_files import FIRST, first_keys
from service.storage import Opened, Storage

ROW_GROUP = 65_536
SMALL = 4 << 20
"""Bytes, at most, of a table that is written again whenever a lead is added."""
SHARE = 10
"""The recent first scores are merged into the others when they are this part of them, in bytes."""


def add(predictions: Storage, part: str, found: Sequence[pa.Table]) -> None:
    """Add first scores of some leads of one part; adding the same again changes nothing. Raises StorageError.

    The recent ones are emptied after the others have them, so that none is missing at any step.
    """
    recent, others = first_keys(part)
    sizes = dict(predictions.sizes(f"{FIRST}part={part}."))
    merge(predictions, others if sizes.get(others, 0) < SMALL else recent, found)
    opened = predictions.open(recent)
    if opened is None:
        return
    with opened.file:
        large = opened.size * SHARE >= sizes.get(others, 0)
        rows = pa.concat_tables([SCHEMA.empty_table(), *(_groups(opened) if large else ())])
    if rows.num_rows:
        merge(predictions, others, [rows])
        _write(predictions, recent, opened, iter(()))


def merge(predictions: Storage, key: str, found: Sequence[pa.Table]) -> bool:
    """Put the first scores of some leads into a table where they are earlier; return whether it changed.

    Merging the same again changes nothing. The table is streamed: one row group of it and those found are held.
    Raises StorageError.
    """
    new = least(pa.concat_tables(found))
    if not new.num_rows or _is_merged(predictions.open(key), new):
        return False
    opened = predictions.open(key)
    _write(predictions, key, opened, _merged(opened, new))
    return True


def drop_before(predictions: Storage, key: str, oldest: datetime) -> None:
    """Take first scores given before this time out of one part's table. Raises StorageError."""
    opened = predictions.open(key)
    if opened is None:
        return
    with opened.file:
        times = parquet.ParquetFile(opened.file, pre_buffer=False).iter_batches(columns=["time"])
        if not any(pc.any(pc.less(batch["time"], oldest)).as_py() for batch in times):
            return
    opened = predictions.open(key)
    _write(predictions, key, opened, (g.filter(pc.greater_equal(g["time"], oldest)) for g in _groups(opened)))


def _write(predictions: Storage, key: str, opened: Opened | None, tables: Iterator[pa.Table]) -> None:
    try:
        with (
            predictions.writing(key, opened.generation if opened else None) as out,
            parquet.ParquetWriter(out, SCHEMA, compression="zstd", write_page_checksum=True) as writer,
        ):
            for table in tables:
                if table.num_rows:
                    writer.write_table(table, row_group_size=ROW_GROUP)
    finally:
        if opened:
            opened.file.close()


def _groups(opened: Opened | None) -> Iterator[pa.Table]:
    if opened is None:
        return
    file = parquet.ParquetFile(opened.file, pre_buffer=False, page_checksum_verification=True)
    for number in range(file.num_row_groups):
        yield file.read_row_group(number, columns=SCHEMA.names).cast(SCHEMA)


def _merged(opened: Opened | None, new: pa.Table) -> Iterator[pa.Table]:
    for group in _groups(opened):
        before = pc.less_equal(new["lead_key"], group["lead_key"][-1])
        yield least(pa.concat_tables([group, new.filter(before)]))
        new = new.filter(pc.invert(before))
    yield new


def _is_merged(opened: Opened | None, new: pa.Table) -> bool:
    """Whether the table would stay as it is."""
    if opened is None:
        return False
    with opened.file:
        for group in _groups(opened):
            before = pc.less_equal(new["lead_key"], group["lead_key"][-1])
            mine = new.filter(before)
            if mine.num_rows and not least(pa.concat_tables([group, mine])).equals(group.combine_chunks()):
                return False
            new = new.filter(pc.invert(before))
    return not new.num_rows
