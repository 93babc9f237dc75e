"""Leads from Arrow columns straight into the model's matrix, a column at a time.

A cell means what it meant in training (`service.lifecycle.data.columns`), and a lead gets the score that the service
gives it: the lookups are the engine's own. Only a column's distinct values pass through Python.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from service.lifecycle.data.decimals import decimals
from service.lifecycle.data.form import Form
from service.lifecycle.data.source import SourceError
from service.lifecycle.relations.lead_keys import text_bytes
from service.lifecycle.scoring.cell_counts import ColumnCounts
from service.lifecycle.scoring.cells import CategoryLookup, Mask, by_value, is_text, or_missing
from service.lifecycle.scoring.id_column import read_ids, totals
from service.model.bundle import Bundle
from service.model.numbers import as_written
from service.model.reference import Categories
from service.model.schema import MAX_ID, MAX_NUMBER, Feature, Kind
from service.model.spelling import PLAIN, WHOLE, Mark, NumberSpelling, clean
from service.model.trees import Matrix
from service.reading.cells import DOUBTFUL, REASONS, SHOWN, as_boolean, as_number

TOTAL = "is a total, no lead"


class BadCell(NamedTuple):
    """Why the row at this place of a batch cannot be scored, and whether it is a lead at all."""

    place: int
    column: str
    reason: str
    lead: bool = True


class Encoded(NamedTuple):
    """A batch: `ids` and `matrix` of the leads that can be scored, in order, and what is wrong with the others.

    `counts` are of the cells of all rows. `numbers` are the numbers and booleans of all rows, by column, as they were
    read; `kept` are the rows that can be scored, None where all can.
    """

    ids: pa.Array
    matrix: Matrix
    bad: list[BadCell]
    counts: ColumnCounts
    numbers: dict[str, Matrix]
    kept: Mask | None = None


class Encoder:
    """Encodes record batches for one bundle. Safe to use from several threads."""

    def __init__(self, bundle: Bundle, form: Form) -> None:
        manifest = bundle.manifest
        self.form, self._engine, self._encoding = form, bundle.engine, manifest.encoding
        self._features = manifest.lead_schema.features
        self.kinds: dict[str, Kind] = {f.name: f.kind for f in self._features}
        self._absent = {
            f.name: frozenset(clean(m) for m in (*form.absent(f.name), *f.missing) if isinstance(m, str))
            for f in self._features
        }
        self._spelling = {f.name: _spelling(f, form.decimal) for f in self._features}
        self._used = [*self._encoding.numbers, *self._encoding.categories]
        often = {c.name: c.known for c in bundle.reference.features if isinstance(c, Categories)}
        self._categories = [
            (name, CategoryLookup(places, often.get(name, frozenset())))
            for position, places in self._engine.places
            for name in (self._features[position].name,)
        ]

    @property
    def names(self) -> list[str]:
        """The columns that are read: the lead's id and the model's."""
        return [self.form.id_column, *self.kinds]

    @property
    def spellings(self) -> list[NumberSpelling]:
        """How the files write the model's columns of numbers."""
        return [self._spelling[name] for name, kind in self.kinds.items() if kind == "number"]

    def check(self, columns: pa.Schema, origin: str) -> list[str]:
        """What is to be said of a file with these columns. Raises SourceError when its leads cannot be scored."""
        names = columns.names
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise SourceError(f"{origin}: the column {twice[0]!r} is there twice; rename one")
        if self.form.id_column not in names:
            raise SourceError(
                f"{origin}: has no column {self.form.id_column!r} for the lead's id (it has: {_listed(names)}); "
                "name it with --id-column"
            )
        if not any(name in names for name in self._used):
            raise SourceError(f"{origin}: has none of the model's columns {_listed(self._used)}")
        for name in (self.form.id_column, *self.kinds):
            if name in names and not _fits(self.kinds.get(name, "category"), columns.field(name).type):
                found = columns.field(name).type
                kind = self.kinds.get(name, "lead's id")
                raise SourceError(f"{origin}, column {name!r}: holds {found}; the model takes a {kind}")
        absent = [name for name in self._used if name not in names]
        unknown = [name for name in names if name not in self.kinds and name != self.form.id_column]
        notes = [f"{origin}: no column {_listed(absent)}, which counts as missing in every lead"] if absent else []
        return notes + ([f"{origin}: {_listed(unknown)} ignored, not the model's"] if unknown else [])

    def encode(self, cells: pa.RecordBatch) -> Encoded:
        """Encode one batch. Columns that are not there count as missing."""
        rows = cells.num_rows
        matrix = np.zeros((rows, self._encoding.width))
        ids, unnamed = read_ids(cells.column(self.form.id_column))
        faults: list[tuple[str, str, Mask]] = []
        counts, read = ColumnCounts(), dict[str, Matrix]()
        if unnamed.any():
            reason = f"names no lead, or one of more than {MAX_ID} characters"
            faults.append((self.form.id_column, reason, unnamed))
        if (sums := totals(ids)) is not None:
            faults.append((self.form.id_column, TOTAL, sums))
        for column, name in enumerate(self._encoding.numbers):
            values, bad = self.read_numbers(cells, name)
            matrix[:, column], read[name] = values, values
            if bad is None:
                counts.of(name).add(rows - _column(cells, name).null_count)
            else:
                faults.append((name, REASONS[self.kinds[name]], bad))
                counts.of(name).add(rows - int(np.isnan(values).sum()), int(bad.sum()))
        numbered = len(self._encoding.numbers)
        matrix[:, :numbered] = as_written(matrix[:, :numbered])
        for column, value in self._engine.absent:
            numbers = matrix[:, column]
            numbers[numbers == value] = np.nan
        flat, starts = matrix.reshape(-1), np.arange(rows) * self._encoding.width
        for name, lookup in self._categories:
            found = lookup.cells(_column(cells, name))
            for at in found.at:
                flat[(starts + at)[at >= 0]] = 1.0
            counts.of(name).add(found.filled, 0 if found.bad is None else int(found.bad.sum()), found.unseen)
            if found.bad is not None:
                faults.append((name, REASONS["category"], found.bad))
        if not faults:
            return Encoded(ids, matrix, [], counts, read)
        kept = ~np.logical_or.reduce([bad for _, _, bad in faults])
        return Encoded(ids.filter(pa.array(kept)), matrix[kept], list(self._cells(cells, faults)), counts, read, kept)

    def read_numbers(self, cells: pa.RecordBatch, name: str) -> tuple[Matrix, Mask | None]:
        """A number or boolean as float64, NaN where it is missing, and which cells are neither."""
        array = _column(cells, name)
        if self.kinds[name] == "boolean":
            if pa.types.is_boolean(array.type):
                return array.cast(pa.uint8()).cast(pa.float64()).to_numpy(zero_copy_only=False), None
            return by_value(array, or_missing(as_boolean, self._absent[name]))
        if pa.types.is_floating(array.type) or pa.types.is_integer(array.type):
            values: Matrix = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            beyond = np.abs(values) > MAX_NUMBER
            return values, beyond if beyond.any() else None
        if is_text(array.type) and (parsed := self._parsed(array, self._spelling[name])) is not None:
            return parsed, None
        return by_value(array, or_missing(lambda v: as_number(v, self._spelling[name]), self._absent[name]))

    def _parsed(self, array: pa.Array, spelling: NumberSpelling) -> Matrix | None:
        """All cells at once by Arrow's parser, or None where one is written as it does not know, or must be refused.

        What it accepts beyond `as_number` are NaN and infinities, which show in the values.
        """
        if not (spelling.plain or (spelling == WHOLE and not _may_be_thousands(array))):
            return None
        try:
            values: Matrix = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            return None
        sound = np.isnan(values).sum() == array.null_count and not (np.abs(values) > MAX_NUMBER).any()
        return values if sound else None

    def _cells(self, cells: pa.RecordBatch, faults: list[tuple[str, str, Mask]]) -> Iterator[BadCell]:
        """The bad cells in the order of their rows."""
        found = [(int(i), column, reason) for column, reason, bad in faults for i in np.flatnonzero(bad)]
        for place, column, reason in sorted(found, key=lambda each: each[0]):
            value = cells.column(column)[place].as_py()
            if isinstance(value, str) and column in self._spelling and self._spelling[column].doubtful(value):
                reason = DOUBTFUL
            yield BadCell(place, column, f"{str('' if value is None else value)[:SHOWN]!r} {reason}", reason != TOTAL)


