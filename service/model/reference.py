"""What the leads looked like that a model was judged on: counts by bin and by value, no lead's own data.

It travels in the bundle, so that drift is measured against the very leads that the model's figures come from. It is
bounded: at most MAX_BINS bins of a number and MAX_VALUES values of a category, none of fewer than MIN_LEADS leads.
"""

from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from service.model.spelling import fold

MAX_BINS = 20
MAX_VALUES = 500
MIN_LEADS = 5
"""A value or bin of fewer leads is merged with others: it could tell who they were."""

Count = Annotated[int, Field(ge=0)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Numbers(_Document):
    """A column of numbers, or of booleans as 0 and 1. Bin i ends with edges[i], which belongs to it; the last is open.

    `means` are those of the bins, rounded by their spread. Fewer than MIN_LEADS numbers are one bin with mean 0.
    """

    name: str
    edges: tuple[FiniteFloat, ...]
    means: tuple[FiniteFloat, ...]
    counts: Annotated[tuple[Count, ...], Field(max_length=MAX_BINS)]
    missing: Count

    @model_validator(mode="after")
    def _fits(self) -> "Numbers":
        if not len(self.edges) + 1 == len(self.means) == len(self.counts):
            raise ValueError(f"{self.name}: {len(self.edges)} edges part {len(self.edges) + 1} bins")
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"{self.name}: edges do not rise")
        return self


class _Values(_Document):
    """`values` are those that training saw in at least MIN_LEADS leads; `others` counts the leads with another one."""

    values: Annotated[tuple[str, ...], Field(max_length=MAX_VALUES)]
    counts: tuple[Count, ...]
    others: Count

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.values) != len(self.counts):
            raise ValueError(f"{len(self.values)} values have {len(self.counts)} counts")
        return self


class Choices(_Values):
    """The single choices of a column whose cells may hold several: how many leads have each."""


class Categories(_Values):
    """A column of text. Where cells hold several choices, values are combinations, and `choices` their parts."""

    name: str
    missing: Count
    choices: Choices | None = Field(default=None, exclude_if=lambda choices: choices is None)

    @property
    def known(self) -> frozenset[str]:
        """The values, or choices, as `fold` writes them: those that differ in case and blanks alone are one."""
        return frozenset(map(fold, (self.choices or self).values))

    @property
    def rare(self) -> int:
        """How many leads have a value, or a choice, that too few leads share."""
        return (self.choices or self).others


Column = Numbers | Categories
Counts = npt.NDArray[np.int64]


def counts(column: Column) -> Counts:
    """How many held-out leads each bin or value has, then (categories) all other values, last those missing."""
    others = [column.others] if isinstance(column, Categories) else []
    return np.array([*column.counts, *others, column.missing], dtype=np.int64)


class ScoreBin(_Document):
    """Leads of about the same score: their number, mean score, and how many converted."""

    score: Annotated[FiniteFloat, Field(ge=0, le=1)]
    leads: Annotated[int, Field(gt=0)]
    converted: Count


class Reference(_Document):
    """reference.json: held-out leads by feature, their scores, how many would be contacted, and the calibration."""

    leads: Annotated[int, Field(gt=0)]
    contacted: Count
    features: tuple[Column, ...]
    scores: Numbers
    calibration: Annotated[tuple[ScoreBin, ...], Field(min_length=1)]
