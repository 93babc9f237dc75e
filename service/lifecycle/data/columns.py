"""One column of a lead table: what kind it is, and its cells as the model takes them."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from service.lifecycle.data.source import SourceError
from service.lifecycle.data.table import Table
from service.model.schema import MAX_NUMBER, MAX_TEXT, Kind

NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
DATE = re.compile(r"\s*\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?\s*")
BOOLEANS = {"true": True, "false": False}
MOSTLY = 0.9
"""Share of numbers from which on the rest of a column looks like ways to write "missing"."""

Found = Kind | Literal["time", "nested"] | None


@dataclass(frozen=True)
class Column:
    """A column's distinct values and, for each row, which of them it holds; -1 where the cell is missing."""

    table: Table
    name: str
    values: list[Any]
    codes: npt.NDArray[np.int64]
    decimal: str = "."

    @property
    def present(self) -> npt.NDArray[np.int64]:
        """Codes of the cells that are not missing."""
        return self.codes[self.codes >= 0]

    def kind(self) -> Found:
        """The kind that all values agree on: text unless all are numbers, true/false, or times; None: all missing."""
        kinds = {self._kind_of(value) for value in self.values}
        if not kinds:
            return None
        return kinds.pop() if len(kinds) == 1 else "category"

    def not_numbers(self) -> list[str]:
        """The odd texts in a column that otherwise holds numbers, the first ones; nothing in any other column."""
        odd = [code for code, value in enumerate(self.values) if self._kind_of(value) != "number"]
        numbers = 1 - float(np.isin(self.present, odd).mean()) if odd else 0.0
        return [str(self.values[code]) for code in odd[:3]] if MOSTLY <= numbers < 1 else []

    def is_identifier(self, share: float) -> bool:
        """Whether texts or whole numbers are nearly all different, as names and keys are."""
        whole = self.kind() == "number" and all(float(self.number(v) or 0).is_integer() for v in self.values)
        return (whole or self.kind() == "category") and len(self.values) > share * max(1, len(self.present))

    def prepare(self, kind: Kind) -> npt.NDArray[Any]:
        """The cells as the model takes them. Raises SourceError naming the first cell that is not of this kind."""
        convert = {"number": self.number, "boolean": as_boolean, "category": as_text}[kind]
        prepared: list[Any] = [convert(value) for value in self.values]
        if None in prepared:
            self.refuse(prepared.index(None), f"is no {kind}" if kind != "category" else "is no text that can be sent")
        if kind == "category":
            return np.array([*prepared, ""], dtype=object)[self.codes]
        return np.array([*prepared, np.nan], dtype=np.float64)[self.codes]

    def times(self, form: str | None) -> pd.DatetimeIndex:
        """The cells as UTC times. Raises SourceError naming the first cell that is none, or that is missing."""
        if (missing := self.codes < 0).any():
            raise SourceError(f"{self.where(int(missing.argmax()))}: the lead has no time")
        parsed = pd.to_datetime(pd.Series(self.values), utc=True, format=form or "ISO8601", errors="coerce")
        if parsed.isna().any():
            hint = f"time_format {form!r}" if form else "ISO 8601; for another form give time_format, such as %d/%m/%Y"
            self.refuse(int(parsed.isna().to_numpy().argmax()), f"is no time ({hint})")
        return pd.DatetimeIndex(parsed)[self.codes]

    def number(self, value: Any) -> float | None:
        """See `as_number`."""
        return as_number(value, self.decimal)

    def where(self, index: int) -> str:
        """File, row and column, for messages."""
        return f"{self.table.origin}, row {self.table.row(index)}, column {self.name!r}"

    def refuse(self, code: int, reason: str) -> None:
        """Raise SourceError at the first cell that holds the value with this code."""
        raise SourceError(f"{self.where(int((self.codes == code).argmax()))}: {str(self.values[code])[:40]!r} {reason}")

    def _kind_of(self, value: Any) -> Found:
        if as_boolean(value) is not None:
            return "boolean"
        if isinstance(value, datetime | date) or (isinstance(value, str) and DATE.fullmatch(value)):
            return "time"
        if isinstance(value, int | float | Decimal) or self.number(value) is not None:
            return "number"
        return "category" if isinstance(value, str) else "nested"


def as_number(value: Any, decimal: str = ".") -> float | None:
    """The value as the nearest float64, or None if it is no finite number that a caller could send."""
    if isinstance(value, str):
        text = value.replace(decimal, ".") if "." not in value else value
        number = float(text) if NUMBER.fullmatch(text) else np.nan
    else:
        numeric = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        number = float(value) if numeric else np.nan
    return number if abs(number) <= MAX_NUMBER else None


def as_boolean(value: Any) -> bool | None:
    """The value as true or false, or None if it is neither."""
    return value if isinstance(value, bool) else BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else None


def as_text(value: Any) -> str | None:
    """The value as text, a whole number without ".0", or None if it is longer than a caller could send."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    return text if len(text) <= MAX_TEXT else None


def read_column(table: Table, name: str, missing: Collection[str | float] = (), decimal: str = ".") -> Column:
    """The column with these values, and blank cells, as missing. A number is the same number however it is written."""
    cells = table.cells[name]
    if pa.types.is_nested(cells.type):
        return Column(table, name, [()], np.zeros(len(cells), dtype=np.int64))
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    encoded = cells.combine_chunks().dictionary_encode()
    column = Column(table, name, encoded.dictionary.to_pylist(), _codes(encoded), decimal)
    texts, numbers = {m for m in missing if isinstance(m, str)}, set(_numbers(missing))
    kept = [
        not (
            value is None
            or value != value
            or value in texts
            or str(value).strip() == ""
            or column.number(value) in numbers
        )
        for value in column.values
    ]
    renumbered = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1).astype(np.int64)
    values = [value for value, keep in zip(column.values, kept, strict=True) if keep]
    return Column(table, name, values, renumbered[column.codes], decimal)


def missing_of(kind: Kind, missing: Collection[str | float]) -> tuple[float | str, ...]:
    """Those of the values meaning "missing" that a caller could send in a field of this kind."""
    if kind == "number":
        return tuple(dict.fromkeys(_numbers(missing)))
    return tuple(dict.fromkeys(str(as_text(m)) for m in missing)) if kind == "category" else ()


def _codes(encoded: pa.DictionaryArray) -> npt.NDArray[np.int64]:
    codes: npt.NDArray[np.int64] = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _numbers(missing: Collection[str | float]) -> Iterator[float]:
    for marker in missing:
        if not isinstance(marker, str) or NUMBER.fullmatch(marker):
            yield float(marker)
