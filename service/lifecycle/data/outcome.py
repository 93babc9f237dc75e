"""The outcome of a lead: which values of the target column mean that it converted, that it is lost, or neither."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from service.lifecycle.data.columns import Column
from service.lifecycle.data.source import Source, SourceError
from service.model.spelling import fold

SHOWN = 12
"""Values of a target column that a message lists at most."""

Meaning = str | float


@dataclass(frozen=True)
class OutcomeValues:
    """The values of the target column, as the lead source's own data spell them first.

    A lead with a value of neither kind is open. `others` are such values of the own data; without them there are none,
    and a value that is not known is an error. `negative_stated`: the source names its negative values, so that every
    other one, known or not, is open.
    """

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    others: tuple[str, ...] = ()
    negative_stated: bool = False

    def converted(self, value: object) -> bool | None:
        """Whether a lead with this outcome converted; None for a value that says neither."""
        meant = meaning(value)
        return True if meant in _meanings(self.positive) else False if meant in _meanings(self.negative) else None

    def known(self, value: object) -> bool:
        """Whether it is known what this value says, be it that the lead is open."""
        if self.negative_stated or self.converted(value) is not None:
            return True
        return meaning(value) in _meanings(self.others)


def meaning(value: object) -> Meaning:
    """Equal for spellings of one outcome: 1, "1" and 1.0; true and "TRUE"; "yes", "Yes" and " YES "."""
    text = fold(str(value))
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def find_outcomes(source: Source, column: Column) -> OutcomeValues:
    """What the values of the target column mean. Raises SourceError where source and column leave that open."""
    spelled: dict[Meaning, str] = {}
    for value in column.values:
        spelled.setdefault(meaning(value), str(value))
    where = f"{column.table.origin}, column {column.name!r}"
    if both := _meanings(source.positive).keys() & _meanings(source.negative).keys():
        raise SourceError(f"positive and negative: both hold {_listed(both)}; a value means one of the two")
    for key, stated in (("positive", source.positive), ("negative", source.negative)):
        if never := [value for value in stated if meaning(value) not in spelled]:
            values = " and ".join(repr(value) for value in never)
            raise SourceError(f"{where}: {key} = {values} never occurs; it holds {counted(column)}")
    positive, negative = (
        tuple(spelled[meant] for meant in _meanings(stated)) for stated in (source.positive, source.negative)
    )
    others = tuple(text for text in spelled.values() if text not in (*positive, *negative))
    if source.negative:
        return OutcomeValues(positive, negative, others, negative_stated=True)
    if source.absent_after_days is not None:
        return OutcomeValues(positive, (), others)
    if len(others) == 1 and not _blank(column):
        return OutcomeValues(positive, others)
    absent = "absent_after_days = N: a lead that has not converted within N days of its time_column is lost"
    if not others:
        raise SourceError(
            f"{where}: {_listed(positive)} is the only outcome, in any spelling: it holds {counted(column)}. Add the "
            f"leads that did not convert, or say {absent}"
        )
    raise SourceError(
        f"{where}: besides {_listed(positive)} one other outcome is expected, and it holds {counted(column)}. Say "
        f"which values mean that a lead is lost, negative = [...], and all others and blanks are open leads, which are "
        f"left out; or {absent}"
    )


def counted(column: Column, rows: Any = None, least: int = 1) -> str:
    """The values that these rows of a column hold, with their number; those alike but for case and blanks are one.

    Values that fewer than `least` rows hold are counted together, and not named. What a column holds once has its row.
    """
    codes = column.codes if rows is None else column.codes[rows]
    counts: Counter[Meaning] = Counter()
    first: dict[Meaning, int] = {}
    for code, rows_of_value in Counter(codes[codes >= 0].tolist()).most_common():
        counts[meaning(column.values[code])] += rows_of_value
        first.setdefault(meaning(column.values[code]), code)

    def shown(name: str, number: int, code: int) -> str:
        once = number == 1 and rows is None
        return f"{name}: {number:,}" + (f" (row {column.table.row(int((codes == code).argmax()))})" if once else "")

    named = [(meant, number) for meant, number in counts.most_common(SHOWN) if number >= least]
    parts = [shown(repr(str(column.values[first[meant]])[:40]), number, first[meant]) for meant, number in named]
    if more := len(counts) - len(named):
        parts.append(f"{more:,} other values: {counts.total() - sum(number for _, number in named):,}")
    if blank := int((codes < 0).sum()):
        parts.append(shown("blank", blank, -1))
    return ", ".join(parts)


def _meanings(values: Iterable[object]) -> dict[Meaning, None]:
    """Their meanings, each once, in order."""
    return dict.fromkeys(map(meaning, values))


def _listed(values: Iterable[object]) -> str:
    return " and ".join(repr(str(value)) for value in values)


def _blank(column: Column) -> int:
    return int((column.codes < 0).sum())
