"""One column of a lead table: what kind it is, and its cells as the model takes them."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from service.lifecycle.data.decimals import decimals
from service.lifecycle.data.inference import ColumnReading, Found, find
from service.lifecycle.data.several import separator_of
from service.lifecycle.data.source import SourceError
from service.lifecycle.data.table import Table
from service.lifecycle.data.times import EXAMPLES, Order, counted, names_a_zone, orders, readings
from service.model.choices import joined, parted
from service.model.numbers import as_written
from service.model.schema import Kind
from service.model.spelling import Mark, NumberSpelling, clean, fold, is_nothing, truth
from service.reading.cells import NUMBER, as_boolean, as_number, as_text

DATE = re.compile(r"\s*\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?\s*")
LONG_TEXT = 40
"""Characters on average from which on texts that are nearly all different are notes, not names."""


@dataclass(frozen=True)
class Column:
    """A column's distinct values and, for each row, which of them it holds; -1 where the cell is missing.

    Texts are without blanks around them. `stated` is the decimal mark that a person named. `frozen` is how the numbers
    were written at training. With `marks` the known marks for "no value" are missing too. `parted_by` is what stands
    between choices, "" where a cell is one value, None where the cells decide.
    """

    table: Table
    name: str
    values: list[Any]
    codes: npt.NDArray[np.int64]
    stated: Mark | None = None
    frozen: NumberSpelling | None = None
    absent: frozenset[float] = frozenset()
    marks: bool = True
    parted_by: str | None = None

    @property
    def present(self) -> npt.NDArray[np.int64]:
        """Codes of the cells that are not missing."""
        return self.codes[self.codes >= 0]

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many cells hold each value."""
        return np.bincount(self.present, minlength=len(self.values))

    @cached_property
    def finding(self) -> ColumnReading:
        """What the cells are and how they are written; see `inference.find`."""
        return find(self.name, self.values, self.counts, self.stated)

    @property
    def spelling(self) -> NumberSpelling:
        """How the numbers are written: as at training, else as all cells say."""
        return self.frozen or self.finding.spelling

    def kind(self) -> Found:
        """The kind that all values agree on: text unless all are numbers, true/false, or times; None: all missing."""
        return self.finding.kind

    @cached_property
    def separator(self) -> str:
        """What stands between the choices of a cell; "" where a cell is one value."""
        if self.parted_by is not None:
            return self.parted_by
        if self.kind() != "category" or self.finding.refusal:
            return ""
        nothing = set(self.nothing("category"))
        texts = [(v, n) for v, n in zip(self.values, self.counts, strict=True) if isinstance(v, str)]
        filled = [(value, count) for value, count in texts if value not in nothing]
        return separator_of([value for value, _ in filled], np.array([n for _, n in filled], dtype=np.int64))

    @cached_property
    def texts(self) -> Counter[str]:
        """How many cells hold each text, or each choice of several, as it is written there."""
        found: Counter[str] = Counter()
        for value, count in zip(self.values, self.counts, strict=True):
            if (text := as_text(value)) is not None:
                found.update(dict.fromkeys(self._parts(text), int(count)))
        return found

    def _parts(self, text: str) -> list[str]:
        return parted(text, self.separator) if self.separator else [text]

    def identifier(self, share: float) -> str:
        """Why texts that are nearly all different are names, keys or notes; empty where they are not."""
        few = len(self.values) <= share * max(1, len(self.present))
        if few or self.kind() != "category" or self.separator:
            return ""
        length = float(np.mean([len(str(value)) for value in self.values]))
        return f"long text of {length:.0f} characters on average" if length >= LONG_TEXT else "texts"

    def nothing(self, kind: Kind) -> list[str]:
        """The marks for "no value" that this column holds, besides blank cells."""
        among_numbers = kind != "category"
        held = (v for v in self.values if isinstance(v, str) and is_nothing(v, among_numbers))
        return [v for v in held if self.marks and not (kind == "boolean" and truth(v) is not None)]

    def check(self) -> None:
        """Raise SourceError where the cells cannot be read as they are, naming the row where one is at fault."""
        found = self.finding
        if found.refusal and found.odd in self.values:
            place = int((self.codes == self.values.index(found.odd)).argmax())
            raise SourceError(f"{self.where(place)}: the column {found.refusal}")
        if found.refusal:
            raise SourceError(f"{self.table.origin}, column {self.name!r}: {found.refusal}")

    def prepare(self, kind: Kind) -> npt.NDArray[Any]:
        """The cells as the model takes them. Raises SourceError naming the first cell that is not of this kind."""
        if kind == "number" and self.frozen is None and self.kind() == "number":
            self.check()
        convert = {"number": self._number, "boolean": as_boolean, "category": as_text}[kind]
        nothing = set(self.nothing(kind))
        prepared: list[Any] = [convert(value) if value not in nothing else "" for value in self.values]
        if None in prepared:
            self.refuse(prepared.index(None), f"is no {kind}" if kind != "category" else "is no text that can be sent")
        if kind == "category":
            common = self.common_spellings()
            texts = [joined((common.get(part, part) for part in self._parts(t)), self.separator) for t in prepared]
            return np.array([*texts, ""], dtype=object)[self.codes]
        numbers = [np.nan if value == "" or value in self.absent else value for value in prepared]
        return as_written(np.array([*numbers, np.nan], dtype=np.float64))[self.codes]

    def as_found(self) -> npt.NDArray[Any]:
        """The cells of a column that is no input: numbers and booleans as float64, others as text; "" is missing."""
        kind = self.kind()
        if kind in ("number", "boolean") and not self.finding.refusal:
            try:
                return self.prepare("number" if kind == "number" else "boolean")
            except SourceError:
                pass  # A number that no caller could send is text here.
        nothing = {v for v in self.values if isinstance(v, str) and is_nothing(v, among_numbers=True)}
        texts = ["" if self.marks and value in nothing else str(value) for value in self.values]
        return np.array([*texts, ""], dtype=object)[self.codes]

    def common_spellings(self) -> dict[str, str]:
        """For a text or choice that others equal but for case and blanks: their most frequent one, itself excepted."""
        spelled: dict[str, Counter[str]] = {}
        for text, count in self.texts.items():
            spelled.setdefault(fold(text), Counter())[text] += count
        return {
            text: counted.most_common(1)[0][0]
            for counted in spelled.values()
            if len(counted) > 1
            for text in counted
            if text != counted.most_common(1)[0][0]
        }

    def times(self, form: str | None, zone: tzinfo) -> pd.DatetimeIndex:
        """The cells as UTC times; those that name no zone are of the `zone`.

        Raises SourceError naming the first cell that is none, or that is missing.
        """
        if (missing := self.codes < 0).any():
            raise SourceError(f"{self.where(int(missing.argmax()))}: the lead has no time")
        if form or (all(not isinstance(v, str) or DATE.fullmatch(v) for v in self.values) and self.kind() == "time"):
            parsed = pd.to_datetime(pd.Series(self.values), utc=True, format=form or "ISO8601", errors="coerce")
            if parsed.isna().any():
                self.refuse(
                    int(parsed.isna().to_numpy().argmax()),
                    f"is no time (time_format {form!r})" if form else "is no time",
                )
            return _in_zone(pd.DatetimeIndex(parsed), self._zoneless(form), zone)[self.codes]
        read = partial(readings if any(readings(value) for value in self.values) else counted, zone=zone)
        found = orders(self.values, read)
        if len(found) != 1:
            self._refuse_times(found, read)
        return pd.DatetimeIndex([pd.Timestamp(read(value)[found[0]]) for value in self.values])[self.codes]

    def zoneless(self, form: str | None) -> bool:
        """Whether any of the times names no zone."""
        return bool(self._zoneless(form).any())

    def _zoneless(self, form: str | None) -> npt.NDArray[np.bool_]:
        named = [("%z" in form or "%Z" in form) if form else names_a_zone(value) for value in self.values]
        return ~np.array(named, dtype=bool)

    def where(self, index: int) -> str:
        """File, row and column, for messages."""
        return f"{self.table.origin}, row {self.table.row(index)}, column {self.name!r}"

    def refuse(self, code: int, reason: str) -> None:
        """Raise SourceError at the first cell that holds the value with this code."""
        raise SourceError(f"{self.where(int((self.codes == code).argmax()))}: {str(self.values[code])[:40]!r} {reason}")

    def _refuse_times(self, found: list[Order], read: Any) -> None:
        """Raise SourceError for times that are none, that contradict each other, or that may mean two days."""
        none = [code for code, value in enumerate(self.values) if not read(value)]
        if none:
            self.refuse(none[0], "is no time in a known spelling; give time_format, such as %d/%m/%Y")
        if found:
            forms = " or ".join(f'"{EXAMPLES[order]}"' for order in found if order in EXAMPLES)
            self.refuse(0, f"may be read {' or '.join(found)}, and no cell decides; say time_format = {forms}")
        first = set(read(self.values[0]))
        other = next(c for c, v in enumerate(self.values) if first.isdisjoint(read(v)) or len(read(v)) < len(first))
        self.refuse(other, f"is written in another order than {str(self.values[0])!r}; export one, or give time_format")

    def _number(self, value: Any) -> float | None:
        return as_number(value, self.spelling)


