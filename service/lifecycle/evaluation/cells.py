"""Scored leads in cells: the sufficient statistics from which the figures of any number of leads are computed.

Leads of one cell have the same outcome and decision, lie on the same side of the threshold, and have scores that are
next to equal. There are at most 8 x BINS cells, however many leads.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from service.lifecycle.evaluation.quality import Mask, Scores, Target
from service.lifecycle.relations.bins import bin_of
from service.lifecycle.relations.cells import MADE


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

    @classmethod
    def of_table(cls, table: pa.Table, share: float) -> Self:
        """The cells of `relations.cells`, `decided` being whom the team contacts.

        `share` is how much of the last score that it reaches the team contacts: such cells are cut in two.
        """
        column = {name: table[name].to_numpy() for name in table.column_names if name in _NUMBERS}
        place = column["bin"] * 2 + column["above"]
        _, tie = np.unique(place, return_inverse=True)
        tied = np.bincount(tie, column["leads"])
        means = np.bincount(tie, column["score_sum"]) / np.where(tied > 0, tied, 1)
        lowest, highest = np.full(len(tied), np.inf), np.zeros(len(tied))
        np.minimum.at(lowest, tie, column["least"])
        np.maximum.at(highest, tie, column["most"])
        scores = np.clip(means, lowest, highest)[tie]
        made = np.select([column["made"] == MADE["all"], column["made"] == MADE["some"]], [1.0, share], 0.0)
        both = np.concatenate([np.full(len(made), True), np.full(len(made), False)])
        leads = np.concatenate([made * column["leads"], (1 - made) * column["leads"]])
        held = leads > 0
        target = column["target"].astype(np.int8)
        return cls(np.tile(target, 2)[held], np.tile(scores, 2)[held], both[held], leads[held])


_NUMBERS = ("bin", "above", "made", "target", "leads", "score_sum", "least", "most")
