"""The outcome of a lead: which values of the target column mean that it converted, and which that it did not."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.lifecycle.data.columns import read_column
from service.lifecycle.data.source import Source, SourceError
from service.lifecycle.data.table import Table


class OutcomeValues(NamedTuple):
    """The two values of the target column, as the lead source's own data spell them."""

    positive: str
    negative: str

    def converted(self, value: object) -> bool | None:
        """Whether a lead with this outcome converted; None for a value that is neither of the two."""
        return {meaning(self.positive): True, meaning(self.negative): False}.get(meaning(value))


def find_outcomes(source: Source, table: Table) -> OutcomeValues:
    """The two outcomes that the target column holds. Raises SourceError where these cannot be told."""
    column = read_column(table, source.target_column)
    spelled: dict[str | float, str] = {}
    for value in column.values:
        spelled.setdefault(meaning(value), str(value))
    positive = spelled.pop(meaning(source.positive), None)
    where = f"{table.origin}, column {source.target_column!r}"
    if positive is None:
        raise SourceError(
            f"{where}: positive = {source.positive!r} never occurs; "
            f"it holds {', '.join(repr(str(v)) for v in column.values[:5])}"
        )
    if not spelled:
        raise SourceError(
            f"{where}: {positive!r} is the only outcome, in any spelling; add the leads that did not convert"
        )
    negative, *more = spelled
    if more:
        third = next(code for code, value in enumerate(column.values) if meaning(value) == more[0])
        column.refuse(third, f"is a third outcome, beside {source.positive!r} and {spelled[negative]!r}")
    return OutcomeValues(positive, spelled[negative])


def read_target(source: Source, table: Table, outcomes: OutcomeValues) -> npt.NDArray[np.int8]:
    """1 for each row whose lead converted, else 0. Raises SourceError where an outcome is missing."""
    column = read_column(table, source.target_column)
    if (missing := column.codes < 0).any():
        raise SourceError(
            f"{column.where(int(missing.argmax()))}: the outcome is missing ({missing.sum()} of {len(missing)}); "
            "leave out leads without an outcome yet, or write what an empty cell stands for"
        )
    return np.array([outcomes.converted(value) for value in column.values], dtype=np.int8)[column.codes]


def meaning(value: object) -> str | float:
    """Equal for spellings of one outcome: 1, "1" and 1.0; true and "TRUE"; "yes", "Yes" and " YES "."""
    text = str(value).strip().casefold()
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
