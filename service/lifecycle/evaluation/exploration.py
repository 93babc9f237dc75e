"""What exploring cost and brought, against as many contacts of the leads that were next best by score.

The next best leads have no outcomes. What they would have brought is by their scores, after a logistic recalibration
on the leads with an outcome (J. Platt, Advances in Large Margin Classifiers, 1999), which is right without weights: it
is of outcomes given the score. Its interval is by the delta method.
"""

import numpy as np
import pyarrow as pa
from scipy.special import expit, logit

from service.history import Estimate, ExplorationCost
from service.lifecycle.evaluation.confidence import share
from service.lifecycle.evaluation.quality import Scores
from service.model.bundle import Economics

STEPS = 50
LEAST = 1e-6
"""Scores are kept so far from 0 and 1."""


def exploration(cells: pa.Table, economics: Economics) -> ExplorationCost | None:
    """What the explored leads of these rows of `relations.cells` cost and brought; None where there are none.

    Counted are those with an outcome.
    """
    column = {name: cells[name].to_numpy(zero_copy_only=False) for name in _COLUMNS}
    known = column["weight"] > 0
    explored, below = (column[name].astype(bool) for name in ("explored", "decided"))
    below = ~below
    contacts = float(column["leads"][explored & known].sum())
    if not contacts:
        return None
    converted = float(column["leads"][explored & known] @ column["target"][explored & known])
    rate = share(round(converted), round(contacts))
    value, cost = economics.conversion_value, economics.contact_cost * contacts
    conversions = _scaled(rate, contacts)
    profit = _scaled(conversions, value, -cost)
    scores = np.clip(column["score_sum"] / column["leads"], LEAST, 1 - LEAST)
    order = np.argsort(-scores[below], kind="stable")
    leads = column["leads"][below][order]
    taken = np.clip(contacts - (np.cumsum(leads) - leads), 0, leads)
    expected = _expected(
        logit(scores[known]), column["target"][known], column["leads"][known], logit(scores[below][order]), taken
    )
    next_best = _scaled(expected, value, -economics.contact_cost * float(taken.sum()))
    off = np.hypot(
        (next_best.low - next_best.value, next_best.high - next_best.value),
        (profit.high - profit.value, profit.low - profit.value),
    )
    lost = next_best.value - profit.value
    return ExplorationCost(
        contacts=round(contacts),
        converted=round(converted),
        conversions=conversions,
        revenue=_scaled(conversions, value),
        cost=cost,
        profit=profit,
        next_best=next_best,
        lost=Estimate(lost, lost - float(off[0]), lost + float(off[1])),
    )


_COLUMNS = ("leads", "score_sum", "decided", "explored", "target", "weight")


def _scaled(estimate: Estimate, factor: float, plus: float = 0.0) -> Estimate:
    return Estimate(*(factor * each + plus for each in (estimate.value, estimate.low, estimate.high)))


def _expected(known: Scores, target: Scores, leads: Scores, asked: Scores, taken: Scores) -> Estimate:
    """Conversions expected of so many leads of the log-odds asked for, by log-odds and outcomes of known leads."""
    inputs = np.stack([np.ones(len(known)), known])
    fitted, information = np.array([0.0, 1.0]), np.eye(2)
    for _ in range(STEPS):
        chance = expit(fitted @ inputs)
        # Half a lead of prior knowledge that the scores are right: there is a fit where no lead converted too.
        information = (inputs * (leads * chance * (1 - chance))) @ inputs.T + np.eye(2) / 2
        step = np.linalg.solve(information, inputs @ (leads * (target - chance)) - (fitted - (0.0, 1.0)) / 2)
        fitted = fitted + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    chance = expit(fitted[0] + fitted[1] * asked)
    slope = np.array([taken @ (chance * (1 - chance)), taken @ (chance * (1 - chance) * asked)])
    value, error = float(taken @ chance), 1.959964 * float(np.sqrt(slope @ np.linalg.solve(information, slope)))
    return Estimate(value, max(0.0, value - error), value + error)
