"""Scored leads in cells: the sufficient statistics from which the figures of any number of leads are computed.

Leads of one cell have the same outcome, decision and weight, lie on the same side of the threshold, and have scores
that are next to equal. There are at most 8 x BINS cells a weight, however many leads.

Where only contacted leads have outcomes, a lead with an outcome has the inverse of its probability of a contact as its
weight (D. Horvitz and D. Thompson, JASA 47, 1952), and the others are in cells of weight 0. The weights are
normalised by strata (J. Hajek, in Foundations of Statistical Inference, 1971): those of the leads below the line sum to
the number of all leads there, and so those of the leads above it that the team contacts, and of those that are beyond
its capacity. So outcomes that are missing alike do no harm, and the best leads do not stand for those that nobody
reached: where none of these has an outcome, they are left out.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa

from service.lifecycle.evaluation.bootstrap import Weights, ratio
from service.lifecycle.evaluation.quality import Mask, Scores, Target
from service.lifecycle.relations.bins import bin_of


@dataclass(frozen=True)
class ScoreCells:
    """One entry a cell: outcome, mean score, whether the leads are to be contacted, how many they are.

    `weights` are those of each lead of the cell, None where all have an outcome and weigh 1. `below` are leads below
    the line; None where the cells hold no leads without an outcome, by whose number weights could be normalised. No
    cell is on both sides of the threshold that the cells were made for.
    """

    target: Target
    scores: Scores
    decided: Mask
    leads: Scores
    weights: Scores | None = None
    below: Mask | None = None

    @classmethod
    def of(
        cls,
        target: Target,
        scores: Scores,
        decided: Mask,
        threshold: float,
        leads: Scores | None = None,
        weights: Scores | None = None,
        below: Mask | None = None,
        coarser: int = 0,
    ) -> Self:
        """The cells of these leads, in no stated order; all of a bin on one side of the threshold get one score.

        Each entry stands for as many `leads`, 1 unless given. `coarser` is by how many powers of two the bins are
        wider.
        """
        leads = np.ones(len(scores)) if leads is None else leads
        place = (bin_of(scores) >> coarser) * 2 + (scores >= threshold)
        key = (place * 2 + decided) * 2 + target
        for other in (weights, below):
            if other is not None:
                values, kind = np.unique(other, return_inverse=True)
                key = key * len(values) + kind
        _, first, cell = np.unique(key, return_index=True, return_inverse=True)
        _, tie = np.unique(place, return_inverse=True)
        count, tied = (np.bincount(each, leads).astype(np.float64) for each in (cell, tie))
        means = np.bincount(tie, leads * scores) / np.where(tied > 0, tied, 1)
        lowest, highest = np.full(len(tied), np.inf), np.zeros(len(tied))
        np.minimum.at(lowest, tie, scores)
        np.maximum.at(highest, tie, scores)
        # A sum's rounding must bring no mean over the threshold, nor make two of equal scores.
        mean = np.clip(means, lowest, highest)[tie[first]]
        return cls(
            target[first],
            mean,
            decided[first],
            count,
            None if weights is None else weights[first],
            None if below is None else below[first],
        )

    @classmethod
    def of_table(cls, table: pa.Table) -> Self:
        """The cells of `relations.cells`, `decided` being whom the team contacts.

        Cells of which the team contacts some are cut in two.
        """
        column = {name: table[name].to_numpy() for name in table.column_names if name in _COLUMNS}
        place = column["bin"] * 2 + column["above"]
        _, tie = np.unique(place, return_inverse=True)
        tied = np.bincount(tie, column["leads"])
        means = np.bincount(tie, column["score_sum"]) / np.where(tied > 0, tied, 1)
        lowest, highest = np.full(len(tied), np.inf), np.zeros(len(tied))
        np.minimum.at(lowest, tie, column["least"])
        np.maximum.at(highest, tie, column["most"])
        scores = np.clip(means, lowest, highest)[tie]
        both = np.repeat([True, False], len(table))
        made = np.minimum(column["contacts"], column["leads"])
        leads = np.concatenate([made, column["leads"] - made])
        held = leads > 0
        target, weights = column["target"].astype(np.int8), column["weight"]
        cells = cls(np.tile(target, 2)[held], np.tile(scores, 2)[held], both[held], leads[held])
        if (weights == 1).all():
            return cells
        below = ~column["decided"].astype(bool)
        return replace(cells, weights=np.tile(weights, 2)[held], below=np.tile(below, 2)[held])

    def wider(self, threshold: float, coarser: int) -> Self:
        """The same leads in cells that are wider by so many powers of two."""
        return self.of(self.target, self.scores, self.decided, threshold, self.leads, self.weights, self.below, coarser)

    @property
    def known(self) -> Mask:
        """The cells of leads with an outcome."""
        return np.full(len(self.leads), True) if self.weights is None else self.weights > 0

    @cached_property
    def mass(self) -> Scores:
        """How many of all leads each cell stands for: 0 where the outcome is not known."""
        mass: Scores = self.standing_for(self.leads[None])[0]
        return mass

    @property
    def effective(self) -> float:
        """The number of leads of one weight that would say as much (L. Kish, Survey Sampling, 1965)."""
        known = self.known
        squares = float((self.mass[known] ** 2 / self.leads[known]).sum())
        return float(self.mass.sum()) ** 2 / squares if squares else 0.0

    def standing_for(self, counts: Weights) -> Weights:
        """How many of all leads each cell stands for where it holds so many (resamples x cells)."""
        if self.weights is None:
            return counts
        found = counts * self.weights
        if self.below is None:
            return found
        for stratum in (self.below, ~self.below & self.decided, ~self.below & ~self.decided):
            every, weighted = (each[:, stratum].sum(axis=1) for each in (counts, found))
            found[:, stratum] *= ratio(every, weighted)[:, None]
        return found


_COLUMNS = ("bin", "above", "contacts", "target", "leads", "score_sum", "least", "most", "weight", "decided")
