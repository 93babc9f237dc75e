"""How one model version did on the leads that it scored and whose outcome is final."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.history import BandOutcome, Estimate, ExplorationCost, Weighting
from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.evaluation.confidence import DRAWS, estimates
from service.lifecycle.evaluation.exploration import exploration
from service.lifecycle.evaluation.quality import NAMES
from service.lifecycle.evaluation.weighting import weighting
from service.lifecycle.relations.cells import CELL, LINES, cells, segments
from service.lifecycle.relations.relation import RelationEngine
from service.model.bundle import Economics, Manifest

MIN_LEADS, MIN_OUTCOMES = 100, 10
"""Leads, and leads of either outcome, that figures need; with fewer, the intervals say nothing."""

MIN_SHARE = 0.03
"""Smaller segments are not shown."""
PART_DRAWS = 500
PART_FIGURES = ("roc_auc", "brier")
"""The figures of a band or segment."""

PERCENTILES = (50, 95, 99, 100)


@dataclass(frozen=True)
class Part:
    """The leads with an outcome of one band or segment; `figures` are empty where they are too few or too one-sided.

    Of all leads, with or without an outcome, `converted_share` is an estimate, which rests on `effective` leads; None
    where too few were explored to tell.
    """

    name: str
    leads: int
    converted: int
    contacted: int
    mean_score: float
    converted_share: float | None
    effective: float
    figures: dict[str, Estimate]


@dataclass(frozen=True)
class VersionQuality:
    """One version's leads in figures. `near_threshold` is a share, `latency_ms` goes by PERCENTILES; it is empty
    where all leads came in files. Where only contacted leads have outcomes, `weighting` is not None."""

    manifest: Manifest
    cells: ScoreCells
    whole: Part
    bands: tuple[Part, ...]
    segments: tuple[Part, ...]
    near_threshold: float
    latency_ms: dict[int, float]
    business: dict[str, float]
    weighting: Weighting | None
    exploration: ExplorationCost | None
    explored_days: float

    @property
    def too_few(self) -> str | None:
        """Why there are no figures, or None."""
        whole = self.whole
        if _enough(whole.leads, whole.converted):
            return None
        return (
            f"{self.manifest.version} has {whole.leads} leads with a final outcome, of which {whole.converted} "
            f"converted; figures need {MIN_LEADS}, with {MIN_OUTCOMES} that did and {MIN_OUTCOMES} that did not"
        )

    def band_outcomes(self) -> tuple[BandOutcome, ...]:
        """The bands for the history."""
        return tuple(
            BandOutcome(band=b.name, leads=b.leads, converted=b.converted, contacted=b.contacted) for b in self.bands
        )


@dataclass(frozen=True)
class VersionCells:
    """The rows of one version in `relations.cells`: its cells, those of its large segments, and latencies.

    `explored_days` are those from its first explored lead with an outcome to its last lead, 0 without one.
    """

    cells: pa.Table
    segments: pa.Table
    latencies: pa.Table
    explored_days: float


CELL_RESULTS = ("cells", "segment_cells", "latencies", "exploring")
SORTED = frozenset({"band", "feature", "value", *CELL.split(", "), "step"})


def write_cells(engine: RelationEngine, manifests: Mapping[str, Manifest]) -> None:
    """Have the engine know the cells of `judged_leads`, as CELL_RESULTS."""
    with engine.writing("lines", LINES) as write:
        each = manifests.values()
        lines = {
            "model_version": list(manifests),
            "threshold": [m.threshold for m in each],
            "capacity": [float(m.economics.contacts_per_1000_leads) for m in each],
        }
        write(pa.table(lines, schema=LINES))
    schemas = {version: manifest.lead_schema for version, manifest in manifests.items()}
    engine.define([*cells(), *segments(schemas, engine.columns, MIN_SHARE, MIN_OUTCOMES)])


def version_cells(found: Mapping[str, pa.Table], version: str) -> VersionCells:
    """The cells of one version, of the rows of CELL_RESULTS."""

    def of(name: str) -> pa.Table:
        rows = found[name].filter(pc.equal(found[name]["model_version"], version))
        # Engines have no order, and what is drawn at random for an interval goes by it.
        return rows.sort_by([(key, "ascending") for key in rows.column_names if key in SORTED])

    exploring = found["exploring"].filter(pc.equal(found["exploring"]["model_version"], version)).to_pylist()
    days = [(row["until"] - row["since"]) / timedelta(days=1) for row in exploring if row["since"]]
    return VersionCells(of("cells"), of("segment_cells"), of("latencies"), sum(days))


def judge_version(manifest: Manifest, found: VersionCells) -> VersionQuality:
    """All figures of these leads, which the version scored. Bands and decisions are those that were answered.

    The team made the contacts that were decided on, each day as far as it could, best scores first. The figures are
    those of the leads themselves as far as `confidence.estimates` states; counts, means and money are exact. Where only
    contacted leads have outcomes, figures and money are estimates for all leads; with too few explored ones there are
    no figures, and the money is that of the contacts made.
    """
    whole = ScoreCells.of_table(found.cells)
    leads = float(whole.leads.sum())

    def part(name: str, table: pa.Table) -> Part:
        return _part(manifest, name, table, PART_DRAWS, PART_FIGURES)

    return VersionQuality(
        manifest,
        whole,
        _part(manifest, "all", found.cells, DRAWS, NAMES),
        tuple(part(band.name, found.cells.filter(pc.equal(found.cells["band"], band.name))) for band in manifest.bands),
        tuple(part(name, table) for name, table in _segments(manifest, found.segments)),
        float(pc.sum(found.cells["near"]).as_py() or 0.0) / leads if leads else 0.0,
        _latency(found.latencies),
        business(whole, manifest.economics),
        weighting(whole),
        exploration(found.cells, manifest.economics),
        found.explored_days,
    )


def _part(manifest: Manifest, name: str, table: pa.Table, draws: int, figures: Sequence[str]) -> Part:
    cells = ScoreCells.of_table(table)
    labelled = np.where(cells.known, cells.leads, 0.0)
    leads, converted = float(labelled.sum()), float(labelled @ cells.target)
    every, weighted = float(cells.leads.sum()), weighting(cells)
    of_all = weighted is None or weighted.enough
    return Part(
        name,
        round(leads),
        round(converted),
        round(float(labelled[cells.decided].sum())),
        float(pc.sum(table["score_sum"]).as_py()) / every if every else 0.0,
        float(cells.mass @ cells.target / cells.mass.sum() if leads else 0.0) if of_all else None,
        leads if weighted is None else weighted.effective,
        estimates(cells, manifest.threshold, manifest.economics, draws, names=figures)
        if of_all and _enough(leads, converted)
        else {},
    )


def _enough(leads: float, converted: float) -> bool:
    return leads >= MIN_LEADS and min(converted, leads - converted) >= MIN_OUTCOMES


def _segments(manifest: Manifest, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The cells of each segment with its name, in the schema's order, the largest segments of a feature first."""
    for feature in manifest.lead_schema.features:
        mine = table.filter(pc.equal(table["feature"], feature.name))
        sizes = mine.group_by("value").aggregate([("leads", "sum")]).to_pylist()
        for size in sorted(sizes, key=lambda each: (-each["leads_sum"], each["value"])):
            value = size["value"]
            shown = float(value) if feature.kind == "boolean" and value else value
            name = f"{feature.name} {shown!r}" if value else f"{feature.name} missing"
            yield name, mine.filter(pc.equal(mine["value"], value))


