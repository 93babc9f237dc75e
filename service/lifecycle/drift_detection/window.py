"""The leads scored lately, as drift needs them: counts of all by the reference's bins and values, and a sample."""

# ruff: noqa: S608 - names and values in the texts are quoted by `relation`

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, log2

import pandas as pd

from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.evaluation.reading import published
from service.lifecycle.evaluation.scored import broken_records
from service.lifecycle.relations import engines
from service.lifecycle.relations.feature_counts import NAME, as_counts, feature_counts
from service.lifecycle.relations.first_scores import first_scores
from service.lifecycle.relations.prepared import input_columns, prepared
from service.lifecycle.relations.relation import Relation, literal, quoted
from service.lifecycle.runtime.runner import Loop
from service.model.bundle import Bundle, Manifest
from service.model.reference import Counts, Reference
from service.model.schema import LeadSchema

BACK = timedelta(days=90)
SAMPLED = 20_000
"""Leads that are scored again, at most: the share that is contacted is then known to .4 percentage points."""


@dataclass(frozen=True)
class LeadWindow:
    """The leads scored from `since` on, `by_version` of them; those that can be compared are in `counts`, a feature.

    `sample` has at most SAMPLED of these, prepared; the same ones each time. `left_out` are versions whose leads are
    not among them, for their fields meant something else to a caller or are not known any more; `broken` are objects
    and lines that hold no record.
    """

    since: datetime
    by_version: Mapping[str, int]
    counts: list[Counts]
    sample: pd.DataFrame
    left_out: tuple[str, ...]
    broken: tuple[Rejected, ...]

    @property
    def leads(self) -> int:
        """How many can be compared."""
        return sum(leads for version, leads in self.by_version.items() if version not in self.left_out)


def recent(loop: Loop, engine: str, served: Bundle, span: timedelta, least: int) -> LeadWindow:
    """The leads scored in this span before now, or in twice, four times ... of it until they are `least`.

    All longer spans are looked at together, so that Spark runs two batches at most.
    """
    known = published.manifests(loop.models) | {served.version: served.manifest}
    like = [version for version, manifest in known.items() if _like(served, manifest)]
    window = _window(loop, engine, served, [span], least, like)
    if sum(window.by_version.values()) < least and span < BACK:
        longer = [min(2**power * span, BACK) for power in range(1, ceil(log2(BACK / span)) + 1)]
        window = _window(loop, engine, served, longer, least, like)
    return window


def _window(
    loop: Loop, engine: str, served: Bundle, spans: Sequence[timedelta], least: int, like: Sequence[str]
) -> LeadWindow:
    """The leads of the shortest of these spans that has `least`, or of the longest."""
    begins = [loop.now - span for span in spans]
    loop.tell(f"reading the leads scored since {begins[-1]:%Y-%m-%d %H:%M} UTC, and counting them by their values")
    with engines.opened(engine, loop.predictions, begins[-1], loop.now, "drift", loop.tell) as opened:
        schema, reference = served.manifest.lead_schema, served.reference
        opened.define(window_relations(schema, reference, opened.columns, begins, least, like))
        found = opened.results(RESULTS)
        broken = broken_records(opened.broken, loop.predictions)
    by_version = dict(zip(*(found["versions"][name].to_pylist() for name in ("model_version", "leads")), strict=True))
    (place,) = found["chosen"]["place"].to_pylist()
    return LeadWindow(
        begins[place],
        by_version,
        as_counts(reference, found[NAME]),
        prepared(schema, found["rescored"].sort_by("lead_key")),
        tuple(sorted(by_version.keys() - set(like))),
        broken,
    )


RESULTS = ("chosen", "versions", NAME, "rescored")


def window_relations(
    schema: LeadSchema,
    reference: Reference,
    columns: frozenset[str],
    begins: Sequence[datetime],
    least: int,
    like: Sequence[str],
) -> list[Relation]:
    """RESULTS: `chosen`, `versions(model_version, leads)`, feature counts and a sample of the leads of a window.

    It is the first of those that begin at `begins`, the shortest one first, that has `least` leads, or the last one:
    `chosen` has its `place` among them. Counted and sampled are leads that one of the versions `like` scored.
    """
    inputs = "".join(f", {quoted(name)}" for name in input_columns(schema) if name in columns)
    totals = ", ".join(f"count(case when time >= {literal(at)} then 1 end) as leads_{i}" for i, at in enumerate(begins))
    places, times = (
        " ".join(f"when leads_{i} >= {least:d} then {value}" for i, value in enumerate(values))
        for values in (range(len(begins)), map(literal, begins))
    )
    return [
        *first_scores(begins[-1]),
        Relation("scored", f"select lead_key, model_version, time{inputs} from first_scores", kept=True),
        Relation("totals", f"select {totals} from scored"),
        Relation(
            "chosen",
            f"select case {places} else {len(begins) - 1} end as place, "
            f"case {times} else {literal(begins[-1])} end as since from totals",
        ),
        Relation("window_leads", "select * from scored where time >= (select since from chosen)"),
        Relation("versions", "select model_version, count(*) as leads from window_leads group by model_version"),
        Relation("compared", f"select * from window_leads where model_version in ({', '.join(map(literal, like))})"),
        feature_counts(schema, reference, columns, "compared"),
        Relation("rescored", f"select lead_key{inputs} from compared order by md5(lead_key), lead_key limit {SAMPLED}"),
    ]


def _like(served: Bundle, then: Manifest) -> bool:
    """Whether the fields of this version's leads mean the same to a caller as those of the served one."""
    same = then.version == served.version
    return same or not any(served.manifest.lead_schema.refusals_of(then.lead_schema))
