"""The leads scored lately, as drift needs them: counts of all by the reference's bins and values, and a sample."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.evaluation.scored import broken_records
from service.lifecycle.relations.duck import DuckEngine, opened
from service.lifecycle.relations.feature_counts import NAME, as_counts, feature_counts
from service.lifecycle.relations.first_scores import first_scores
from service.lifecycle.relations.prepared import input_columns, prepared
from service.lifecycle.relations.relation import Relation, literal, quoted
from service.lifecycle.runtime.runner import Progress
from service.model import bundle
from service.model.bundle import Bundle, BundleRefused
from service.model.reference import Counts
from service.storage import Storage

BACK = timedelta(days=90)
SAMPLED = 20_000
"""Leads that are scored again, at most: the share that is contacted is then known to .4 percentage points."""


@dataclass(frozen=True)
class LeadWindow:
    """The leads scored from `since` on that can be compared: `leads` of them, counted in `counts` a feature.

    `sample` has at most SAMPLED of them, prepared; the same ones each time. `left_out` are versions whose leads are not
    among them, for their fields meant something else to a caller; `broken` are objects and lines that hold no record.
    """

    since: datetime
    leads: int
    counts: list[Counts]
    sample: pd.DataFrame
    left_out: tuple[str, ...]
    broken: tuple[Rejected, ...]


def recent(
    predictions: Storage, models: Storage, served: Bundle, now: datetime, span: timedelta, least: int, tell: Progress
) -> LeadWindow:
    """The leads scored in this span before now, or in twice, four times ... of it until they are `least`."""
    while True:
        since = now - span
        tell(f"reading the leads scored since {since:%Y-%m-%d %H:%M} UTC")
        with opened(predictions, since, now) as engine:
            engine.define([*first_scores(since), VERSIONS])
            versions = _rows(engine, VERSIONS.name)
            if sum(leads for _, leads in versions) >= least or span >= BACK:
                left_out = _unlike(models, served, [version for version, _ in versions])
                leads = sum(leads for version, leads in versions if version not in left_out)
                tell(f"counting {leads:,} leads by their values")
                counts, sample = _compared(engine, served, left_out)
                return LeadWindow(since, leads, counts, sample, left_out, broken_records(engine.broken, predictions))
        span = min(2 * span, BACK)


VERSIONS = Relation("versions", "select model_version, count(*) as leads from first_scores group by model_version")


def _compared(engine: DuckEngine, served: Bundle, left_out: Iterable[str]) -> tuple[list[Counts], pd.DataFrame]:
    schema, reference = served.manifest.lead_schema, served.reference
    columns = engine.columns
    named = [quoted(name) for name in input_columns(schema) if name in columns]
    out = " and ".join([f"model_version <> {literal(version)}" for version in left_out] or ["true"])
    compared = f"select * from first_scores where {out}"  # noqa: S608
    order = "order by md5(lead_key), lead_key"
    sample = f"select {', '.join(['lead_key', *named])} from compared {order} limit {SAMPLED}"  # noqa: S608
    counted = feature_counts(schema, reference, columns, "compared")
    engine.define([Relation("compared", compared), counted, Relation("sample", sample)])
    results = engine.results([NAME, "sample"])
    return as_counts(reference, results[NAME]), prepared(schema, results["sample"])


def _unlike(models: Storage, served: Bundle, versions: Iterable[str]) -> tuple[str, ...]:
    """Those of the versions whose fields meant something else to a caller, or are not known any more."""

    def unlike(version: str) -> bool:
        try:
            then = bundle.read_manifest(models, version).lead_schema
        except BundleRefused:
            return True
        return any(served.manifest.lead_schema.refusals_of(then))

    return tuple(version for version in sorted(versions) if version != served.version and unlike(version))


def _rows(engine: DuckEngine, name: str) -> list[tuple[str, int]]:
    found = engine.results([name])[name]
    return list(zip(found["model_version"].to_pylist(), found["leads"].to_pylist(), strict=True))