def _latency(table: pa.Table) -> dict[int, float]:
    """By PERCENTILES, to 1 %; the slowest exactly. Empty where no lead was answered by the service."""
    if not len(table):
        return {}
    steps = table.sort_by("step")
    leads, milliseconds, most = (steps[name].to_numpy() for name in ("leads", "milliseconds", "most"))
    reached = np.cumsum(leads) / leads.sum()
    places = [min(int(np.searchsorted(reached, p / 100)), len(leads) - 1) for p in PERCENTILES]
    means = milliseconds / leads
    return {p: float(most.max() if p == 100 else means[at]) for p, at in zip(PERCENTILES, places, strict=True)}


def business(cells: ScoreCells, economics: Economics) -> dict[str, float]:
    """What the contacts earned, beside as many at random and contacting everyone: totals, in the currency given.

    Contacts are those that the team makes, with an outcome or without; those that explored are not among them. Where
    too few explored to tell what all leads would have earned, only the contacts are there, those with an outcome.
    """
    weighted = weighting(cells)
    enough = weighted is None or weighted.enough
    every = cells.leads if enough else np.where(cells.known, cells.leads, 0.0)
    mass = cells.mass if enough else every
    leads, contacts = float(every.sum()), float(every[cells.decided].sum())
    rate = float(mass @ cells.target / mass.sum()) if mass.any() else 0.0
    ways = {"": (contacts, float((mass * cells.decided) @ cells.target))}
    if enough:
        ways |= {"random_": (contacts, contacts * rate), "all_": (leads, leads * rate)}
    found: dict[str, float] = {}
    for way, (count, conversions) in ways.items():
        revenue, cost = economics.conversion_value * conversions, economics.contact_cost * count
        figures = {"contacts": count, "conversions": conversions, "revenue": revenue, "cost": cost}
        figures |= {"profit": revenue - cost, "roi": (revenue - cost) / cost if cost else 0.0}
        found |= {f"{way}{name}": float(value) for name, value in figures.items()}
    return found
