"""Figures with intervals computed row by row: the reference of those that are computed from cells."""

import numpy as np

from service.history import Estimate
from service.lifecycle.evaluation.bootstrap import SIMPLE, figure, resamples
from service.lifecycle.evaluation.confidence import by_rank, rank
from service.lifecycle.evaluation.quality import NAMES, Scores, Target, figures
from service.model.bundle import Economics


def estimates(
    target: Target, scores: Scores, threshold: float, economics: Economics, draws: int
) -> dict[str, Estimate]:
    """The figures by NAMES with 95 % intervals, of resamples with as many leads each."""
    values = figures(target, scores, threshold, economics)
    simple = {name: figure(name, target, scores, threshold, economics) for name in SIMPLE}
    ranked = rank(target, scores)
    chunks = [
        {name: each(weights) for name, each in simple.items()} | by_rank(ranked, weights)
        for weights in resamples(len(target), draws, seed=0)
    ]
    drawn = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in NAMES}
    found = {}
    for name, each in drawn.items():
        low, high = np.quantile(each, (0.025, 0.975)) - (each.mean() - values[name])
        found[name] = Estimate(values[name], float(low), float(high))
    return found
