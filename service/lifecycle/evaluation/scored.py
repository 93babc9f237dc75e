"""Scored leads of a stretch of time, read from the prediction records."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from service import records
from service.lifecycle.data.quarantine import Rejected
from service.model.choices import joined, parted
from service.model.schema import LeadSchema, Value
from service.records import PredictionRecord
from service.storage import Storage

LATE = timedelta(hours=1)
"""How much earlier than its records an object may be named: a segment is closed each hour."""

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
    found, broken = [], []
    for key in _keys(predictions, since, until):
        if stored := predictions.read(key):
            whole, errors = records.sift_object(stored.data, key)
            found += [record for record in whole if since <= record.time < until]
            file = f"{predictions.url}/{key}"
            broken += [Rejected(file=file, row=e.line, column="", reason=e.reason, content=e.text) for e in errors]
    return as_scored(found, broken)


def as_scored(found: Sequence[PredictionRecord[dict[str, Value]]], broken: Sequence[Rejected] = ()) -> ScoredLeads:
    """The leads of these records."""
    # A retried request has a record of its own; the earliest is the score that was acted on.
    leads = [r for r in found if not r.is_trial]
    ordered = sorted(leads, key=lambda r: (r.time, r.request_id))
    first: dict[str, PredictionRecord[dict[str, Value]]] = {}
    for record in ordered:
        first.setdefault(record.lead_id, record)
    kept = list(first.values())
    table = pd.DataFrame({name: [getattr(r, name) for r in kept] for name in COLUMNS}, columns=list(COLUMNS))
    table["time"] = pd.to_datetime(table["time"], utc=True)
    return ScoredLeads(table, [r.inputs for r in kept], len(found), len(leads) - len(kept), tuple(broken))


def prepare(schema: LeadSchema, inputs: Sequence[dict[str, Value]]) -> pd.DataFrame:
    """The inputs, prepared as in `service.lifecycle.data.leads`: numbers float64 (NaN: missing), text ("": missing).

    A field that the schema does not know is left out.
    """
    columns = {}
    for feature in schema.features:
        values = [row.get(feature.name) for row in inputs]
        if feature.kind == "category":
            texts = ["" if v is None or v in feature.missing else str(v) for v in values]
            if feature.separator:
                texts = [joined(parted(text, feature.separator), feature.separator) for text in texts]
            columns[feature.name] = np.array(texts, dtype=object)
        else:
            numbers = np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64)
            absent = [m for m in feature.missing if not isinstance(m, str)]
            columns[feature.name] = np.where(np.isin(numbers, absent), np.nan, numbers)
    return pd.DataFrame(columns, columns=[f.name for f in schema.features])


def _keys(predictions: Storage, since: datetime, until: datetime) -> Iterator[str]:
    """Keys of the objects that may hold records of this time, a day's folder at a time."""
    first, last = since.astimezone(UTC) - LATE, until.astimezone(UTC)
    bounds = f"{first:%Y-%m-%dT%H}", f"{last:%Y-%m-%dT%H}"
    for day in pd.date_range(first.date(), last.date(), freq="D"):
        for key in predictions.keys(f"{records.PREFIX}dt={day:%Y-%m-%d}/"):
            hour = re.search(r"dt=(\S+)/hh=(\d\d)/", key)
            if hour and bounds[0] <= f"{hour[1]}T{hour[2]}" <= bounds[1]:
                yield key
