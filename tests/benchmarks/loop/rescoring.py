"""c. Leads that are scored again every night: does the evaluation judge the score that people acted on?

A lead's log-odds are normal (mean MEAN, deviation DEVIATION), and so is a model's error about them. A lead is scored
on the day that it comes, and in each of the RESCORED nights after it. A lead that will convert reads more with every
night (WARMING log-odds a night); once it has converted, fields of the CRM give it away (KNOWN log-odds more).
Conversions come evenly over MATURITY days. Of the window's leads IMPORTED are scored for the first time when their
outcome is known. Records, outcome files and the relations that read them are the product's own; records are compacted
or not, as an installation has it. A file of outcomes comes every night, with those that came that day.

With times in the outcome files, a lead whose outcome came before its first score is left out. Without times nobody can
tell: a file's name does not say when the file came, and a storage gives no time of an object. What can be known there
is the lead's first score over all compacted history, which was made before any outcome unless the lead was imported
late. So the world without times has no imported leads.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from service.lifecycle.compact import compact
from service.lifecycle.data.outcome import OutcomeValues
from service.lifecycle.data.source import OutcomesFile, Source
from service.lifecycle.evaluation.outcomes import PREFIX, write_outcomes
from service.lifecycle.evaluation.quality import Scores, Target
from service.lifecycle.relations.engines import opened
from service.lifecycle.relations.first_scores import first_scores
from service.lifecycle.relations.outcomes import LabelRules, labelled
from service.model.bundle import Economics
from service.records import PredictionRecord, object_key, to_lines, to_object
from service.storage import Folder
from tests.benchmarks.loop.limits import Progress
from tests.benchmarks.loop.trials import run_trials

SEEDS, QUICK = 8, 1
DAYS, WINDOW, LEADS = 50, 28, 100
"""Days of the history, days of the window, and leads that come a day."""
MATURITY, RESCORED, IMPORTED = 14, 30, 0.1
MEAN, DEVIATION, ERROR, WARMING, KNOWN = -2.0, 1.2, 1.0, 0.12, 4.0
OFF = 0.02
"""How far the reported ROC-AUC may be from the true one."""
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = BEGIN + timedelta(days=DAYS)
SOURCE = Source(
    name="rescored",
    path="leads.csv",
    id_column="lead_id",
    target_column="outcome",
    positive=("won",),
    maturity_days=MATURITY,
    outcomes=OutcomesFile(path="outcomes.csv", time_column="at"),
    economics=Economics(conversion_value=600, contact_cost=60),
)
UNDATED = SOURCE.model_copy(update={"outcomes": OutcomesFile(path="outcomes.csv")})
LIMITS: dict[str, tuple[float, float]] = {
    "ROC-AUC less the true one, records as they came": (-OFF, OFF),
    "ROC-AUC less the true one, compacted records": (-OFF, OFF),
    "ROC-AUC less the true one, compacted records, outcomes without times": (-OFF, OFF),
}


@dataclass(frozen=True)
class Lives:
    """Leads by the day of their first score; one converts `converts` days after it came, or never where that is nan."""

    day: Scores
    came: Scores
    log_odds: Scores
    converts: Scores

    @property
    def target(self) -> Target:
        """Whether a lead converts within maturity."""
        return (self.converts <= MATURITY).astype(np.int8)

    def score(self, night: int) -> tuple[np.ndarray, Scores]:
        """The leads that are scored in this night, and their scores."""
        rows = np.flatnonzero((self.day <= night) & (night <= self.day + RESCORED))
        age = night - self.came[rows]
        known = self.converts[rows] < age
        warm = np.where(np.isnan(self.converts[rows]), 0.0, WARMING * age)
        return rows, expit(self.log_odds[rows] + warm + KNOWN * known)


def lives(seed: int, late_imports: float) -> Lives:
    """All leads of the history, this share of the window's imported late."""
    draw, count = np.random.default_rng(seed), DAYS * LEADS
    day = np.repeat(np.arange(DAYS), LEADS).astype(np.float64)
    odds = draw.normal(MEAN, DEVIATION, count)
    seen = MEAN + DEVIATION**2 / (DEVIATION**2 + ERROR**2) * (odds + draw.normal(0, ERROR, count) - MEAN)
    converts = np.where(draw.random(count) < expit(odds), draw.uniform(0.1, MATURITY, count), np.nan)
    imported = (draw.random(count) < late_imports) & (day >= DAYS - WINDOW)
    return Lives(day, np.where(imported, day - MATURITY - 1, day), seen, converts)


