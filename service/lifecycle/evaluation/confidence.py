"""Every figure with its 95 % interval, by the bootstrap of `service.lifecycle.evaluation.bootstrap`.

That of the calibration error is by `service.lifecycle.evaluation.calibration`: a resample holds chance twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.history import Estimate
from service.lifecycle.evaluation import calibration
from service.lifecycle.evaluation.bootstrap import SIMPLE, Figure, Weights, figure, poisson, ratio, resamples
from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.evaluation.quality import NAMES, Scores, Target
from service.model.bundle import Economics

DRAWS = 2_000
WIDER = 6
"""By how many powers of two wider the bins are of which resamples are drawn: they hold the spread, not the figure."""
UNBOUNDED = ("profit", "lift")
"""The other figures are shares."""


def estimates(
    cells: ScoreCells,
    threshold: float,
    economics: Economics,
    draws: int = DRAWS,
    seed: int = 0,
    names: Sequence[str] = NAMES,
) -> dict[str, Estimate]:
    """The figures of these `names` of the leads in the cells, each with its interval. Decided is who was contacted.

    The figures are those of `quality.figures` over the leads themselves, to 1e-4: ROC-AUC is off by at most half of the
    pairs of leads that share a bin. A resample draws each lead as often as a Poisson variable of mean 1 says, so that
    one draw does for a cell. An interval is that of the resamples' 2.5 % and 97.5 % quantiles, less the bias that they
    show against the leads themselves (B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 10).
    Where the cells have weights, the figures are those of all leads, estimated from the leads with an outcome, and the
    profit is doubly robust.
    """
    drawn = [name for name in names if name != "calibration_error"]
    values = _values(cells, threshold, economics, cells.leads[None], drawn)
    wide = cells.wider(threshold, WIDER)
    chunks = [_values(wide, threshold, economics, counts, drawn) for counts in poisson(wide.leads, draws, seed)]
    found = {
        name: _bounded(name, float(values[name][0]), np.concatenate([chunk[name] for chunk in chunks]))
        for name in drawn
    }
    if len(drawn) < len(names):
        found["calibration_error"] = calibration.interval(_groups(cells))
    return {name: found[name] for name in names}


def together(
    values: Mapping[str, float], drawn_by: Mapping[str, Figure], leads: int, draws: int = DRAWS, seed: int = 0
) -> dict[str, Estimate]:
    """These values, such as profits and their differences, each with its interval under the same resamples.

    None of them is a share: they have no bounds.
    """
    chunks = [{name: each(weights) for name, each in drawn_by.items()} for weights in resamples(leads, draws, seed)]
    return {name: _estimate(value, np.concatenate([c[name] for c in chunks])) for name, value in values.items()}


def _values(
    cells: ScoreCells, threshold: float, economics: Economics, counts: Weights, names: Sequence[str]
) -> dict[str, Scores]:
    """Each figure under each row of counts."""
    known, mass = cells.known, cells.standing_for(counts)
    found = {"profit": _doubly_robust(cells, economics, counts, mass)} if cells.below is not None else {}
    if not known.all():
        mass = mass[:, known]
    target, scores, made = cells.target[known], cells.scores[known], cells.decided[known]
    found |= {
        name: figure(name, target, scores, threshold, economics, made)(mass)
        for name in SIMPLE
        if name in names and name not in found
    }
    return found if found.keys() >= set(names) else found | by_rank(rank(target, scores, cells.mass[known]), mass)


def _doubly_robust(cells: ScoreCells, economics: Economics, counts: Weights, mass: Weights) -> Scores:
    """Profit per 1,000 leads: what the scores of all leads promise, and by how much they are wrong where it is known.

    Right on average if the weights are, or the scores (M. Dudik and others, Doubly Robust Policy Evaluation and
    Learning, ICML 2011). Of cells without weights it is the profit itself.
    """
    value, made = economics.conversion_value, cells.decided
    promised = made * (value * cells.scores - economics.contact_cost)
    missed = made * value * (cells.target - cells.scores)
    earned: Scores = 1000 * (counts @ promised + mass @ missed) / counts.sum(axis=1)
    return earned


def _groups(cells: ScoreCells) -> calibration.Groups:
    if cells.weights is None:
        return calibration.grouped(cells.target, cells.scores, cells.leads)
    known = cells.known
    mass = cells.mass[known]
    return calibration.grouped(cells.target[known], cells.scores[known], mass, mass**2 / cells.leads[known])


def share(converted: float, leads: float) -> Estimate:
    """A share of few leads with its Wilson interval (E. B. Wilson, JASA 22, 1927), which is never empty.

    Of weighted leads both are effective numbers.
    """
    if not leads:
        return Estimate(0.0, 0.0, 1.0)
    z2, rate = 1.96**2, converted / leads
    centre, spread = rate + z2 / (2 * leads), 1.96 * (rate * (1 - rate) / leads + z2 / (4 * leads**2)) ** 0.5
    low, high = (centre - spread) / (1 + z2 / leads), (centre + spread) / (1 + z2 / leads)
    return Estimate(rate, max(0.0, min(low, rate)), min(1.0, max(high, rate)))


@dataclass(frozen=True)
class Ranked:
    """Leads, best score first: their order, and what is computed once for all resamples.

    `last` is the place of the last of each group of equal scores. `count` is how many leads there are: as many as
    places, or more where a place stands for several.
    """

    order: npt.NDArray[np.intp]
    target: Scores
    last: npt.NDArray[np.intp]
    count: int


def rank(target: Target, scores: Scores, weights: Scores | None = None) -> Ranked:
    """The leads ranked, each as many as its weight says."""
    count = len(scores) if weights is None else max(1, round(float(weights.sum())))
    order = np.argsort(scores, kind="stable")[::-1]
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    return Ranked(order, target[order].astype(np.float64), last, count)


def by_rank(leads: Ranked, weights: Weights) -> dict[str, Scores]:
    """Average precision and lift of the best tenth in each resample; equal scores taken at once.

    What is not defined without conversions is 0.
    """
    every = weights[:, leads.order]
    taken, hits = (np.cumsum(each, axis=1) for each in (every, every * leads.target))
    row, count, converted = np.arange(len(taken)), taken[:, -1], hits[:, -1]
    if len(leads.last) < taken.shape[1]:
        taken, hits = (each[:, leads.last] for each in (taken, hits))
    more, won = (np.diff(each, axis=1, prepend=0.0) for each in (taken, hits))
    # A resample may hold more or fewer leads than there are.
    places = max(1, round(0.1 * leads.count)) * count / leads.count
    at = (taken >= places[:, None]).argmax(axis=1)
    over = (taken[row, at] - places) / more[row, at]
    best = hits[row, at] - over * won[row, at]
    return {
        "pr_auc": ratio(np.einsum("ij,ij->i", won, ratio(hits, taken)), converted),
        "lift": ratio(best / places * count, converted),
    }


def _bounded(name: str, value: float, drawn: Scores) -> Estimate:
    found = _estimate(value, drawn)
    return found if name in UNBOUNDED else Estimate(value, max(found.low, 0.0), min(found.high, 1.0))


def _estimate(value: float, drawn: Scores) -> Estimate:
    low, high = np.quantile(drawn, (0.025, 0.975)) - (drawn.mean() - value)
    # Of few leads a skewed figure's quantiles may both lie to one side of it.
    return Estimate(value, min(float(low), value), max(float(high), value))