def _spelling(feature: Feature, stated: Mark | None) -> NumberSpelling:
    """How files write this feature: as at training, and where that left the decimal mark open, as a person states."""
    found = feature.spelling or PLAIN
    if stated and found in (PLAIN, WHOLE):
        return NumberSpelling(decimal=",", grouping=".") if stated == "," else PLAIN
    return found


def _may_be_thousands(array: pa.Array) -> bool:
    """Whether a text may end in a mark between thousands: a quick look that may say yes too often."""
    ends, data = text_bytes(array.cast(pa.string()))
    if not (data == ord(".")).any():
        return False
    # Arrow parses no number with a blank or a unit behind it, so that the last characters are digits.
    return bool((data.take(ends[1:] - 4, mode="clip") == ord(".")).any())


def _column(cells: pa.RecordBatch, name: str) -> pa.Array:
    """The column, or one of nothing but missing values. Numbers of single precision are the decimals they stand for."""
    if name not in cells.schema.names:
        return pa.nulls(cells.num_rows, pa.string())
    column = cells.column(name)
    return decimals(column) if pa.types.is_floating(column.type) else column


def _fits(kind: Kind, column: pa.DataType) -> bool:
    """Whether cells of this type can be of the kind at all. Text may always be: it depends on what is written."""
    if pa.types.is_dictionary(column):
        column = column.value_type
    if is_text(column) or pa.types.is_null(column):
        return True
    number = pa.types.is_integer(column) or pa.types.is_floating(column) or pa.types.is_decimal(column)
    if kind == "number":
        return bool(number)
    return bool(pa.types.is_boolean(column)) if kind == "boolean" else not pa.types.is_nested(column)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(repr, names[:10])) + more
