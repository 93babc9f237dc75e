"""All leads whose outcome is final: the source's own, and those that the service scored and that outcomes came for."""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from service import records
from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.quarantine import set_aside
from service.lifecycle.data.source import Source
from service.lifecycle.evaluation.outcomes import LabelledScores, judge, read_outcomes
from service.lifecycle.evaluation.scored import prepare, read_scored
from service.model.bundle import Provenance
from service.model.schema import LeadSchema
from service.reading.ids import join_key
from service.storage import Storage


class Seen(NamedTuple):
    """What a model that was trained on some leads states: `seen_rows` and `seen_until` of its provenance."""

    rows: int
    until: datetime | None


@dataclass(frozen=True)
class LabelledLeads:
    """Leads with final outcomes, oldest first; of those `own` are the source's, the others were scored.

    A lead of the source's own that has no time comes before all that were scored.
    """

    leads: Leads
    own: npt.NDArray[np.bool_]

    def unseen(self, by: Provenance) -> npt.NDArray[np.bool_]:
        """Which of them the model was neither trained nor judged on.

        Where the source states no order its own leads all count as seen, and an untimed one by its place.
        """
        rows, until = (by.rows, by.trained_at) if by.seen_rows is None else (by.seen_rows, by.seen_until)
        further = np.full(len(self.own), self.leads.in_time_order) & self.own & (np.cumsum(self.own) > rows)
        if self.leads.times is None:
            return further
        timed = self.leads.times.notna()
        later = timed if until is None else np.asarray(self.leads.times > pd.Timestamp(until))
        return np.where(timed, later, further)

    @classmethod
    def whole(cls, own: Leads) -> "LabelledLeads":
        """The source's own leads alone."""
        return cls(own, np.ones(len(own.target), dtype=bool))

    def seen(self) -> Seen:
        """What a model has seen that is trained on them.

        Until the end of the last one's hour: the bundle keeps it, and the very time would be one lead's.
        """
        times = self.leads.times
        timed = None if times is None else times[times.notna()]
        until = None if timed is None or not len(timed) else timed.max().ceil("h").to_pydatetime()
        return Seen(int(self.own.sum()), until)


def matured(source: Source, schema: LeadSchema, predictions: Storage, leads: Storage, now: datetime) -> LabelledLeads:
    """All leads with an outcome that is final now, under the served schema; what cannot be used is set aside.

    Raises SourceError naming file, row and column, and StorageError.
    """
    maturity = timedelta(days=source.maturity_days)
    own = load(source, schema)
    if own.times is not None:
        own = select(own, np.flatnonzero(own.times <= pd.Timestamp(now - maturity)))
    oldest = first_scored(predictions)
    if oldest is None:
        return join(own, None)
    scored, outcomes = read_scored(predictions, oldest, now), read_outcomes(source, own.outcomes, leads)
    set_aside(leads, "predictions", scored.broken)
    set_aside(leads, "outcomes", outcomes.rejected)
    return join(own, judge(scored, outcomes, now, maturity, source.absent_after_days is not None))


def join(own: Leads, judged: LabelledScores | None) -> LabelledLeads:
    """The source's own leads and the scored ones whose id is not among them."""
    known = set() if own.ids is None else set(map(join_key, own.ids))
    if judged is not None and known:
        new = ~judged.scored.table["lead_id"].map(join_key).isin(known)
        judged = replace(judged, scored=judged.scored.select(new), target=judged.target[new.to_numpy()])
    if judged is None or not len(judged.scored):
        return LabelledLeads.whole(own)
    table = judged.scored.table
    frame = pd.concat([own.frame, prepare(own.schema, judged.scored.inputs)], ignore_index=True)
    target = np.concatenate([own.target, judged.target])
    ids = np.concatenate([np.full(len(own.target), None) if own.ids is None else own.ids, table["lead_id"]])
    untimed = pd.DatetimeIndex([pd.NaT] * len(own.target), tz="UTC")
    times = pd.DatetimeIndex([*(untimed if own.times is None else own.times), *table["time"]])
    digest = hashlib.sha256(own.sha256.encode())
    digest.update(pd.util.hash_pandas_object(frame.assign(target=target), index=False).to_numpy().tobytes())
    every = replace(own, frame=frame, target=target, ids=ids, times=times, sha256=digest.hexdigest(), left_out={})
    order = np.argsort(times.fillna(pd.Timestamp.min.tz_localize("UTC")), kind="stable")
    is_own = np.arange(len(target)) < len(own.target)
    return LabelledLeads(select(every, order), is_own[order])


def select(leads: Leads, rows: npt.NDArray[np.intp]) -> Leads:
    """The leads at these places, in their order."""
    return replace(
        leads,
        frame=leads.frame.iloc[rows].reset_index(drop=True),
        target=leads.target[rows],
        ids=None if leads.ids is None else leads.ids[rows],
        times=None if leads.times is None else leads.times[rows],
        left_out={name: cells[rows] for name, cells in leads.left_out.items()},
    )


def first_scored(predictions: Storage) -> datetime | None:
    """The day of the oldest prediction record."""
    for key in predictions.keys(records.PREFIX):
        if day := re.search(r"dt=(\d{4}-\d\d-\d\d)/", key):
            return datetime.fromisoformat(day[1]).replace(tzinfo=UTC)
    return None
