"""What dashboards show beyond what alerts read, made up for the pictures to fit a world of the replay."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from monitoring import google
from monitoring.simulation.fleet import AGREED
from monitoring.simulation.tsdb import Samples
from monitoring.simulation.world import DAY, EPOCH, World

Array = NDArray[np.float64]

# Share of the requests that are not slow within so many seconds; of the slow ones beyond a quarter.
QUICK = {"0.001": 0.2, "0.0025": 0.6, "0.005": 0.85, "0.01": 0.94, "0.025": 0.98, "0.05": 0.988, "0.1": 0.99}
SLOW = {"0.5": 0.6, "1": 0.9, "2.5": 1.0, "5": 1.0, "+Inf": 1.0}
BANDS = {"A": 0.42, "B": 0.24, "C": 0.11, "D": 0.03}  # share that converts
TENTHS = (0.46, 0.22, 0.12, 0.07, 0.05, 0.03, 0.02, 0.015, 0.01, 0.005)  # of the scores, from the lowest
FIELDS = ("employees", "country", "job_title")
METRICS = {  # usual value, half of the interval
    "precision": (0.36, 0.04),
    "recall": (0.58, 0.05),
    "f1": (0.44, 0.04),
    "roc_auc": (0.78, 0.02),
    "accuracy": (0.86, 0.01),
    "profit": (1_350.0, 150.0),
}
CONTACTS, COST = 300.0, 40.0  # a day, each
EXPLORED = 420.0  # leads with an outcome in an evaluation


def further(world: World) -> Iterator[Samples]:
    """Every further series."""
    rng = np.random.default_rng(world.seed)
    yield from _minutes(world, rng)
    yield from _days(world, rng)


def _minutes(world: World, rng: np.random.Generator) -> Iterator[Samples]:
    name, labels = "leadscoring_request_duration_seconds_bucket", {"route": "/v1/score"}
    shares = {le: share * (1 - world.slow) for le, share in QUICK.items()}
    shares |= {le: 1 - world.slow * (1 - share) for le, share in SLOW.items()}
    for le, share in shares.items():
        yield _series(world, name, {**labels, "le": le}, np.cumsum(world.rate * share))
    name, labels = "leadscoring_requests_total", {"route": "other", "method": "GET"}
    yield _series(world, name, {**labels, "status": "404"}, np.cumsum(rng.poisson(0.002 * world.rate)))
    for number, given in enumerate(TENTHS):
        tenth = f"{number / 10}-{(number + 1) / 10}"
        yield _series(world, "leadscoring_scores_total", {"tenth": tenth}, np.cumsum(rng.poisson(given * world.rate)))
    # Autopilot's requests are its limits.
    for what in ("cpu", "memory"):
        of = world.tracks[f"kubernetes_io:container_{what}_limit_utilization"][0]
        name, labels = f"kubernetes_io:container_{what}_request_utilization", {**of.labels, "pod_name": "scoring-0-0"}
        yield _series(world, name, labels, of.values)


def _days(world: World, rng: np.random.Generator) -> Iterator[Samples]:
    evaluated, drift = world.figures["evaluate"], world.figures["drift"]
    days = world.days + 2
    auc, error = {"figure": "roc_auc"}, {"figure": "calibration_error"}
    yield from _metrics(rng, days)
    high = evaluated["leadscoring_agreed_figure_high", AGREED]
    yield _daily("agreed_figure", "evaluate", high - 150, **dict(pair.split("=") for pair in AGREED.split(",")))
    low = evaluated["leadscoring_evaluation_figure_low", _key(error)]
    yield _daily("evaluation_figure", "evaluate", low + 0.015, **error)
    yield _daily("evaluation_mean_score", "evaluate", rng.normal(0.18, 0.004, days))
    yield _daily("evaluation_near_threshold_ratio", "evaluate", rng.normal(0.12, 0.006, days))
    for band, share in BANDS.items():
        yield _daily("conversion_ratio", "evaluate", share * rng.normal(1, 0.04, days), band=band)
    yield from _exploring(rng, days)
    contacts = np.round(rng.normal(CONTACTS, 12, days))
    roi = evaluated["leadscoring_business_roi_ratio", ""]
    yield _daily("business_contacts", "evaluate", contacts)
    yield _daily("business_cost", "evaluate", COST * contacts)
    yield _daily("business_revenue", "evaluate", COST * contacts * (1 + roi))
    yield _daily("expected_figure", "drift", drift["leadscoring_expected_figure_high", _key(auc)] - 0.02, **auc)
    yield _daily("drift_features", "drift", 2 * drift["leadscoring_drift_found", ""])
    for field in FIELDS:
        for name, usual in (("feature_unseen_excess_ratio", 0.004), ("feature_missing_excess_ratio", 0.01)):
            yield _daily(name, "drift", rng.uniform(0, 2 * usual, days), feature=field)


def _metrics(rng: np.random.Generator, days: int) -> Iterator[Samples]:
    """Each metric that people can agree on, with its interval and its benchmark."""
    for figure, (usual, spread) in METRICS.items():
        value = usual + rng.normal(0, spread / 6, days)
        for name, off in (("figure", 0.0), ("figure_low", -spread), ("figure_high", spread)):
            yield _daily(f"evaluation_{name}", "evaluate", value + off, figure=figure)
        if figure != "roc_auc":  # the world has that one
            yield _daily("evaluation_benchmark", "evaluate", np.full(days, usual - 0.4 * spread), figure=figure)


def _exploring(rng: np.random.Generator, days: int) -> Iterator[Samples]:
    """Outcomes are those of contacted leads, of which some were contacted at random."""
    for by, depends in (("decision", 1.0), ("score", 1.0)):
        yield _daily("evaluation_outcomes_selected", "evaluate", np.full(days, depends), by=by)
    for decision, share in (("contact", 0.94), ("skip", 0.0)):
        yield _daily("evaluation_with_outcome_ratio", "evaluate", share * rng.normal(1, 0.01, days), decision=decision)
    explored = np.round(rng.normal(EXPLORED, 12, days))
    yield _daily("evaluation_explored_leads", "evaluate", np.round(1.2 * explored))
    yield _daily("evaluation_effective_leads", "evaluate", 3.1 * explored)
    yield _daily("exploration_contacts", "evaluate", explored)
    yield _daily("exploration_cost", "evaluate", COST * explored)
    yield _daily("exploration_revenue", "evaluate", 0.4 * COST * explored * rng.normal(1, 0.08, days))


def _key(labels: dict[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in labels.items())


def _series(world: World, name: str, labels: dict[str, str], values: Array) -> Samples:
    known = google.of(name)
    late = int(known.delay.total_seconds()) if known else 0
    return Samples(
        name, labels, EPOCH + 60 * np.arange(world.minutes, dtype=np.int64) + late, np.asarray(values, float)
    )


def _daily(name: str, job: str, values: Array, **labels: str) -> Samples:
    """A figure that the job publishes at seven in the morning."""
    times = EPOCH + 60 * (DAY * np.arange(len(values), dtype=np.int64) + 420)
    return Samples(f"leadscoring_{name}", {"job": job, **labels}, times, np.asarray(values, float))
