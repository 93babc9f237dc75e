"""c. Conversions that come after maturity: is a calibrated champion called miscalibrated?

Every week LEADS leads come. A lead's score is its true chance to convert within MATURITY days; LATE of all conversions
come later, after LATER more days in the mean. Each week a file of outcomes comes: the leads that mature, lost or won,
and as won those that were lost in an earlier file and converted since. Each week the champion's calibration is judged
on the leads of the last WEEKS_KEPT weeks, by the product's relations, window and gate.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pyarrow as pa
from scipy.special import expit

from service.lifecycle.evaluation.quality import Scores, Target
from service.lifecycle.promotion import gate
from service.lifecycle.promotion.challenger import window
from service.lifecycle.promotion.gate import Rules
from service.lifecycle.relations.duck import without_records
from service.lifecycle.relations.outcomes import OUTCOME_ROWS, LabelRules, labelled, outcomes
from tests.benchmarks.loop.limits import Progress
from tests.benchmarks.loop.trials import run_trials

YEARS, QUICK = 100, 4
WEEKS, WEEKS_KEPT, LEADS, MATURITY, LATE, LATER = 52, 8, 500, 28, 0.3, 20.0
MEAN, DEVIATION = -2.75, 1.2
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SCORED = pa.schema(
    [
        ("lead_key", pa.string()),
        ("time", pa.timestamp("us", "UTC")),
        ("score", pa.float64()),
        ("decision", pa.string()),
        ("policy", pa.string()),
        ("probability", pa.float64()),
    ]
)
FALSE = "share of years in which the calibrated champion is called miscalibrated"
LIMITS: dict[str, tuple[float, float]] = {FALSE: (0.0, 0.05)}


def year(seed: int, late: float) -> bool:
    """Whether any look of the year calls the champion miscalibrated."""
    draw, count = np.random.default_rng(seed), (WEEKS + WEEKS_KEPT) * LEADS
    scores = expit(draw.normal(MEAN, DEVIATION, count))
    drawn = draw.random(count)
    within, ever = drawn < scores, drawn < scores / (1 - late)
    after = np.where(within, draw.uniform(0, MATURITY, count), MATURITY + draw.exponential(LATER, count))
    came: Scores = (np.arange(count) // LEADS * 7).astype(np.float64)
    converted: Scores = np.where(ever, came + after, np.inf).astype(np.float64)
    first = MATURITY // 7 + 1
    return any(called(scores, came, converted, 7.0 * week) for week in range(first, WEEKS + first))


def called(scores: Scores, came: Scores, converted: Scores, now: float) -> bool:
    """Whether the look of this day calls it so."""
    rows = np.flatnonzero((came > now - MATURITY - 7 * WEEKS_KEPT) & (came <= now - MATURITY))
    target, seen = labels(scores[rows], came[rows], converted[rows], now)
    judged = window(target, np.arange(len(target)), Rules())
    return judged is not None and gate.miscalibration(target[judged], seen[judged]) is not None


def labels(scores: Scores, came: Scores, converted: Scores, now: float) -> tuple[Target, Scores]:
    """Outcomes and scores, oldest first, as the product's relations label these leads."""
    keys = np.array([f"lead-{row:05}" for row in range(len(scores))], dtype=object)
    ripe = came + MATURITY
    won = converted <= ripe
    later = np.flatnonzero(~won & (converted <= now))
    files = np.concatenate([ripe, np.ceil(converted[later] / 7) * 7]).astype(np.int32)
    place = np.concatenate([np.arange(len(scores)), later])
    said = np.concatenate([won, np.ones(len(later), dtype=bool)])
    at = np.concatenate([np.where(won, converted, ripe), converted[later]])
    rows = {
        "lead_key": keys[place],
        "converted": said,
        "time": _times(at),
        "file_number": files,
        "row": np.arange(len(place)),
        "id_text": keys[place],
        "outcome_text": np.where(said, "won", "lost").astype(object),
    }
    with without_records() as engine:
        with engine.writing("first_scores", SCORED) as write:
            nulls = [pa.nulls(len(keys), SCORED.field(name).type) for name in SCORED.names[3:]]
            write(pa.table([keys, _times(came), scores, *nulls], schema=SCORED))
        with engine.writing("outcome_rows", OUTCOME_ROWS) as write:
            write(pa.table({name: rows[name] for name in OUTCOME_ROWS.names}, schema=OUTCOME_ROWS))
        ends = BEGIN + timedelta(days=now - MATURITY)
        engine.define(
            [*outcomes(), *labelled(["lead_key", "score", "time"], LabelRules(ends, timedelta(days=MATURITY)))]
        )
        table = engine.results(["labelled"])["labelled"].sort_by([("time", "ascending"), ("lead_key", "ascending")])
    return table["target"].to_numpy().astype(np.int8), table["score"].to_numpy()


def _times(days: Scores) -> pa.Array:
    begin = np.datetime64(BEGIN.replace(tzinfo=None), "us")
    return pa.array(begin + (days * 86_400e6).astype("timedelta64[us]")).cast(pa.timestamp("us", "UTC"))


def measure(years: int, tell: Progress = print, late: float = LATE) -> dict[str, float]:
    """The share of the years."""
    found = run_trials(partial(year, late=late), range(years), f"{late:.0%} late conversions", tell)
    return {FALSE: float(np.mean(found))}


def limits(quick: bool) -> Mapping[str, tuple[float, float]]:
    """A quick look has few years: one of them may be called so."""
    return {FALSE: (0.0, 1 / QUICK)} if quick else LIMITS
