"""Removes leads from a Parquet file, whose ids may be of any type.

A table of prediction records is read one row group at a time. Where its part is none of the leads', only the column of
ids is read, and the rest of those row groups that hold trials on the page, which are told by their values.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from service.lifecycle.data.source import SourceError
from service.lifecycle.forgetting.search import Search, Tally
from service.lifecycle.forgetting.trials import Trials
from service.lifecycle.relations.columns import FIXED, input_field
from service.lifecycle.relations.lead_keys import as_ids, part_of
from service.lifecycle.relations.record_files import table_place
from service.model.spelling import fold
from service.records import PAGE
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
    of_records = read.schema_arrow.names[: len(FIXED)] == FIXED.names
    rows = gone = trials = 0
    wanted = pa.array(sorted(search.spelled), pa.string())
    with ExitStack() as closing:
        writer = out and closing.enter_context(parquet.ParquetWriter(out, read.schema_arrow, compression="zstd"))
        for part in _row_groups(read, origin, search, writer is not None) if of_records else read.iter_batches():
            if isinstance(part, int):
                rows += part
                continue
            there = pa.array([False] * part.num_rows)
            for column in at:
                there = pc.or_(there, pc.is_in(_ids(origin, column, part.column(column), search), wanted))
            if of_records and search.trials:
                theirs, seen = _trials(part, there, search.trials)
                there, trials = pc.or_(there, theirs), trials + seen
            stay = part.filter(pc.invert(there))
            rows, gone = rows + stay.num_rows, gone + part.num_rows - stay.num_rows
            if search.trials and search.trials.learning:
                for row in part.filter(there).to_pylist():
                    values = _inputs(row) if of_records else row
                    search.trials.learn(search.lead_of(row[column] for column in at), values)
            if writer:
                writer.write_batch(stay)
    return Tally(rows, gone, trials)


def _row_groups(read: parquet.ParquetFile, origin: str, search: Search, whole: bool) -> Iterator[pa.RecordBatch | int]:
    """The row groups of a table of records; of one that has to be read no further the number of its rows."""
    place = table_place(origin[origin.rfind("/records/") + 1 :])
    mine = place is None or place[1] in {part_of(lead) for lead in search.ids}
    for number in range(read.num_row_groups):
        if not (mine or whole):
            ids = read.read_row_group(number, columns=["lead_id"]).column("lead_id")
            if not (search.trials and pc.any(pc.starts_with(ids, PAGE)).as_py()):
                yield len(ids)
                continue
        yield from read.read_row_group(number).combine_chunks().to_batches()


def _trials(part: pa.RecordBatch, leads: pa.Array, known: Trials) -> tuple[pa.Array, int]:
    """Which rows are the leads' trials on the page, and how many; of all trials while the values are being learnt."""
    fields = [(column, field[1]) for column in part.schema.names if (field := input_field(column))]
    for version in pc.unique(part.column("model_version")).to_pylist():
        of_version = part.filter(pc.equal(part.column("model_version"), version))
        filled = {name: None for column, name in fields if of_version.column(column).null_count < len(of_version)}
        known.see({"model_version": version, "inputs": filled})
    asked = pc.and_(pc.starts_with(part.column("lead_id"), PAGE), pc.invert(leads))
    if known.learning:
        return pa.array([False] * len(part)), pc.sum(asked).as_py() or 0
    found = [False] * len(part)
    for row in pc.indices_nonzero(asked).to_pylist():
        record = part.slice(row, 1).to_pylist()[0]
        found[row] = known.matches({**record, "inputs": _inputs(record)})
    return pa.array(found), sum(found)


def _inputs(row: dict[str, object]) -> dict[str, object]:
    """The input fields that have a value in a row of a table of records."""
    return {field[1]: v for column, v in row.items() if v is not None and (field := input_field(column))}


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