def write(world: Lives, predictions: Folder, leads: Folder, dated: bool) -> None:
    """The records of every night, and the file of outcomes that comes in it."""
    for night in range(DAYS):
        rows, scores = world.score(night)
        at = BEGIN + timedelta(days=night, hours=2)
        records = [
            PredictionRecord(
                request_id=f"night-{night}",
                lead_id=f"lead-{row}",
                time=at,
                model_version="1",
                inputs={"n": 1.0},
                score=float(score),
                decision="contact",
                band="A",
                latency_ms=0.0,
                source=SOURCE.name,
                channel="api",
                role="champion",
            )
            for row, score in zip(rows, scores, strict=True)
        ]
        predictions.create(object_key(f"{at:%Y%m%dT%H%M%SZ}-night"), to_object(to_lines(records)))
    ended = np.where(np.isnan(world.converts), MATURITY, world.converts) + world.came
    for night in range(1, DAYS + 1):
        rows = np.flatnonzero(np.ceil(ended) == night)
        if not len(rows):
            continue
        table = {
            "lead_id": [f"lead-{row}" for row in rows],
            "outcome": ["won" if world.target[row] else "lost" for row in rows],
        }
        if dated:
            table["at"] = [(BEGIN + timedelta(days=float(ended[row]), hours=3)).isoformat() for row in rows]
        sink = pa.BufferOutputStream()
        parquet.write_table(pa.table(table), sink)
        leads.create(f"{PREFIX}night-{night:02}.parquet", sink.getvalue().to_pybytes())


def reported(predictions: Folder, leads: Folder, dated: bool) -> float:
    """ROC-AUC of the window's labelled leads, as the product's evaluation reads them."""
    # Leads of the window's end have no final outcome yet.
    since, ripe = NOW - timedelta(days=WINDOW), NOW - timedelta(days=MATURITY)
    with opened("duckdb", predictions, since, NOW, "benchmark", lambda _: None) as engine:
        engine.define(first_scores(since))
        values = OutcomeValues(("won",), ("lost",))
        written = write_outcomes(engine, SOURCE if dated else UNDATED, values, leads)
        engine.define(labelled(["score"], LabelRules(ripe, timedelta(days=MATURITY), written.complete_until(NOW))))
        table = engine.results(["labelled"])["labelled"]
    return float(roc_auc_score(table["target"].to_numpy(), table["score"].to_numpy()))


def error(seed: int, compacted: bool, dated: bool = True) -> float:
    """The reported ROC-AUC less the true one; outcomes without times are of a world without imported leads."""
    world = lives(seed, IMPORTED if dated else 0.0)
    true = float(roc_auc_score(world.target, expit(world.log_odds)))
    with tempfile.TemporaryDirectory(prefix="rescoring-") as name:
        predictions, leads = Folder(Path(name) / "predictions"), Folder(Path(name) / "leads")
        write(world, predictions, leads, dated)
        if compacted:
            compact(predictions, leads, NOW + timedelta(days=1))
        return reported(predictions, leads, dated) - true


def measure(seeds: int, tell: Progress = print) -> dict[str, float]:
    """The mean error over so many histories."""
    kinds = {"compacted": False}, {"compacted": True}, {"compacted": True, "dated": False}
    return {
        name: float(np.mean(run_trials(partial(error, **kind), range(1, seeds + 1), name, tell)))
        for name, kind in zip(LIMITS, kinds, strict=True)
    }


def limits(quick: bool) -> Mapping[str, tuple[float, float]]:
    """The few leads of a quick look know a ROC-AUC to .05."""
    if not quick:
        return LIMITS
    return dict.fromkeys(LIMITS, (-0.05, 0.05))
