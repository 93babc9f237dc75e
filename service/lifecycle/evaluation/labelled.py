"""All leads whose outcome is final: the source's own, and those that the service scored and that outcomes came for."""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from service import records
from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.quarantine import set_aside
from service.lifecycle.data.source import Source
from service.lifecycle.evaluation.labels import write_labels
from service.lifecycle.evaluation.outcomes import RESULTS
from service.lifecycle.evaluation.scored import broken_records
from service.lifecycle.evaluation.strata import STRATA, Strata
from service.lifecycle.relations.engines import opened
from service.lifecycle.relations.first_scores import first_scores
from service.lifecycle.relations.lead_keys import lead_keys
from service.lifecycle.relations.prepared import input_columns, prepared
from service.lifecycle.relations.record_files import MANIFESTS
from service.lifecycle.relations.sample_plan import HOUR, NEWEST, NOT_KEPT, KnownLeads, drawn, places_of, plan
from service.lifecycle.relations.sampling import OWN_LEADS, LabelledRelation, counted, microseconds, recent
from service.lifecycle.runtime.runner import Progress
from service.model.bundle import Provenance
from service.model.schema import LeadSchema
from service.storage import Storage

UNTIMED = -(10**18)
"""The moment of the first lead without a time, in microseconds: 31,000 years ago."""


FEWEST = 500
"""Leads with or without an outcome from which contact rule, bands and reference are made."""

RECENT = 20_000
"""Leads with or without an outcome that are read, at most: shares of them are known to .4 percentage points."""


class RecentLeads(NamedTuple):
    """The leads that were scored last, whether they have an outcome or not, oldest first: prepared inputs and times."""

    frame: pd.DataFrame
    times: pd.DatetimeIndex


class Seen(NamedTuple):
    """What a model that was trained on some leads states: `seen_rows` and `seen_until` of its provenance."""

    rows: int
    until: datetime | None


@dataclass(frozen=True)
class LabelledLeads:
    """Leads with final outcomes, oldest first; those with a `place` are the source's own, the others were scored.

    It is the place among all of the source's `own_rows` leads, from 1 on; 0 for others. A lead of the source's own that
    has no time comes before all that were scored. `strata` are those of the scored leads where only contacted ones have
    outcomes; None where nobody was explored. `recent` are scored leads of all kinds. `doubt` says why contacts may be
    missing.
    """

    leads: Leads
    place: npt.NDArray[np.int64]
    own_rows: int
    strata: Strata | None = None
    recent: RecentLeads | None = None
    doubt: str = ""

    def unseen(self, by: Provenance) -> npt.NDArray[np.bool_]:
        """Which of them the model was neither trained nor judged on.

        Where the source states no order its own leads all count as seen, and an untimed one by its place.
        """
        rows, until = (by.rows, by.trained_at) if by.seen_rows is None else (by.seen_rows, by.seen_until)
        further = np.full(len(self.place), self.leads.in_time_order) & (self.place > rows)
        if self.leads.times is None:
            return further
        timed = self.leads.times.notna()
        later = timed if until is None else np.asarray(self.leads.times > pd.Timestamp(until))
        return np.where(timed, later, further)

    @classmethod
    def whole(cls, own: Leads) -> "LabelledLeads":
        """The source's own leads alone, all of them."""
        return cls(own, np.arange(1, len(own.target) + 1), len(own.target))

    def later(self) -> pd.DataFrame | None:
        """The leads that were scored after the last one with an outcome; None where there are few."""
        times = self.leads.times
        if self.recent is None or times is None:
            return None
        later = np.asarray(self.recent.times > times.max())
        return self.recent.frame[later].reset_index(drop=True) if later.sum() >= FEWEST else None

    def seen(self) -> Seen:
        """What a model has seen that is trained on them.

        Until the end of the last one's hour: the bundle keeps it, and the very time would be one lead's.
        """
        times = self.leads.times
        timed = None if times is None else times[times.notna()]
        until = None if timed is None or not len(timed) else timed.max().ceil("h").to_pydatetime()
        return Seen(self.own_rows, until)


def matured(
    source: Source,
    schema: LeadSchema,
    predictions: Storage,
    leads: Storage,
    now: datetime,
    seed: int = 0,
    engine: str = "duckdb",
    tell: Progress = print,
) -> LabelledLeads:
    """Leads with an outcome that is final now, under the served schema: all, or a sample as the source's recipe says.

    What cannot be used is set aside. Raises SourceError naming file, row and column, RelationsFailed and StorageError.
    """
    ripe = now - timedelta(days=source.maturity_days)
    own = load(source, schema)
    if own.times is not None:
        own = select(own, np.flatnonzero(own.times <= pd.Timestamp(ripe)))
    since = first_scored(predictions)
    if since is None:
        return sample(own, source.recipe.rows, seed=seed)
    with opened(engine, predictions, since, now, "retrain", tell) as records_engine:
        records_engine.define(first_scores(since))
        wanted = [name for name in input_columns(schema) if name in records_engine.columns]
        columns = ["lead_key", "lead_id", "time", *wanted]
        written = write_labels(records_engine, source, own.outcomes, leads, columns, now)
        with records_engine.writing("own_leads", OWN_LEADS) as write:
            if own.ids is not None:
                write(pa.table([_keys(own.ids)], schema=OWN_LEADS))
        besides = [recent(RECENT, wanted), *([STRATA] if source.outcomes_of == "contacted" else [])]
        records_engine.define(besides)
        names = [*RESULTS, *(relation.name for relation in besides)]
        scored, found = counted(records_engine, source.recipe.rows, seed, names)
        strata = Strata.of(found[STRATA.name]) if STRATA in besides else None
        every = replace(
            sample(own, source.recipe.rows, scored, seed, strata),
            recent=_recent(schema, found["recent_leads"]),
            doubt=written.contacts.doubt(now) if source.outcomes_of == "contacted" else "",
        )
        broken = broken_records(records_engine.broken, predictions)
    set_aside(leads, "predictions", broken)
    written.set_aside(found, leads)
    return every


