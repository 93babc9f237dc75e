"""How one model version did on the leads that it scored and whose outcome is final."""

from dataclasses import dataclass

import numpy as np

from service.history import BandOutcome, Estimate
from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.evaluation.confidence import estimates
from service.lifecycle.evaluation.outcomes import LabelledScores
from service.lifecycle.evaluation.quality import Mask, Scores, Target
from service.lifecycle.evaluation.scored import prepare
from service.lifecycle.evaluation.segments import segments
from service.model.bundle import Economics, Manifest
from service.model.decide import contacts_made

MIN_LEADS, MIN_OUTCOMES = 100, 10
"""Leads, and leads of either outcome, that figures need; with fewer, the intervals say nothing."""

NEAR = 0.1
"""A score is near the threshold within this share of it: a little more or less, and the decision is the other."""

MIN_SHARE = 0.03
"""Smaller segments are not shown."""
PART_DRAWS = 500
PERCENTILES = (50, 95, 99, 100)


@dataclass(frozen=True)
class Part:
    """The leads of one band or segment; `figures` are empty where they are too few or too one-sided."""

    name: str
    leads: int
    converted: int
    contacted: int
    mean_score: float
    figures: dict[str, Estimate]


@dataclass(frozen=True)
class VersionQuality:
    """One version's leads in figures. `near_threshold` is a share, `latency_ms` goes by PERCENTILES."""

    manifest: Manifest
    target: Target
    scores: Scores
    whole: Part
    bands: tuple[Part, ...]
    segments: tuple[Part, ...]
    near_threshold: float
    latency_ms: dict[int, float]
    business: dict[str, float]

    @property
    def too_few(self) -> str | None:
        """Why there are no figures, or None."""
        whole = self.whole
        if whole.figures:
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


def judge_version(manifest: Manifest, judged: LabelledScores) -> VersionQuality:
    """All figures of these leads, which the version scored. Bands and decisions are those that were answered.

    The team made the contacts that were decided on, as far as it could, best scores first.
    """
    table, target = judged.scored.table, judged.target
    scores = table["score"].to_numpy(dtype=np.float64)
    made = contacts_made(scores, (table["decision"] == "contact").to_numpy(), manifest.economics)
    seen = table["band"].to_numpy()

    def part(name: str, rows: Mask, draws: int = PART_DRAWS) -> Part:
        leads, converted = int(rows.sum()), int(target[rows].sum())
        enough = leads >= MIN_LEADS and min(converted, leads - converted) >= MIN_OUTCOMES
        return Part(
            name,
            leads,
            converted,
            int(made[rows].sum()),
            float(scores[rows].mean()) if leads else 0.0,
            _estimates(manifest, target[rows], scores[rows], made[rows], draws) if enough else {},
        )

    everyone = np.ones(len(target), dtype=bool)
    frame = prepare(manifest.lead_schema, judged.scored.inputs)
    parts = segments(manifest.lead_schema, frame, target, MIN_SHARE, MIN_OUTCOMES)
    near = np.abs(scores - manifest.threshold) <= NEAR * manifest.threshold
    latency = np.percentile(table["latency_ms"], PERCENTILES) if len(table) else np.zeros(len(PERCENTILES))
    return VersionQuality(
        manifest,
        target,
        scores,
        part("all", everyone, draws=2_000),
        tuple(part(band.name, seen == band.name) for band in manifest.bands),
        tuple(part(name, rows) for name, rows in parts.items()),
        float(near.mean()) if len(near) else 0.0,
        {p: float(ms) for p, ms in zip(PERCENTILES, latency, strict=True)},
        business(target, made, manifest.economics),
    )


def _estimates(manifest: Manifest, target: Target, scores: Scores, made: Mask, draws: int) -> dict[str, Estimate]:
    cells = ScoreCells.of(target, scores, made, manifest.threshold)
    return estimates(cells, manifest.threshold, manifest.economics, draws)


def business(target: Target, made: Mask, economics: Economics) -> dict[str, float]:
    """What the contacts earned, beside as many at random and contacting everyone: totals, in the currency given."""
    contacts, rate = int(made.sum()), float(target.mean()) if len(target) else 0.0
    ways = {
        "": (contacts, float(target[made].sum())),
        "random_": (contacts, contacts * rate),
        "all_": (len(target), float(target.sum())),
    }
    found: dict[str, float] = {}
    for way, (count, conversions) in ways.items():
        revenue, cost = economics.conversion_value * conversions, economics.contact_cost * count
        figures = {"contacts": count, "conversions": conversions, "revenue": revenue, "cost": cost}
        figures |= {"profit": revenue - cost, "roi": (revenue - cost) / cost if cost else 0.0}
        found |= {f"{way}{name}": float(value) for name, value in figures.items()}
    return found
