"""What a cell says about a lead: the one reading of a cell, of a file's text or of a request's JSON."""

import re
from decimal import Decimal
from typing import Any

from service.model.schema import MAX_NUMBER, MAX_TEXT, Feature, Kind, Value
from service.model.spelling import PLAIN, NumberSpelling, clean, is_nothing, truth

NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
"""A number as programs write it. No two parts match the same digits: a long cell is refused in linear time."""
SHOWN = 40
"""Characters of a refused value that are quoted."""
REASONS: dict[Kind, str] = {
    "number": "is no number",
    "boolean": "is neither true nor false",
    "category": f"is longer than {MAX_TEXT} characters",
}
DOUBTFUL = (
    "may have a decimal mark or one between thousands, and no cell of the training decides; "
    'say decimal = "." or decimal = "," in the lead source'
)


class UnreadableCell(ValueError):
    """A cell that is not of its field's kind. The message quotes it and says what is wrong."""


def read_cell(cell: Any, feature: Feature) -> Value:
    """The value of this cell in a column with this feature, None where it is missing. Raises UnreadableCell."""
    if _blank(cell):
        return None
    if isinstance(cell, str) and clean(cell) in feature.missing and feature.kind != "category":
        return None
    spelling = feature.spelling or PLAIN
    found: Value
    if feature.kind == "number":
        found = as_number(cell, spelling)
    else:
        found = as_boolean(cell) if feature.kind == "boolean" else as_text(cell)
    if found is not None:
        return found
    if isinstance(cell, str) and feature.kind != "category" and is_nothing(cell, among_numbers=True):
        return None
    doubtful = feature.kind == "number" and isinstance(cell, str) and spelling.doubtful(cell)
    raise UnreadableCell(f"{str(cell)[:SHOWN]!r} {DOUBTFUL if doubtful else REASONS[feature.kind]}")


def as_number(value: Any, spelling: NumberSpelling = PLAIN) -> float | None:
    """The value as the nearest float64, or None if it is no finite number that a caller could send."""
    if isinstance(value, str):
        number = float(value) if spelling.plain and NUMBER.fullmatch(value) else spelling.number(value)
    else:
        numeric = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        number = float(value) if numeric and abs(value) <= MAX_NUMBER else None
    return number if number is not None and abs(number) <= MAX_NUMBER else None


def as_boolean(value: Any) -> bool | None:
    """The value as true or false, or None if it is neither."""
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    return truth(value) if isinstance(value, str) else None


def as_text(value: Any) -> str | None:
    """The value as text, a whole number without ".0", or None if it is longer than a caller could send."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = clean(value) if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_TEXT else None


def _blank(cell: Any) -> bool:
    return cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())
