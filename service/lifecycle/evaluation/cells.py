"""Scored leads in cells: the sufficient statistics from which the figures of any number of leads are computed.

Leads of one cell have the same outcome and decision, lie on the same side of the threshold, and have scores that are
next to equal. There are at most 8 x BINS cells, however many leads.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from service.lifecycle.evaluation.quality import Mask, Scores, Target

OCTAVES, STEPS = 13, 12
"""Scores s are told apart by m = min(s, 1 - s): to 2^-STEPS of m, and below 2^-OCTAVES to 2^-(OCTAVES + STEPS)."""

HALF = OCTAVES << STEPS
BINS = 2 * HALF + 1
Bins = npt.NDArray[np.int64]


def bin_of(scores: Scores) -> Bins:
    """The bin, 0 to BINS - 1, of each score, 0 to 1; a higher score has no lower bin.

    Scores are multiplied by powers of two alone, so that every engine with IEEE 754 doubles finds the same bin.
    """
    least = np.minimum(scores, 1 - scores)
    octave = sum((least >= bound).astype(np.int64) for bound in _bounds())
    below = np.maximum(octave - 1, 0)
    low = np.floor(least * 2.0 ** (OCTAVES + STEPS - below)).astype(np.int64) + (below << STEPS)
    return np.where(scores < 0.5, low, 2 * HALF - low)


def _bounds() -> list[float]:
    """Where the stretches of m begin in which the steps double, but for the first, which begins at 0."""
    return [2.0**-power for power in range(OCTAVES, 1, -1)]


@dataclass(frozen=True)
class ScoreCells:
    """One entry a cell: outcome, mean score, whether the leads are to be contacted, how many they are.

    `leads` may be weights. No cell is on both sides of the threshold that the cells were made for.
    """

    target: Target
    scores: Scores
    decided: Mask
    leads: Scores

    @classmethod
    def of(
        cls,
        target: Target,
        scores: Scores,
        decided: Mask,
        threshold: float,
        weights: Scores | None = None,
        coarser: int = 0,
    ) -> Self:
        """The cells of these leads, in no stated order; all of a bin on one side of the threshold get one score.

        `coarser` is by how many powers of two the bins are wider.
        """
        weights = np.ones(len(scores)) if weights is None else weights
        place = (bin_of(scores) >> coarser) * 2 + (scores >= threshold)
        _, first, cell = np.unique((place * 2 + decided) * 2 + target, return_index=True, return_inverse=True)
        _, tie = np.unique(place, return_inverse=True)
        leads, tied = (np.bincount(each, weights).astype(np.float64) for each in (cell, tie))
        means = np.bincount(tie, weights * scores) / np.where(tied > 0, tied, 1)
        lowest, highest = np.full(len(tied), np.inf), np.zeros(len(tied))
        np.minimum.at(lowest, tie, scores)
        np.maximum.at(highest, tie, scores)
        # A sum's rounding must bring no mean over the threshold, nor make two of equal scores.
        return cls(target[first], np.clip(means, lowest, highest)[tie[first]], decided[first], leads)
