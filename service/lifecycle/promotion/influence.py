"""How much each lead moves a figure: its influence, from which the figure's standard error follows without resamples.

The mean of the influences is 0, and the figure's variance is that of their mean (F. Hampel, The Influence Curve and
Its Role in Robust Estimation, JASA 69, 1974). Of ROC-AUC they are the placements of E. DeLong, D. DeLong and
D. Clarke-Pearson, Biometrics 44, 1988. Two models on the same leads are compared by the differences lead by lead.
"""

import math
from dataclasses import dataclass

import numpy as np

from service.history import Estimate
from service.lifecycle.evaluation.quality import Mask, Scores, Target
from service.model.bundle import Economics

_HALF = 1.959964


@dataclass(frozen=True)
class Influence:
    """A figure, and the influence of each lead; `weights` sum to 1."""

    value: float
    each: Scores
    weights: Scores

    @property
    def error(self) -> float:
        """The figure's standard error."""
        return math.sqrt(float(np.square(self.weights * self.each).sum()))

    @property
    def estimate(self) -> Estimate:
        """The figure with its 95 % interval."""
        return Estimate(self.value, self.value - _HALF * self.error, self.value + _HALF * self.error)

    def less(self, other: "Influence") -> "Influence":
        """This figure less another one of the same leads."""
        return Influence(self.value - other.value, self.each - other.each, self.weights)


def influence(
    name: str,
    target: Target,
    scores: Scores,
    decided: Mask,
    made: Mask,
    economics: Economics,
    weights: Scores | None = None,
) -> Influence:
    """One of `bootstrap.SIMPLE`, as `quality.figures` defines it. `decided` are to be contacted, `made` are contacted.

    Raises KeyError for another.
    """
    share = np.full(len(target), 1.0) if weights is None else weights
    share = share / share.sum()
    won = target.astype(np.float64)
    hits = decided * won
    match name:
        case "precision":
            return _ratio(hits, decided.astype(np.float64), share)
        case "recall":
            return _ratio(hits, won, share)
        case "f1":
            return _ratio(2 * hits, decided + won, share)
        case "accuracy":
            return _mean((decided == (target == 1)).astype(np.float64), share)
        case "profit":
            return _mean(1000 * made * (economics.conversion_value * won - economics.contact_cost), share)
        case "brier":
            return _mean((scores - won) ** 2, share)
        case "roc_auc":
            return _roc_auc(won, scores, share)
    raise KeyError(name)


def _mean(values: Scores, share: Scores) -> Influence:
    mean = float(share @ values)
    return Influence(mean, values - mean, share)


def _ratio(part: Scores, whole: Scores, share: Scores) -> Influence:
    """0 where there is nothing to take a part of."""
    below = float(share @ whole)
    if below == 0:
        return Influence(0.0, np.zeros(len(part)), share)
    value = float(share @ part) / below
    return Influence(value, (part - value * whole) / below, share)


def _roc_auc(won: Scores, scores: Scores, share: Scores) -> Influence:
    """A lead's placement is the share of leads of the other outcome that it is ranked rightly against; ties half."""
    every, tie = np.unique(scores, return_inverse=True)
    wins, losses = (np.bincount(tie, share * of, len(every)) for of in (won, 1 - won))
    converted, lost = float(wins.sum()), float(losses.sum())
    if converted == 0 or lost == 0:
        return Influence(0.0, np.zeros(len(won)), share)
    below = (np.cumsum(losses) - losses / 2) / lost
    above = (converted - np.cumsum(wins) + wins / 2) / converted
    value = float(wins @ below) / converted
    each = np.where(won == 1, (below[tie] - value) / converted, (above[tie] - value) / lost)
    return Influence(value, each, share)
