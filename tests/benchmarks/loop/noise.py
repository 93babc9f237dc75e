"""How often "beyond noise" is said though nothing changed: `python -m tests.benchmarks.loop.noise`.

A lead's log-odds of converting are normal (mean -2.5, deviation 1.2). A model sees them with a normal error of
deviation ERROR and scores the chance that follows. Its benchmark is of a fifth of the training rows or, where it was
promoted for a gain over a champion of deviation WORSE, of the window that the gate judged on. Then it is looked at
LOOKS times, each on a window of fresh leads of the same world. A trial is a false alarm where any look names a change.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from service.history import Estimate
from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.evaluation.confidence import estimates, share
from service.lifecycle.evaluation.quality import Scores, Target, figures
from service.lifecycle.evaluation.regressions import at_evaluation, at_training, changes
from service.lifecycle.promotion.gate import Contender, Rules, decide
from service.lifecycle.promotion.optimism import optimism
from service.lifecycle.training.registration import judged_on
from service.lifecycle.training.selection import HELD_OUT
from service.model.bundle import Economics, JudgedOn
from service.model.decide import contacts_made
from tests.benchmarks.loop.limits import Limit, judged

TRIALS, QUICK = 400, 20
ROWS, WINDOWS, GATE = (20_000, 60_000, 200_000), (3_000, 8_000), 2_000
LOOKS = 4
FALSE = 0.05
MEAN, DEVIATION, ERROR, WORSE = -2.5, 1.2, 1.0, 1.15
SHARED = 0.9
"""Of the errors of two models trained on the same leads, their correlation."""
LUCK = 0.003
"""ROC-AUC by which a promoted model's expected figure may be off the truth, in the mean."""
MONEY = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=200)
DRAWS = 300
"""Resamples of a window's figures: 300 know an error to 4 %."""


@dataclass(frozen=True)
class Trained:
    """A model's benchmark."""

    benchmark: dict[str, float]
    judged_on: JudgedOn


def scored(draw: np.random.Generator, leads: int, errors: Sequence[float] = (ERROR,)) -> tuple[Target, list[Scores]]:
    """Outcomes of fresh leads, and the scores of models with these errors."""
    odds = draw.normal(MEAN, DEVIATION, leads)
    common = draw.normal(size=leads)
    scores = []
    for error in errors:
        own = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * draw.normal(size=leads)
        trust = DEVIATION**2 / (DEVIATION**2 + error**2)
        likely = MEAN + trust * (odds + error * own - MEAN)
        scores.append(_mean_chance(likely, DEVIATION**2 * (1 - trust)))
    return (draw.random(leads) < expit(odds)).astype(np.int8), scores


def _mean_chance(likely: Scores, variance: float) -> Scores:
    """The chance where the log-odds are normal, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    spread = likely[:, None] + np.sqrt(variance) * nodes
    chance: Scores = expit(spread) @ (weights / weights.sum())
    return chance


def window(draw: np.random.Generator, leads: int) -> dict[str, Estimate]:
    """The figures of a look."""
    target, (scores,) = scored(draw, leads)
    threshold = MONEY.threshold
    cells = ScoreCells.of(target, scores, contacts_made(scores, scores >= threshold, MONEY), threshold)
    return estimates(cells, threshold, MONEY, DRAWS)


def trained(draw: np.random.Generator, rows: int) -> Trained:
    """A first model, judged on a fifth of the rows."""
    target, (scores,) = scored(draw, round(HELD_OUT * rows))
    return _benchmark(target, scores, {})


def promoted(draw: np.random.Generator) -> Trained:
    """The first of a row of challengers to pass the gate."""
    while True:
        target, (before, after) = scored(draw, GATE, (WORSE, ERROR))
        champion, challenger = Contender(before, MONEY.threshold), Contender(after, MONEY.threshold)
        rules = Rules(draws=DRAWS)
        verdict = decide(target, champion, challenger, "roc_auc", MONEY, rules=rules)
        if verdict.by == "gain":
            lucky = optimism(target, champion, challenger, verdict, "roc_auc", MONEY, rules)
            return _benchmark(target, after, lucky)


def _benchmark(target: Target, scores: Scores, lucky: dict[str, float]) -> Trained:
    shown = figures(target, scores, MONEY.threshold, MONEY)
    return Trained(shown, judged_on(target, scores, MONEY.threshold, MONEY, lucky))


def alarmed(model: Trained, looks: Sequence[dict[str, Estimate]], leads: int) -> bool:
    """Whether any look names a change."""
    for look, now in enumerate(looks, 1):
        others = [at_training(model.benchmark, model.judged_on, now, leads, model.judged_on.leads)]
        if look > 1:
            others.append(at_evaluation(looks[look - 2], "before"))
        if changes(now, others, look):
            return True
    return False


def measure(quick: bool) -> Iterator[Limit]:
    """The least false-alarm rate that the trials allow for (95 %), for each kind of benchmark and window."""
    trials = QUICK if quick else TRIALS
    draw = np.random.default_rng(19)
    lives = {leads: [[window(draw, leads) for _ in range(LOOKS)] for _ in range(trials)] for leads in WINDOWS}
    benchmarks = {f"{rows:,} training rows": [trained(draw, rows) for _ in range(trials)] for rows in ROWS}
    benchmarks["promoted"] = chosen = [promoted(draw) for _ in range(trials)]
    for name, models in benchmarks.items():
        for leads, looks in lives.items():
            false = sum(alarmed(model, mine, leads) for model, mine in zip(models, looks, strict=True))
            what = f"{name}, {LOOKS} windows of {leads:,}: {false} of {trials} falsely alarmed, at least"
            yield Limit(what, share(false, trials).low, 0, FALSE)
    truth = float(np.mean([look["roc_auc"].value for looks in lives[WINDOWS[-1]] for look in looks]))
    expected = float(np.mean([m.benchmark["roc_auc"] - m.judged_on.optimism["roc_auc"] for m in chosen]))
    shown = float(np.mean([m.benchmark["roc_auc"] for m in chosen]))
    what = f"promoted: expected ROC-AUC less the true {truth:.4f} (shown at the gate: {shown:.4f})"
    yield Limit(what, expected - truth, -LUCK, LUCK)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    return judged("noise", "Measure how often a change is named where there is none.", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
