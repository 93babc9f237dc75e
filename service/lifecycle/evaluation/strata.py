"""Scored leads below and above the line, since leads are explored: for how many of all each labelled one stands.

The weights of the labelled leads of a stratum are normalised: they sum to the number of all its leads, as those of an
evaluation's cells do (`cells.ScoreCells`). Otherwise the stratum with fewer outcomes would count for less.
"""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from service.lifecycle.evaluation.quality import Mask, Scores
from service.lifecycle.relations.relation import Relation

STRATA = Relation(
    "strata",
    """
    select is_above, count(*) as leads, min(time) as since,
        sum(case when is_labelled and (is_above or explored) then weight end) as weight
    from (select *, is_chosen and not explored as is_above from scored_outcomes) as placed
    where is_ripe and not is_after and time >= (select min(time) from scored_outcomes where explored)
    group by is_above
    """,
)
"""Leads of an age at which outcomes are final, from the first explored one on; `weight` is that of labelled leads."""


@dataclass(frozen=True)
class Strata:
    """`below` is the share of the leads that are below the line, `since` the time of the first.

    The labelled leads of a stratum stand for their weight times its factor.
    """

    since: datetime
    below: float
    factor_below: float
    factor_above: float

    @classmethod
    def of(cls, table: pa.Table) -> "Strata | None":
        """By the rows of STRATA; None where nobody was explored."""
        rows = {row["is_above"]: row for row in table.to_pylist()}
        if not rows:
            return None
        leads = {above: row["leads"] for above, row in rows.items()}
        below, above = (
            leads[side] / (rows[side]["weight"] or leads[side]) if side in rows else 1.0 for side in (False, True)
        )
        first = min(row["since"] for row in rows.values())
        return cls(first, leads.get(False, 0) / sum(leads.values()), below, above)

    def normalised(self, weights: Scores, explored: Mask) -> Scores:
        """The weights of labelled leads that stand for all; the explored ones are below the line."""
        found: Scores = weights * explored * self.factor_below + weights * ~explored * self.factor_above
        return found
