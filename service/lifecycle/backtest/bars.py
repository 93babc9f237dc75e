"""Bars that a replay must reach, written as `closed.brier<=0.12` or `closed.profit>never.profit`."""

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass

OPERATORS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}

BANK = (
    "trigger.brier<=0.116",
    "trigger.calibration_error<=0.048",
    "closed.brier<=0.120",
    "closed.calibration_error<=0.055",
    "closed.profit>never.profit",
    "closed.profit>random.profit",
)
"""For the bank's contacts from row 15,000 on in blocks of 2,000."""

STRATEGIES = ("closed", "trigger", "always", "never", "oracle", "random")
FIGURES = ("brier", "calibration_error", "roc_auc", "profit", "contacts", "fits")
"""Figures that a bar may name; of `random`, calling at random, there is profit alone."""

Named = Mapping[str, Mapping[str, float]]
"""Figures by strategy and name."""


@dataclass(frozen=True)
class Limit:
    """A figure of a strategy, and what it is held against: a number, or another figure."""

    left: str
    sign: str
    right: str

    def __str__(self) -> str:
        return f"{self.left}{self.sign}{self.right}"

    def judge(self, found: Named) -> tuple[float, float, bool]:
        """The figure, its limit, and whether it keeps to it."""
        value, limit = (_value(side, found) for side in (self.left, self.right))
        return value, limit, OPERATORS[self.sign](value, limit)


def parse(text: str) -> Limit:
    """The bar that is written so. Raises ValueError, also for a figure that there is not."""
    match = re.fullmatch(r"\s*([a-z]\w*\.\w+)\s*(<=|>=|<|>)\s*([a-z]\w*\.\w+|-?(?:\d+\.?\d*|\.\d+))\s*", text)
    if match is None:
        raise ValueError(f"bar {text!r}: write it like closed.brier<=0.12 or closed.profit>never.profit")
    for side in match.group(1, 3):
        strategy, _, figure = side.partition(".")
        if side[0].isalpha() and figure not in (("profit",) if strategy == "random" else FIGURES):
            raise ValueError(f"bar {text!r}: {strategy} has no {figure}; there are {', '.join(FIGURES)}")
        if side[0].isalpha() and strategy not in STRATEGIES:
            raise ValueError(f"bar {text!r}: no strategy is called {strategy}; there are {', '.join(STRATEGIES)}")
    return Limit(*match.groups())


def _value(side: str, found: Named) -> float:
    if not side[0].isalpha():
        return float(side)
    strategy, figure = side.split(".")
    return found[strategy][figure]