def _in_zone(times: pd.DatetimeIndex, zoneless: npt.NDArray[np.bool_], zone: tzinfo) -> pd.DatetimeIndex:
    """Times that were read as UTC, of which these are of the zone; doubtful hours as `times.readings` reads them."""
    local = times.tz_localize(None).tz_localize(
        zone, ambiguous=np.ones(len(times), bool), nonexistent=pd.Timedelta("1h")
    )
    return pd.DatetimeIndex(times.where(~zoneless, local.tz_convert("UTC")))


def read_column(
    table: Table,
    name: str,
    missing: Collection[str | float] = (),
    stated: Mark | None = None,
    frozen: NumberSpelling | None = None,
    marks: bool = True,
    parted_by: str | None = None,
) -> Column:
    """The column with these values, and blank cells, as missing. A number is the same number however it is written."""
    cells = table.cells[name]
    if pa.types.is_nested(cells.type):
        return Column(table, name, [()], np.zeros(len(cells), dtype=np.int64))
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    if pa.types.is_floating(cells.type):
        cells = pa.chunked_array([decimals(chunk) for chunk in cells.chunks], pa.float64())
    encoded = cells.combine_chunks().dictionary_encode()
    texts, absent = {clean(m) for m in missing if isinstance(m, str)}, frozenset(_numbers(missing))
    values: dict[Any, int] = {}
    places = []
    for value in encoded.dictionary.to_pylist():
        tidy = clean(value) if isinstance(value, str) else value
        gone = (
            tidy is None or tidy != tidy or tidy == "" or tidy in texts or (bool(absent) and as_number(tidy) in absent)
        )
        key = (type(tidy), tidy)
        places.append(-1 if gone else values.setdefault(key, len(values)))
    codes = np.append(np.array(places, dtype=np.int64), -1)[_codes(encoded)]
    return Column(table, name, [value for _, value in values], codes, stated, frozen, absent, marks, parted_by)


def missing_of(kind: Kind, missing: Collection[str | float]) -> tuple[float | str, ...]:
    """Those of the values meaning "missing" that a cell of this kind may hold; among texts a number is a text too."""
    if kind == "category":
        return tuple(dict.fromkeys(str(as_text(m)) for m in missing))
    texts = [clean(m) for m in missing if isinstance(m, str) and not NUMBER.fullmatch(m)]
    return tuple(dict.fromkeys([*(_numbers(missing) if kind == "number" else ()), *texts]))


def _codes(encoded: pa.DictionaryArray) -> npt.NDArray[np.int64]:
    codes: npt.NDArray[np.int64] = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _numbers(missing: Collection[str | float]) -> Iterator[float]:
    for marker in missing:
        if not isinstance(marker, str) or NUMBER.fullmatch(marker):
            yield float(marker)
