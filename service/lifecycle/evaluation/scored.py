"""Scored leads of a stretch of time, read from the prediction records."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.relations.columns import input_field
from service.lifecycle.relations.duck import opened
from service.lifecycle.relations.first_scores import first_scores
from service.lifecycle.relations.relation import Relation
from service.model.choices import joined, parted
from service.model.numbers import as_written
from service.model.schema import LeadSchema, Value
from service.records import RecordError
from service.storage import Storage

COLUMNS = ("lead_id", "time", "model_version", "score", "decision", "band", "latency_ms")


@dataclass(frozen=True)
class ScoredLeads:
    """Scored leads, oldest first: `table` has COLUMNS, `inputs` the features as received, one dict a row of it.

    Each lead is there once, with the score it was given first: that is the one that people acted on. Trials, which are
    no leads, are not. `records` counts all, `repeated` those of leads scored again; `broken` are objects and lines that
    hold none.
    """

    table: pd.DataFrame
    inputs: list[dict[str, Value]]
    records: int
    repeated: int
    broken: tuple[Rejected, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    def select(self, rows: pd.Series) -> "ScoredLeads":
        """Those of the leads for which this mask holds."""
        kept = np.flatnonzero(rows.to_numpy())
        table, inputs = self.table.iloc[kept].reset_index(drop=True), [self.inputs[i] for i in kept]
        return replace(self, table=table, inputs=inputs)


def read_scored(predictions: Storage, since: datetime, until: datetime) -> ScoredLeads:
    """The leads scored in [since, until). What is broken is in `broken`, to be set aside. Raises StorageError."""
    with opened(predictions, since, until) as engine:
        engine.define(first_scores(since))
        engine.define([Relation("ordered", "select * from first_scores order by time, request_id")])
        found = engine.results(["ordered", "record_counts"])
        broken = broken_records(engine.broken, predictions)
    first, counts = found["ordered"], found["record_counts"].to_pylist()
    table = first.select(list(COLUMNS)).to_pandas()
    table["time"] = pd.to_datetime(table["time"], utc=True)
    total, leads = (sum(row[name] for row in counts) for name in ("records", "leads"))
    return ScoredLeads(table, _inputs(first), total, leads - len(table), broken)


def broken_records(broken: Iterable[tuple[str, RecordError]], predictions: Storage) -> tuple[Rejected, ...]:
    """Objects and lines that hold no record, to be set aside."""
    return tuple(
        Rejected(file=f"{predictions.url}/{key}", row=e.line, column="", reason=e.reason, content=e.text)
        for key, e in broken
    )


def _inputs(first: pa.Table) -> list[dict[str, Value]]:
    """The inputs of each row, without the missing ones."""
    fields = {column: field[1] for column in first.column_names if (field := input_field(column))}
    rows = first.select(list(fields)).to_pylist() if fields else [{} for _ in range(len(first))]
    return [{fields[column]: value for column, value in row.items() if value is not None} for row in rows]


def prepare(schema: LeadSchema, inputs: Sequence[dict[str, Value]]) -> pd.DataFrame:
    """The inputs, prepared as in `service.lifecycle.data.leads`: numbers float64 (NaN: missing), text ("": missing).

    A field that the schema does not know is left out. A value of another kind is missing in a category: it is of an
    older schema, under which the field was none.
    """
    columns = {}
    for feature in schema.features:
        values = [row.get(feature.name) for row in inputs]
        if feature.kind == "category":
            texts = [v if isinstance(v, str) and v not in feature.missing else "" for v in values]
            if feature.separator:
                texts = [joined(parted(text, feature.separator), feature.separator) for text in texts]
            columns[feature.name] = np.array(texts, dtype=object)
        else:
            numbers = as_written(np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64))
            absent = [m for m in feature.missing if not isinstance(m, str)]
            columns[feature.name] = np.where(np.isin(numbers, absent), np.nan, numbers)
    return pd.DataFrame(columns, columns=[f.name for f in schema.features])
