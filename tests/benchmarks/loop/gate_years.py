"""f. Years of weekly looks of the gate: is an equal model kept out, and is a better one let in soon enough?

Simulated on scores. A lead's log-odds are normal (mean MEAN, deviation DEVIATION). A model sees them with a normal
error and scores the chance that follows. The errors of champion and challenger correlate (SHARED). Of what a
challenger's error does not share with the champion's, SAME is that of all the year's challengers. The champion's error
is ERROR; a better challenger's is BETTER, which is .03 ROC-AUC. Every week LEADS labelled leads come, and a new
challenger is judged on those since the year began, as far as the product's window takes them: the look's number and the
leads that the one before asked for are handed on as `retrain` does. In the years of a champion that is far off its
log-odds are SHIFT too high, so it ranks as before; the challengers are as good as it was, and calibrated.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
from scipy.special import expit, logit

from service.lifecycle.data.source import Metric
from service.lifecycle.evaluation.quality import Scores
from service.lifecycle.promotion.gate import Contender, Rules
from service.lifecycle.promotion.power import Look
from service.model.bundle import Economics
from tests.benchmarks.loop.estimators import PRODUCT, Estimators
from tests.benchmarks.loop.limits import Progress
from tests.benchmarks.loop.trials import run_trials

YEARS, QUICK = 200, 4
WEEKS, LEADS = 52, 1_800
MEAN, DEVIATION, SHARED, SAME = -2.75, 1.46, 0.7, 0.8
ERROR, BETTER, GAP, SHIFT = 1.05, 0.67, 0.03, 0.7
SOON: dict[Metric, int] = {"roc_auc": 8, "profit": 12}
"""The week by which a better model is to be promoted."""
FAR_OFF_WEEKS = 12
"""The week by which a champion that is far off is to be replaced."""
MONEY = Economics(conversion_value=600, contact_cost=60, contacts_per_1000_leads=400)
GRID = np.linspace(MEAN - 20, MEAN + 20, 8_001)
"""Log-odds between which chances are interpolated."""
SHARES: dict[str, tuple[float, float]] = {
    "equal model promoted within a year, by roc_auc": (0.0, 0.05),
    "equal model promoted within a year, by profit": (0.0, 0.05),
    "better model promoted within 8 weeks, by roc_auc": (0.9, 1.0),
    "better model promoted within 12 weeks, by profit": (0.8, 1.0),
    "champion that is far off replaced within 12 weeks, by roc_auc": (0.8, 1.0),
    "champion that is far off replaced within 12 weeks, by profit": (0.8, 1.0),
}
TRUE_GAIN = "the better model's true gain in ROC-AUC"
LIMITS = {**SHARES, TRUE_GAIN: (GAP - 0.003, GAP + 0.003)}


def scores_of(odds: Scores, error: float, noise: Scores) -> Scores:
    """The chance that a model with this error gives, where it sees the log-odds with this noise of deviation 1."""
    trust = DEVIATION**2 / (DEVIATION**2 + error**2)
    likely = MEAN + trust * (odds + error * noise - MEAN)
    return np.interp(likely, GRID, _mean_chance(GRID, DEVIATION * np.sqrt(1 - trust)))


def _mean_chance(likely: Scores, spread: float) -> Scores:
    """The chance where the log-odds are normal, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    chance: Scores = expit(likely[:, None] + spread * nodes) @ (weights / weights.sum())
    return chance


def promoted_in(seed: int, metric: Metric, error: float, weeks: int, by: Estimators, shift: float = 0.0) -> int:
    """The week in which a challenger with this error is promoted; 0 where none is. The champion is off by the shift."""
    draw = np.random.default_rng(seed)
    total, leads = weeks * LEADS, LEADS
    odds, common, own = (draw.normal(size=total) for _ in range(3))
    odds = MEAN + DEVIATION * odds
    target = (draw.random(total) < expit(odds)).astype(np.int8)
    champion = scores_of(odds, ERROR, np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own)
    champion = expit(logit(champion) + shift)
    kept, look = draw.normal(size=total), Look()
    for week in range(1, weeks + 1):
        count = week * leads
        rows = by.window(target[:count], np.arange(count), champion.__getitem__, Rules(), look)
        if rows is None:
            continue
        weekly = np.sqrt(SAME) * kept[rows] + np.sqrt(1 - SAME) * draw.normal(size=len(rows))
        noise = np.sqrt(SHARED) * common[rows] + np.sqrt(1 - SHARED) * weekly
        mine, theirs = (
            Contender(scores, MONEY.threshold) for scores in (champion[rows], scores_of(odds[rows], error, noise))
        )
        verdict = by.judge(target[rows], mine, theirs, metric, MONEY, look)
        if verdict.promote:
            return week
        look = Look(look.number + 1, leads=verdict.power.leads_needed if verdict.power else None)
    return 0


def true_auc(error: float) -> float:
    """ROC-AUC of a model with this error, over 200,000 leads with their chances."""
    draw = np.random.default_rng(0)
    odds = MEAN + DEVIATION * draw.normal(size=200_000)
    scores, chances = scores_of(odds, error, draw.normal(size=len(odds))), expit(odds)
    order = np.argsort(scores)
    won, lost = chances[order], 1 - chances[order]
    return float(won @ (np.cumsum(lost) - lost / 2) / won.sum() / lost.sum())


def measure(years: int, by: Estimators = PRODUCT, tell: Progress = print) -> dict[str, float]:
    """Shares of the years."""
    found = {TRUE_GAIN: true_auc(BETTER) - true_auc(ERROR)}
    for metric, soon in SOON.items():
        for what, error, weeks, shift in (
            ("equal model promoted within a year", ERROR, WEEKS, 0.0),
            (f"better model promoted within {soon} weeks", BETTER, soon, 0.0),
            (f"champion that is far off replaced within {FAR_OFF_WEEKS} weeks", ERROR, FAR_OFF_WEEKS, SHIFT),
        ):
            year = partial(promoted_in, metric=metric, error=error, weeks=weeks, by=by, shift=shift)
            name = f"{what}, by {metric}"
            found[name] = float(np.mean(np.array(run_trials(year, range(years), name, tell)) > 0))
    return found


def limits(quick: bool) -> Mapping[str, tuple[float, float]]:
    """A quick look has few years: the shares may be off by what chance explains."""
    if not quick:
        return LIMITS
    spread = 3 * (0.25 / QUICK) ** 0.5
    return {
        name: (max(0.0, least - spread), min(1.0, most + spread)) if name in SHARES else (least, most)
        for name, (least, most) in LIMITS.items()
    }
