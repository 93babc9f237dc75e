"""The bootstrap, vectorized: a figure of many resamples of the same leads at once.

A resample is a row of weights, how often each lead was drawn (B. Efron and R. Tibshirani, An Introduction to the
Bootstrap, 1993, ch. 6). Two models that are scored under the same weights are compared in pairs.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from service.lifecycle.evaluation.quality import Mask, Scores, Target
from service.model.bundle import Economics
from service.model.decide import contacts_made

Weights = npt.NDArray[np.float64]
Figure = Callable[[Weights], Scores]
"""From weights (resamples x leads) to the figure's value in each resample."""

CHUNK = 250
"""Resamples held at once: 250 of 4,000 leads are 8 MB."""

CELLS = 1_000_000
"""Weights of cells held at once, 8 MB."""


def resamples(leads: int, draws: int, seed: int) -> Iterator[Weights]:
    """Weights of this many resamples in chunks; the same seed always gives the same ones."""
    draw = np.random.default_rng(seed)
    for done in range(0, draws, CHUNK):
        count = min(CHUNK, draws - done)
        drawn = draw.integers(leads, size=(count, leads)) + leads * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * leads).reshape(count, leads).astype(np.float64)


def poisson(leads: Scores, draws: int, seed: int) -> Iterator[Weights]:
    """How many of each cell's leads this many resamples hold, in chunks, where each lead is drawn by itself."""
    draw = np.random.default_rng(seed)
    chunk = max(1, min(CHUNK, CELLS // max(1, len(leads))))
    for done in range(0, draws, chunk):
        yield draw.poisson(leads, size=(min(chunk, draws - done), len(leads))).astype(np.float64)


SIMPLE = ("precision", "recall", "f1", "accuracy", "profit", "brier", "roc_auc")
"""What a source may choose as its metric, and the Brier score."""


def figure(
    name: str, target: Target, scores: Scores, threshold: float, economics: Economics, made: Mask | None = None
) -> Figure:
    """One of SIMPLE, as `figures` defines it; `made` as there. Raises KeyError for another.

    Who is contacted is settled by the leads themselves, not by each resample.
    """
    contacted = contacts_made(scores, scores >= threshold, economics) if made is None else made
    decided = (scores >= threshold).astype(np.float64)
    hits, right = decided * target, (decided == target).astype(np.float64)
    earned = contacted * (economics.conversion_value * target - economics.contact_cost)
    squared = (scores - target) ** 2
    return {
        "precision": lambda w: ratio(w @ hits, w @ decided),
        "recall": lambda w: ratio(w @ hits, w @ target),
        "f1": lambda w: ratio(2 * (w @ hits), w @ (decided + target)),
        "accuracy": lambda w: w @ right / w.sum(axis=1),
        "profit": lambda w: 1000 * (w @ earned) / w.sum(axis=1),
        "brier": lambda w: w @ squared / w.sum(axis=1),
        "roc_auc": _roc_auc(target, scores),
    }[name]


def _roc_auc(target: Target, scores: Scores) -> Figure:
    """The share of pairs that are ranked rightly, equal scores counting half."""
    order = np.argsort(scores, kind="stable")
    ranked, converted = scores[order], target[order].astype(np.float64)
    starts = np.flatnonzero(np.diff(ranked, prepend=-np.inf))  # of groups of equal scores

    def value(weights: Weights) -> Scores:
        drawn = weights[:, order]
        won = drawn * converted
        lost = drawn - won
        if len(starts) < len(ranked):
            won, lost = (np.add.reduceat(each, starts, axis=1) for each in (won, lost))
        below = np.cumsum(lost, axis=1)
        right = np.einsum("ij,ij->i", won, below - lost / 2)
        return ratio(right, won.sum(axis=1) * below[:, -1])

    return value


def ratio(part: Scores, whole: Scores) -> Scores:
    """0 where there is nothing to take a part of."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