def sample(
    own: Leads, rows: int, scored: LabelledRelation | None = None, seed: int = 0, strata: Strata | None = None
) -> LabelledLeads:
    """About so many of the source's own leads and of the scored ones whose id is not among them; all if there are less.

    The relation's `own_leads` must hold the keys of the own leads' ids. Weights of contacted leads are normalised by
    the `strata`.
    """
    # Leads without an id are told apart by where they stand.
    keys = map(str, range(len(own.target))) if own.ids is None else _keys(own.ids).to_pylist()
    known = KnownLeads(_moments(own), places_of(keys, seed), own.target.astype(np.int64))
    made = plan([known, *([scored] if scored else [])], rows, seed)
    kept = known.kept(made) if made else np.full(len(own.target), NEWEST)
    mine = np.flatnonzero(kept != NOT_KEPT)
    own_leads, moments, stratum, place = select(own, mine), known.moments[mine], kept[mine], mine + 1
    every = own_leads
    if scored is not None and (table := scored.drawn(made, input_columns(own.schema))).num_rows:
        every = _with_scored(own_leads, table, strata)
        moments = np.concatenate([moments, microseconds(table["time"])])
        stratum = np.concatenate([stratum, table["stratum"].to_numpy().astype(np.int64)])
        place = np.concatenate([place, np.zeros(table.num_rows, dtype=np.int64)])
    if made:
        every = replace(every, drawn=drawn(made, stratum))
    order = np.lexsort((every.whole, moments))  # of one moment the newest leads last, else as they came
    return LabelledLeads(select(every, order), place[order], len(own.target), strata)


def _recent(schema: LeadSchema, table: pa.Table) -> RecentLeads:
    table = table.sort_by([("time", "ascending"), ("lead_key", "ascending")])
    return RecentLeads(prepared(schema, table), pd.to_datetime(microseconds(table["time"]), unit="us", utc=True))


def _with_scored(own: Leads, table: pa.Table, strata: Strata | None) -> Leads:
    """The source's own leads, then the scored ones."""
    frame = pd.concat([own.frame, prepared(own.schema, table)], ignore_index=True)
    target = np.concatenate([own.target, table["target"].to_numpy().astype(np.int8)])
    ids = np.full(len(own.target), None) if own.ids is None else own.ids
    untimed = pd.DatetimeIndex([pd.NaT] * len(own.target), tz="UTC")
    own_times = untimed if own.times is None else own.times
    scored_at = pd.to_datetime(microseconds(table["time"]), unit="us", utc=True)
    times = pd.DatetimeIndex(own_times.append(scored_at))
    digest = hashlib.sha256(own.sha256.encode())
    digest.update(pd.util.hash_pandas_object(frame.assign(target=target), index=False).to_numpy().tobytes())
    ids = np.concatenate([ids, table["lead_id"].to_numpy(zero_copy_only=False)])
    weight, explored = table["weight"].to_numpy(), table["explored"].to_numpy(zero_copy_only=False)
    weight = strata.normalised(weight, explored) if strata else weight
    weights = np.concatenate([np.ones(len(own.target)), weight])
    return replace(
        own,
        frame=frame,
        target=target,
        ids=ids,
        times=times,
        sha256=digest.hexdigest(),
        left_out={},
        contact_weights=None if (weights == 1).all() else weights,
        explored=np.concatenate([np.zeros(len(own.target), dtype=bool), explored]),
    )


def _moments(own: Leads) -> npt.NDArray[np.int64]:
    """Microseconds. Leads without a time are an hour apart in their order, or of one moment, long before all others."""
    if own.times is not None:
        return own.times.to_numpy("datetime64[us]").astype(np.int64)
    return UNTIMED + np.arange(len(own.target)) * (HOUR if own.in_time_order else 0)


def _keys(ids: npt.NDArray[np.object_]) -> pa.Array:
    return lead_keys(pa.array(ids, pa.string()))


def select(leads: Leads, rows: npt.NDArray[np.intp]) -> Leads:
    """The leads at these places, in their order."""
    return replace(
        leads,
        frame=leads.frame.iloc[rows].reset_index(drop=True),
        target=leads.target[rows],
        ids=None if leads.ids is None else leads.ids[rows],
        times=None if leads.times is None else leads.times[rows],
        left_out={name: cells[rows] for name, cells in leads.left_out.items()},
        drawn=leads.drawn and leads.drawn.select(rows),
        contact_weights=None if leads.contact_weights is None else leads.contact_weights[rows],
        explored=None if leads.explored is None else leads.explored[rows],
    )


def judgeable(leads: Leads) -> Leads:
    """Those of a sample that stand for themselves alone; all that are no sample."""
    return select(leads, np.flatnonzero(leads.whole)) if leads.drawn else leads


def first_scored(predictions: Storage) -> datetime | None:
    """The day of the oldest prediction record."""
    days = []
    for prefix in (records.PREFIX, MANIFESTS):
        found = (re.search(r"/(?:dt|day)=(\d{4}-\d\d-\d\d)", key) for key in predictions.keys(prefix))
        if day := next(filter(None, found), None):
            days.append(datetime.fromisoformat(day[1]).replace(tzinfo=UTC))
    return min(days, default=None)
