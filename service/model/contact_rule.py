"""The contact rule: the line from which a lead is contacted, and the share of the leads below it that are explored.

Below the line a lead is drawn by a hash of a fixed salt, the lead source and the lead's key. The draw needs no state,
so a retry, a re-scoring and another model version draw the same. Python and SQL draw alike: the first
DIGITS hexadecimal digits of an MD5 are compared as text, which orders them as it orders the numbers.
"""

import hashlib
import math
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat

SALT = "leadscoring-exploration-1"
"""Another salt draws other leads: it must never change."""
DIGITS = 13
"""Hexadecimal digits of a draw: 52 bits, which a double holds without rounding."""

Policy = Literal["line", "explore"]
POLICIES: tuple[Policy, Policy] = ("line", "explore")
_Share = Annotated[FiniteFloat, Field(ge=0, le=1)]


class ContactRule(BaseModel):
    """Contact a lead that scores at least `line`, and one below it with `explore_probability`.

    `share_above` is the share of the leads at or above the line, None where none was counted. The rule was computed
    from the scores of so many `leads`: those held out at training, or those scored from `since` to `until`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    line: _Share
    explore_probability: _Share = 0.0
    share_above: _Share | None = None
    basis: Literal["training", "recent"] = "training"
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    leads: Annotated[int, Field(ge=0)] = 0

    @property
    def explores(self) -> bool:
        """Whether any lead below the line is contacted."""
        return self.explore_probability > 0

    @property
    def limit(self) -> str:
        """A draw is below `explore_probability` where its digits are below these. "g" is above all digits."""
        # Scaling by a power of two is exact.
        least = math.ceil(self.explore_probability * 16.0**DIGITS)
        return "g" if least >= 16**DIGITS else f"{least:0{DIGITS}x}"

    def drawn(self, source: str, lead_keys: Iterable[str]) -> list[bool]:
        """For each lead whether it is explored where it is below the line."""
        prefix, limit, md5 = f"{SALT}:{source}:", self.limit, hashlib.md5
        # More digits than the limit's can only make a draw greater than a limit that its first digits equal.
        return [md5((prefix + key).encode(), usedforsecurity=False).hexdigest() < limit for key in lead_keys]

    def drawn_in_sql(self, source: str, lead_key: str) -> str:
        """The condition of `drawn` over this column of text, for DuckDB and Spark."""
        prefix = f"{SALT}:{source}:".replace("'", "''")
        return f"substr(md5('{prefix}' || {lead_key}), 1, {DIGITS}) < '{self.limit}'"


def rule_of(
    scores: npt.NDArray[np.float64],
    threshold: float,
    contacts_per_1000_leads: float,
    share: float,
    basis: Literal["training", "recent"] = "training",
    since: datetime | None = None,
    until: datetime | None = None,
) -> ContactRule:
    """The rule for leads that score like these, at least one; `share` is the part of the contacts that explores.

    The line is the `threshold`, from which a contact pays, or higher where more leads reach that than can be contacted
    beside the explored ones. Equal scores that do not all fit are below it, but for the highest score of all. Without
    a limit of contacts there can be as many as there are leads that pay.
    """
    capacity = contacts_per_1000_leads / 1000
    if capacity >= 1:
        capacity = float((scores >= threshold).mean())
    line, fitting = threshold, int((1 - share) * capacity * len(scores))
    if fitting < (scores >= threshold).sum():
        best = max(fitting, 1)
        cut = float(np.partition(scores, len(scores) - best)[len(scores) - best])
        higher = scores[scores > cut]
        if len(higher) and (scores >= cut).sum() > best:
            cut = float(higher.min())
        line = max(line, cut)
    above = float((scores >= line).mean())
    return ContactRule(
        line=line,
        explore_probability=_probability(share, capacity, above),
        share_above=above,
        basis=basis,
        since=since,
        until=until,
        leads=len(scores),
    )


def with_share(
    rule: ContactRule, scores: npt.NDArray[np.float64], contacts_per_1000_leads: float, share: float
) -> ContactRule:
    """The rule with its line, for scores that are too few to compute another; `share` as in `rule_of`.

    The share of the leads above the line is the rule's, else that of these scores. Without any it counts as 0, so that
    at most `share` of the contacts explores. Without a limit of contacts there are as many as leads above the line.
    """
    above = rule.share_above
    if above is None:
        above = float((scores >= rule.line).mean()) if len(scores) else 0.0
    capacity = contacts_per_1000_leads / 1000
    probability = _probability(share, above if capacity >= 1 else capacity, above)
    return rule.model_copy(update={"explore_probability": probability})


def _probability(share: float, capacity: float, above: float) -> float:
    """The probability by which a lead below the line is contacted; `capacity` and `above` are shares of the leads."""
    return min(1.0, share * capacity / (1 - above)) if above < 1 else 0.0
