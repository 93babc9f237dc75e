"""Removes leads from a Parquet file, whose ids may be of any type."""

from contextlib import ExitStack
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from service.lifecycle.data.source import SourceError
from service.lifecycle.forgetting.search import Search, Tally
from service.lifecycle.relations.lead_keys import as_ids
from service.model.spelling import fold
from service.storage import Writable

EXACT = {16: 1 << 11, 32: 1 << 24, 64: 1 << 53}
"""From this number on a float of so many bits may stand for several whole numbers."""


def without_parquet_rows(origin: str, data: IO[bytes], out: Writable | None, search: Search) -> Tally:
    """Copy the rows that are not the leads', or only count them. Raises SourceError."""
    read = parquet.ParquetFile(data, pre_buffer=False)
    named = set(map(fold, search.id_columns))
    at = [column for column in read.schema_arrow.names if fold(column) in named]
    if not at:
        raise search.no_column(origin)
    rows = gone = 0
    wanted = pa.array(sorted(search.spelled), pa.string())
    with ExitStack() as closing:
        writer = out and closing.enter_context(parquet.ParquetWriter(out, read.schema_arrow, compression="zstd"))
        for part in read.iter_batches():
            there = pa.array([False] * part.num_rows)
            for column in at:
                there = pc.or_(there, pc.is_in(_ids(origin, column, part.column(column), search), wanted))
            stay = part.filter(pc.invert(there))
            rows, gone = rows + stay.num_rows, gone + part.num_rows - stay.num_rows
            if search.trials:
                for row in part.filter(there).to_pylist():
                    search.trials.learn(search.lead_of(row[column] for column in at), row)
            if writer:
                writer.write_batch(stay)
    return Tally(rows, gone)


def _ids(origin: str, name: str, column: pa.Array, search: Search) -> pa.Array:
    """The column's ids as `as_id` writes them. Raises SourceError where floats cannot tell two leads apart."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        exact = EXACT[column.type.bit_width]
        column = column.cast(pa.float64())
        small = pc.less(pc.abs(column), exact)
        if any(abs(number) >= exact for number in search.numbers) and not pc.all(small).as_py():
            raise SourceError(
                f"{origin}: column {name!r} holds ids as floating-point numbers of {exact:,} or more, which may stand "
                "for several ids; write the ids as text"
            )
        whole = pc.if_else(pc.and_(small, pc.equal(pc.floor(column), column)), column, None).cast(pa.int64())
        text = pc.coalesce(whole.cast(pa.string()), column.cast(pa.string()))
    else:
        text = column.cast(pa.string())
    return as_ids(text)
