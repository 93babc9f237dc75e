"""Whether leads that were contacted at random are enough to say something of those that nobody contacted."""

import math
from dataclasses import dataclass
from typing import Self

from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.relations.outcomes import CLIP

MIN_EXPLORED = 50
"""Explored leads with an outcome that figures of all leads need."""

MIN_EFFECTIVE = 100
"""The effective sample size that they need: the figures of so few leads without weights say nothing either."""

MAX_BELOW = 0.01
"""Of fewer leads below the line, as a share of all, nothing need be known."""


@dataclass(frozen=True)
class Weighting:
    """What figures of all leads rest on where only contacted ones have outcomes.

    `below` is the share of the leads that are below the line; `explored` are those of them that were contacted at
    random and have an outcome, `clipped` those of these whose weight is the greatest there is. `effective` is Kish's
    effective sample size.
    """

    below: float
    explored: int
    clipped: int
    effective: float

    @classmethod
    def of(cls, cells: ScoreCells) -> Self | None:
        """None where the cells have no weights: all of their leads have an outcome."""
        if cells.weights is None or cells.below is None:
            return None
        explored = cells.below & (cells.weights > 1)
        return cls(
            float(cells.leads[cells.below].sum() / cells.leads.sum()),
            round(float(cells.leads[explored].sum())),
            round(float(cells.leads[cells.weights * CLIP >= 1].sum())),
            cells.effective,
        )

    @property
    def enough(self) -> bool:
        """Whether figures of all leads can be given."""
        return self.below <= MAX_BELOW or (self.explored >= MIN_EXPLORED and self.effective >= MIN_EFFECTIVE)

    def missing_days(self, days: float) -> int | None:
        """How many days more there will be enough in, where so many brought these; None where none was explored."""
        if self.enough:
            return 0
        if not self.explored:
            return None
        factor = max(MIN_EXPLORED / self.explored, MIN_EFFECTIVE / self.effective)
        return max(1, math.ceil(days * (factor - 1)))
