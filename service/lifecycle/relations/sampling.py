"""The relations by which a sample is drawn from labelled leads; see `service.lifecycle.relations.sample_plan`.

They read `labelled`, which has one row a lead: lead_key, lead_id, time, target (1 where it converted), weight, explored
(see `outcomes.labelled`) and the inputs, and `own_leads`, which has the lead_key of leads that are known otherwise and
left out here. Sessions must be in UTC: `date_trunc` counts hours in the session's zone.
"""

# ruff: noqa: S608 - names and values in the texts are quoted by `relation`

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from service.lifecycle.relations.relation import Relation, RelationEngine, literal, quoted
from service.lifecycle.relations.sample_plan import (
    DIGITS,
    HOUR,
    NEWEST,
    Hours,
    Integers,
    Newest,
    SamplePlan,
    Stratum,
    newest_rows,
)

OWN_LEADS = pa.schema([("lead_key", pa.string())])

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = (datetime(year, 1, 1, tzinfo=UTC) for year in (1900, 9999))


@dataclass(frozen=True)
class LabelledRelation:
    """The leads of `labelled` as a population to sample from; only the rows that are asked for come to Python.

    Made by `counted`, for samples of `rows` leads.
    """

    engine: RelationEngine
    rows: int
    seed: int
    counts: Mapping[str, pa.Table]

    def newest(self, rows: int) -> Newest:
        """See `Population`."""
        if rows > newest_rows(self.rows):
            raise ValueError(f"the newest {newest_rows(self.rows)} leads are known, not {rows}")
        found = self.counts["sample_newest"]
        return Newest(microseconds(found["time"]), found["tie"].to_numpy().astype(f"S{DIGITS}"), _target(found))

    def hours(self) -> Hours:
        """See `Population`."""
        found = self.counts[HOURS.name]
        return Hours(microseconds(found["hour"]) // HOUR, _target(found), found["leads"].to_numpy())

    def drawn(self, plan: SamplePlan | None, columns: Sequence[str]) -> pa.Table:
        """The leads that the plan keeps, all without a plan: lead_id, time, target, weight, explored, stratum, these.

        A column that no record has is left out.
        """
        sample = drawn(plan, [name for name in columns if name in self.engine.columns])
        self.engine.define([sample])
        found = self.engine.results([sample.name])[sample.name]
        return found.sort_by([("time", "ascending"), ("lead_id", "ascending")])  # engines have no order


def counted(
    engine: RelationEngine, rows: int, seed: int = 0, besides: Sequence[str] = ()
) -> tuple[LabelledRelation, dict[str, pa.Table]]:
    """The population for samples of so many leads, and the rows of other relations, which cost no batch of their own.

    A plan needs the counts and a sample the plan, so that sampling takes two batches of Spark. The second one draws
    from what the first one has kept.
    """
    relations = [SAMPLED_FROM, newest(newest_rows(rows), seed), HOURS]
    engine.define(relations)
    found = engine.results([relation.name for relation in relations[1:]] + [*besides])
    return LabelledRelation(engine, rows, seed, found), found


SAMPLED_FROM = Relation("sampled_from", "select * from labelled where lead_key not in (select lead_key from own_leads)")
"""The leads that a sample is drawn from."""

HOURS = Relation(
    "sample_hours",
    "select date_trunc('hour', time) as hour, target, count(*) as leads from sampled_from "
    "group by date_trunc('hour', time), target",
)
"""How many leads of an outcome came in an hour."""


def newest(rows: int, seed: int) -> Relation:
    """time, tie and target of that many of the newest leads."""
    query = f"select time, {_tie(seed)} as tie, target from sampled_from order by time desc, tie limit {rows:d}"
    return Relation("sample_newest", query)


def recent(rows: int, columns: Sequence[str]) -> Relation:
    """time and these columns of that many of the leads scored last, with or without an outcome."""
    named = ", ".join(["time", "lead_key", *map(quoted, columns)])
    query = f"select {named} from scored_outcomes order by time desc, lead_key limit {rows:d}"
    return Relation("recent_leads", query)


def drawn(plan: SamplePlan | None, columns: Sequence[str]) -> Relation:
    """These columns of the leads that the plan keeps; `stratum` is the number of what keeps a lead, or NEWEST."""
    named = ", ".join(["lead_id", "time", "target", "weight", "explored", *map(quoted, columns)])
    if plan is None:
        return Relation("sample", f"select {named}, {NEWEST:d} as stratum from sampled_from")
    place = _place(plan.seed)
    cases = [f"when {_newest(plan)} then {NEWEST:d}"]
    cases += [f"when {_keeps(stratum, place)} then {number:d}" for number, stratum in enumerate(plan.strata)]
    each = f"select {named}, case {' '.join(cases)} end as stratum from sampled_from"
    return Relation("sample", f"select * from ({each}) as kept where stratum is not null")


def microseconds(times: pa.ChunkedArray) -> Integers:
    """Times in microseconds since 1970."""
    values: Integers = times.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    return values


def _target(table: pa.Table) -> Integers:
    return np.asarray(table["target"].to_numpy(), dtype=np.int64)


def _place(seed: int) -> str:
    return f"substr(md5(concat('{seed:d}:', lead_key)), 1, {DIGITS:d})"


def _tie(seed: int) -> str:
    return f"substr(md5(concat('{seed:d}:', lead_key)), {DIGITS + 1:d}, {DIGITS:d})"


def _newest(plan: SamplePlan) -> str:
    at = _time(plan.cut.moment)
    return f"time > {at} or (time = {at} and {_tie(plan.seed)} <= '{plan.cut.tie}')"


def _keeps(stratum: Stratum, place: str) -> str:
    return (
        f"target = {int(stratum.converted)} and time >= {_time(stratum.since)} and time < {_time(stratum.until)} "
        f"and {place} < '{stratum.below}'"
    )


def _time(moment: int) -> str:
    """A literal. A moment of leads without a time is long before all scores, and the year 1900 stands for it."""
    least, most = ((at - _EPOCH) // timedelta(microseconds=1) for at in (_FIRST, _LAST))
    return literal(_EPOCH + timedelta(microseconds=min(max(moment, least), most)))
