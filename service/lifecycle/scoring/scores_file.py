"""The file of scores: its columns for programs, and how rows are written as CSV or Parquet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from service.lifecycle.data.lead_file import Written
from service.lifecycle.scoring.for_people import ForPeople
from service.lifecycle.scoring.sheet import SheetWriter
from service.model.contact_rule import POLICIES, ContactRule
from service.model.decide import DECISIONS, ContactList, Decider
from service.model.trees import Matrix
from service.storage import Writable

Format = Literal["csv", "parquet"]
OPEN_ROWS = 131_072
"""Rows that are gathered before they are written: a row group of the output in Parquet."""
CONTACT = DECISIONS.index("contact")
_NAME = pa.dictionary(pa.int8(), pa.string())
OUTPUT = pa.schema(
    [
        ("lead_id", pa.string()),
        ("score", pa.float64()),
        ("decision", _NAME),
        ("band", pa.dictionary(pa.int32(), pa.string())),
        ("model_version", _NAME),
    ]
)


POLICY = pa.field("policy", _NAME)
"""A column more where leads are explored: why a lead is contacted; empty where it is not."""


def output_schema(rule: ContactRule) -> pa.Schema:
    """The columns for programs, under this rule."""
    return OUTPUT.append(POLICY) if rule.explores else OUTPUT


def decided(decider: Decider, scores: Matrix) -> tuple[pa.DictionaryArray, pa.DictionaryArray]:
    """Decision and band of each score, as columns of OUTPUT."""
    decision, band = decider.places(scores)
    return (
        pa.DictionaryArray.from_arrays(pa.array(decision), pa.array(DECISIONS)),
        pa.DictionaryArray.from_arrays(pa.array(band), pa.array(decider.bands)),
    )


def rows_for_programs(
    ids: pa.Array, scores: pa.Array, bands: pa.Array, contacts: ContactList, rule: ContactRule, version: str
) -> pa.RecordBatch:
    """The rows of these leads for programs, with these contacts."""
    contacted = contacts.ranked | contacts.explored
    decision = pa.DictionaryArray.from_arrays(pa.array(contacted.astype(np.int8)), pa.array(DECISIONS))
    by = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(ids), np.int8)), pa.array([version]))
    columns = [ids, scores, decision, bands, by]
    if rule.explores:
        policy = pa.array(contacts.explored.astype(np.int8), mask=~contacted)
        columns.append(pa.DictionaryArray.from_arrays(policy, pa.array(POLICIES)))
    return pa.RecordBatch.from_arrays(columns, schema=output_schema(rule))


@contextmanager
def writing_rows(
    out: Writable, form: Format, people: ForPeople | None, written: Written, rule: ContactRule
) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """Writes rows of the output: for people as the leads' file is written, for programs as Arrow writes CSV."""
    schema = people.schema if people else output_schema(rule)
    gathered: list[pa.RecordBatch] = []
    if form == "csv" and people:
        decimal = people.decimal or ("," if written.delimiter == ";" else ".")
        sheet = SheetWriter(out, schema.names, written.delimiter, decimal, written.byte_order_mark)
        yield lambda batch: sheet.write(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        return
    plain = pa.schema([(f.name, getattr(f.type, "value_type", f.type)) for f in schema]) if form == "csv" else schema
    writer: Any = arrow_csv.CSVWriter(out, plain) if form == "csv" else _parquet(out, schema)

    def flush() -> None:
        writer.write_table(pa.Table.from_batches(gathered, schema).cast(plain))
        gathered.clear()

    def write(batch: pa.RecordBatch) -> None:
        gathered.append(batch)
        if sum(len(each) for each in gathered) >= OPEN_ROWS:
            flush()

    try:
        yield write
        flush()
    finally:
        writer.close()


def _parquet(out: Writable, schema: pa.Schema) -> parquet.ParquetWriter:
    """Ids and scores hardly repeat: looking for repetitions would cost more than it saves."""
    repeat = [field.name for field in schema if pa.types.is_dictionary(field.type) or field.name.startswith("reason_")]
    return parquet.ParquetWriter(out, schema, compression="zstd", use_dictionary=repeat, write_statistics=False)
