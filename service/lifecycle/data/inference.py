"""What a column holds and how it is written, decided from all of its cells: read, left as text, or refused.

Where the cells allow two readings with different values, neither is taken: the refusal names the key that decides.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from service.lifecycle.data import times
from service.model.reference import MIN_LEADS
from service.model.schema import Kind
from service.model.spelling import (
    FALSE,
    PLAIN,
    TRUE,
    Grouping,
    Mark,
    NumberSpelling,
    Parts,
    fold,
    is_nothing,
    split,
    truth,
)

Found = Kind | Literal["time", "nested"] | None

MOSTLY = 0.8
"""Share of numbers from which on other texts in a column are refused rather than made a category."""

NOTED = 0.2
"""Share of numbers in a column of text from which on that is said."""

EXACT = 1 << 53
"""From here on a float no longer holds every whole number: so long a number is a code."""

SEQUENCE, CODE_DIGITS = 20, 8
"""Least distinct values of a gapless sequence, and least digits of a code of constant width."""

READINGS: tuple[tuple[Mark, Grouping], ...] = (
    (".", ""), (",", ""), (".", ","), (",", "."), (".", "'"), (",", "'"), (".", " "), (",", " "),
)  # fmt: skip

_SHORTENED = re.compile(r"\d([.,]\d+)?E\+(1[1-9]|[2-9]\d)")
_LEADING_ZERO = re.compile(r"[+-]?0\d+")


class ColumnReading(NamedTuple):
    """A column's kind, the spelling of its numbers, the order of its times, and what is to be said about it.

    `refusal` is why the column cannot be used as it is, `odd` the value at fault. `decides` is the mark that its
    cells leave no doubt of; a column is `ambiguous` where another mark gives other numbers.
    """

    kind: Found
    spelling: NumberSpelling = PLAIN
    order: times.Order | None = None
    notes: tuple[str, ...] = ()
    refusal: str = ""
    odd: Any = None
    decides: Mark | None = None
    ambiguous: bool = False


def find(name: str, values: Sequence[Any], counts: npt.NDArray[np.int64], stated: Mark | None) -> ColumnReading:
    """Decide from the distinct values and how many cells hold each; `stated` is the decimal mark that a person named.

    Times are a kind of their own: they are no input of the model.
    """
    if any(not isinstance(v, str | bool | int | float | Decimal | date | datetime) for v in values):
        return ColumnReading("nested")
    marks = [isinstance(value, str) and is_nothing(value, among_numbers=True) for value in values]
    rest = [value for value, mark in zip(values, marks, strict=True) if not mark]
    weights = counts[~np.array(marks, dtype=bool)]
    if not rest:
        return ColumnReading(None)
    if _booleans(rest):
        return ColumnReading("boolean", notes=_spellings(rest))
    if found := _times(name, rest, weights):
        return found
    parts = [split(value) if isinstance(value, str) else None for value in rest]
    is_number = np.array([_numeric(v) or (p is not None and _possible(p)) for v, p in zip(rest, parts, strict=True)])
    share = float(weights[is_number].sum() / weights.sum())
    if code := _code(rest):
        return ColumnReading("category", notes=(code,) if share == 1 else ())
    if share == 1:
        return _number(rest, [part for part in parts if part], stated)
    odd = [value for value, number in zip(rest, is_number, strict=True) if not number]
    quotable = [str(value)[:40] for value in np.array(rest, dtype=object)[~is_number & (weights >= MIN_LEADS)]]
    notes, refusal = _mixed(name, share, [str(value)[:40] for value in odd], quotable)
    return ColumnReading("category", notes=notes, refusal=refusal, odd=odd[0])


def _mixed(name: str, share: float, odd: list[str], quotable: list[str]) -> tuple[tuple[str, ...], str]:
    """What is to be said of a column in which this share of the cells are numbers: a note, or a refusal.

    A note stays with the model, and so it quotes `quotable` ones of the odd cells only, which enough leads share.
    """
    if share < MOSTLY:
        others = f"; the others are {', '.join(map(repr, quotable[:3]))}" if quotable else ""
        said = f"taken as text, though {share:.0%} of its cells are numbers{others}"
        return ((said,) if share >= NOTED else ()), ""
    shown = ", ".join(map(repr, odd[:3]))
    remedy = (
        "these may be numbers in another spelling: correct them in the file"
        if all(any(mark.isdigit() for mark in text) for text in odd)
        else f"if they mean missing, say so under [missing_in]: {name!r} = {odd[:3]}"
    )
    return (), f'holds numbers, and also {shown}; {remedy}; if this is no number, under [kinds]: {name!r} = "category"'


def _booleans(rest: list[Any]) -> bool:
    """Whether all cells say yes or no, both are there, and they are not the numbers 1 and 0."""
    said = [value if isinstance(value, bool) else truth(value) if isinstance(value, str) else None for value in rest]
    if all(isinstance(value, bool) for value in rest):
        return True
    words = {fold(value) for value in rest if isinstance(value, str)}
    return None not in said and {True, False} <= set(said) and not words <= {"1", "0"}


def _spellings(rest: list[Any]) -> tuple[str, ...]:
    words = {fold(value) for value in rest if isinstance(value, str)}
    if words <= {"true", "false"}:
        return ()
    yes, no = (", ".join(map(repr, sorted(words & side))) for side in (TRUE, FALSE))
    return (f"read as yes ({yes}) and no ({no})",)


def _times(name: str, rest: list[Any], weights: npt.NDArray[np.int64]) -> ColumnReading | None:
    """A column of times, if it is one: by how it is written, or by its name where its cells are mere numbers."""
    written = np.array([bool(times.readings(value)) for value in rest])
    if float(weights[written].sum() / weights.sum()) >= MOSTLY:
        found = times.orders([v for v, is_time in zip(rest, written, strict=True) if is_time], times.readings)
        return ColumnReading("time", order=found[0] if len(found) == 1 else None)
    found = times.orders(rest, times.counted)
    if "yyyymmdd" in found and len(rest) > 2:
        return ColumnReading("time", order="yyyymmdd")
    if len(found) == 1 and (times.names_a_time(name) or (found[0] == "milliseconds" and len(rest) > 2)):
        return ColumnReading("time", order=found[0], notes=(f"read as {found[0]}, for its name says a time",))
    return None


def _number(rest: list[Any], parts: list[Parts], stated: Mark | None) -> ColumnReading:
    typed = len(parts) < len(rest)
    units = {part.unit for part in parts} | ({""} if typed else set())
    currencies = sorted(units - {"", "%"})
    if len(currencies) > 1 or ("%" in units and len(units) > 1):
        shown = " and ".join(repr(unit or "no sign") for unit in sorted(units))
        return ColumnReading(
            "number", refusal=f"holds numbers with {shown}; export one unit, or list it under leave_out"
        )
    unit = "%" if "%" in units else currencies[0] if currencies else ""
    fits = [NumberSpelling(decimal=d, grouping=g, unit=unit) for d, g in READINGS if _fits(parts, d, g)]
    if stated and (named := [spelling for spelling in fits if spelling.decimal == stated]):
        fits = named
    read = {spelling: [part.value(spelling.decimal, spelling.grouping) for part in parts] for spelling in fits}
    first = fits[0]
    unmarked = stated is None and all(part.body.isdecimal() and not part.exponent for part in parts)
    if unmarked and all(float(value).is_integer() for value in rest if _numeric(value)):
        first = first.model_copy(update={"whole": True})
        return ColumnReading("number", first, notes=(f"numbers read as written like {first}",) if unit else ())
    if other := next((spelling for spelling in fits if read[spelling] != read[first]), None):
        at = next(i for i, number in enumerate(read[first]) if number != read[other][i])
        return ColumnReading(
            "number",
            refusal=f"{parts[at].body!r} may be {read[first][at]:g} or {read[other][at]:g}, and no cell of the column "
            f'decides; say decimal = "{first.decimal}" or decimal = "{other.decimal}"',
            ambiguous=first.decimal != other.decimal,
        )
    said = () if first.plain else (f"numbers read as written like {first}",)
    marks = {spelling.decimal for spelling in fits}
    return ColumnReading("number", first, notes=said, decides=first.decimal if len(marks) == 1 and not stated else None)


def _fits(parts: list[Parts], decimal: str, grouping: str) -> bool:
    return all(part.value(decimal, grouping) is not None for part in parts)


def _possible(part: Parts) -> bool:
    return any(part.value(decimal, grouping) is not None for decimal, grouping in READINGS)


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _code(rest: list[Any]) -> str:
    """Why a column of digits holds codes, which are text and no numbers; empty where it does not."""
    texts = [value for value in rest if isinstance(value, str)]
    if any(_LEADING_ZERO.fullmatch(text) for text in texts):
        return "read as text, for numbers with leading zeros are codes"
    if any(text.isdecimal() and int(text) >= EXACT for text in texts) or any(
        isinstance(value, int) and abs(value) >= EXACT for value in rest
    ):
        return "read as text, for whole numbers of 16 or more digits are codes"
    return ""


def shortened(values: Sequence[Any]) -> str | None:
    """A cell in which a spreadsheet replaced the digits of a long number, such as 1.23457E+17; None without one."""
    return next((v for v in values if isinstance(v, str) and _SHORTENED.fullmatch(v.strip())), None)


def key_of_numbers(numbers: npt.NDArray[np.float64]) -> str:
    """Why distinct whole numbers are keys of the rows; empty for all others, which are measurements."""
    distinct = np.unique(numbers)
    if len(distinct) < max(SEQUENCE, 0.9 * len(numbers)) or (distinct != np.floor(distinct)).any():
        return ""
    low, high = float(distinct[0]), float(distinct[-1])
    if len(distinct) == len(numbers) and high - low + 1 <= 1.05 * len(distinct):
        return "a running number"
    if low >= 10 ** (CODE_DIGITS - 1) and len(f"{low:.0f}") == len(f"{high:.0f}"):
        return f"codes of {len(f'{low:.0f}')} digits, nearly all different"
    return ""
