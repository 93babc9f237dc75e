"""Every figure with its 95 % interval, by the bootstrap of `service.lifecycle.evaluation.bootstrap`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.history import Estimate
from service.lifecycle.evaluation.bootstrap import SIMPLE, Figure, Weights, figure, ratio, resamples
from service.lifecycle.evaluation.quality import NAMES, Mask, Scores, Target, figures
from service.model.bundle import Economics

DRAWS = 2_000
UNBOUNDED = ("profit", "lift")
"""The other figures are shares."""


def estimates(
    target: Target,
    scores: Scores,
    threshold: float,
    economics: Economics,
    made: Mask | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Estimate]:
    """The figures of these leads by `figures.NAMES`, each with its interval; `made` and errors as `figures` has them.

    An interval is that of the resamples' 2.5 % and 97.5 % quantiles, less the bias that they show against the leads
    themselves (B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 10): the calibration error of a
    resample holds chance twice and would lie above the figure it is meant to surround.
    """
    values = figures(target, scores, threshold, economics, made)
    simple = {name: figure(name, target, scores, threshold, economics, made) for name in SIMPLE}
    leads = rank(target, scores)
    chunks = [
        {name: each(weights) for name, each in simple.items()} | by_rank(leads, weights)
        for weights in resamples(len(target), draws, seed)
    ]
    return {name: _bounded(name, values[name], np.concatenate([chunk[name] for chunk in chunks])) for name in NAMES}


def together(
    values: Mapping[str, float], drawn_by: Mapping[str, Figure], leads: int, draws: int = DRAWS, seed: int = 0
) -> dict[str, Estimate]:
    """These values, such as profits and their differences, each with its interval under the same resamples.

    None of them is a share: they have no bounds.
    """
    chunks = [{name: each(weights) for name, each in drawn_by.items()} for weights in resamples(leads, draws, seed)]
    return {name: _estimate(value, np.concatenate([c[name] for c in chunks])) for name, value in values.items()}


def share(converted: int, leads: int) -> Estimate:
    """A share of few leads with its Wilson interval (E. B. Wilson, JASA 22, 1927), which is never empty."""
    if not leads:
        return Estimate(0.0, 0.0, 1.0)
    z2, rate = 1.96**2, converted / leads
    centre, spread = rate + z2 / (2 * leads), 1.96 * (rate * (1 - rate) / leads + z2 / (4 * leads**2)) ** 0.5
    low, high = (centre - spread) / (1 + z2 / leads), (centre + spread) / (1 + z2 / leads)
    return Estimate(rate, max(0.0, min(low, rate)), min(1.0, max(high, rate)))


@dataclass(frozen=True)
class Ranked:
    """Leads, best score first: their order, and what is computed once for all resamples.

    `last` is the place of the last of each group of equal scores; `ends` the last places of ten bins of equally many.
    """

    order: npt.NDArray[np.intp]
    target: Scores
    off: Scores
    last: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]


def rank(target: Target, scores: Scores, bins: int = 10) -> Ranked:
    """The leads ranked; bins as `figures.calibration_bins` makes them."""
    order = np.argsort(scores, kind="stable")[::-1]
    ranked, converted = scores[order], target[order].astype(np.float64)
    sizes = [len(rows) for rows in np.array_split(order, min(bins, len(order)))]
    return Ranked(
        order, converted, ranked - converted, np.flatnonzero(np.diff(ranked, append=-np.inf)), np.cumsum(sizes[::-1])
    )


def by_rank(leads: Ranked, weights: Weights) -> dict[str, Scores]:
    """Average precision, lift of the best tenth and calibration error in each resample; equal scores taken at once.

    What is not defined without conversions is 0.
    """
    every = weights[:, leads.order]
    taken, hits, off = (np.cumsum(each, axis=1) for each in (every, every * leads.target, every * leads.off))
    error = _calibration_error(leads, taken, off)
    row, count, converted = np.arange(len(taken)), taken[:, -1], hits[:, -1]
    if len(leads.last) < taken.shape[1]:
        taken, hits = taken[:, leads.last], hits[:, leads.last]
    more, won = (np.diff(each, axis=1, prepend=0.0) for each in (taken, hits))
    places = max(1, round(0.1 * len(leads.order)))
    at = (taken >= places).argmax(axis=1)
    over = (taken[row, at] - places) / more[row, at]
    best = hits[row, at] - over * won[row, at]
    return {
        "pr_auc": ratio(np.einsum("ij,ij->i", won, hits / np.maximum(taken, 1)), converted),
        "lift": ratio(best / places * count, converted),
        "calibration_error": error,
    }


def _calibration_error(leads: Ranked, taken: Weights, off: Weights) -> Scores:
    """A lead that was drawn more than once may lie in two bins."""
    row, at = np.arange(len(taken))[:, None], np.array([np.searchsorted(each, leads.ends) for each in taken])
    at_ends = off[row, at] - (taken[row, at] - leads.ends) * leads.off[at]
    return np.asarray(np.abs(np.diff(at_ends, axis=1, prepend=0.0)).sum(axis=1) / taken[:, -1])


def _bounded(name: str, value: float, drawn: Scores) -> Estimate:
    found = _estimate(value, drawn)
    return found if name in UNBOUNDED else Estimate(value, max(found.low, 0.0), min(found.high, 1.0))


def _estimate(value: float, drawn: Scores) -> Estimate:
    low, high = np.quantile(drawn, (0.025, 0.975)) - (drawn.mean() - value)
    # Of few leads a skewed figure's quantiles may both lie to one side of it.
    return Estimate(value, min(float(low), value), max(float(high), value))
