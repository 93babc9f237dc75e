"""Whom a policy contacts, and so whose outcomes there are: of nobody else does anyone learn an outcome.

A lead at or above the line is contacted. A lead below it is contacted with the rule's probability: whether it is, a
hash of its id decides, so that a second score of the same lead draws the same.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.lifecycle.evaluation.quality import Mask, Scores
from service.model.bundle import Economics

SALT = "world"
"""Of these worlds alone: the product has a salt of its own."""


@dataclass(frozen=True)
class Rule:
    """From which score on a lead is contacted, and with what probability one below is."""

    line: float
    explore: float = 0.0

    def probability(self, scores: Scores) -> Scores:
        """That of each lead to be contacted."""
        return np.where(scores >= self.line, 1.0, self.explore)

    def contacts(self, keys: Sequence[str], scores: Scores) -> Mask:
        """Which of the leads are contacted."""
        drawn = np.array([drawn_by(key) for key in keys]) if self.explore else np.ones(len(scores))
        return (scores >= self.line) | (drawn < self.explore)


def drawn_by(key: str) -> float:
    """A number in [0, 1) that is always the same for this lead."""
    return int(hashlib.md5(f"{SALT}:{key}".encode(), usedforsecurity=False).hexdigest()[:13], 16) / 16**13


def rule_of(scores: Scores, economics: Economics, share: float, leads: Scores | None = None) -> Rule:
    """The rule that these scores imply, each of so many leads (1 unless given).

    The best leads get what exploring leaves of the capacity, as far as contacting them pays; where that is less than
    the capacity, exploring gets its share of the capacity all the same.
    """
    leads = np.ones(len(scores)) if leads is None else leads
    capacity = economics.contacts_per_1000_leads / 1000
    order = np.argsort(-scores, kind="stable")
    place = np.searchsorted(np.cumsum(leads[order]), (1 - share) * capacity * leads.sum())
    line = max(economics.threshold, float(scores[order][min(place, len(order) - 1)]))
    below = float(leads[scores < line].sum())
    return Rule(line, min(1.0, share * capacity * float(leads.sum()) / below) if below else 0.0)
