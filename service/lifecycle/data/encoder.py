"""Leads from Arrow columns straight into the model's matrix, a column at a time.

A cell means what it meant in training (`service.lifecycle.data.columns`), and a lead gets the score that the service
gives it: the lookups are the engine's own. Only a column's distinct values pass through Python.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from service.lifecycle.data.columns import as_boolean, as_number, as_text
from service.lifecycle.data.ids import as_id
from service.lifecycle.data.source import ID_COLUMN, Source, SourceError
from service.model.bundle import Bundle
from service.model.engine import NOWHERE, Matrix, Places
from service.model.schema import MAX_ID, MAX_NUMBER, MAX_TEXT, Feature, Kind
from service.model.spelling import PLAIN, WHOLE, Mark, NumberSpelling, is_nothing

SHOWN = 40
"""Characters of a refused value that are quoted."""

_SUMS = ("total", "totals", "grand total", "subtotal", "summe", "gesamt", "gesamtsumme", "zwischensumme", "somme")
TOTALS = pa.array(
    [f"{form}{end}" for word in _SUMS for form in (word, word.title(), word.upper()) for end in ("", ":")]
)
"""Ids of rows that hold a sum of the others."""

_KEPT_IN_IDS = bytes(byte for byte in range(ord("!"), ord("~") + 1) if byte not in b'=".')
"""An id of these characters alone is what `as_id` makes of it."""

Convert = Callable[[Any], float | None]
Mask = npt.NDArray[np.bool_]

REASONS: dict[Kind, str] = {
    "number": "is no number",
    "boolean": "is neither true nor false",
    "category": f"is longer than {MAX_TEXT} characters",
}
DOUBTFUL = (
    "may have a decimal mark or one between thousands, and no cell of the training decides; "
    'say decimal = "." or decimal = "," in the lead source'
)


@dataclass(frozen=True)
class Form:
    """How the files write their leads. `missing` are texts that mean "missing", by column."""

    id_column: str = ID_COLUMN
    delimiter: str | None = None
    decimal: Mark | None = None
    missing: tuple[str, ...] = ()
    missing_in: tuple[tuple[str, tuple[str, ...]], ...] = ()
    encoding: str | None = None
    sheet: str | None = None

    def absent(self, column: str) -> frozenset[str]:
        """What means "missing" in this column, beside a blank cell."""
        return frozenset((*self.missing, *dict(self.missing_in).get(column, ())))


def form_of(source: Source | None, id_column: str | None = None, trained_with: str | None = None) -> Form:
    """The form of this source's files; `id_column` overrides the source's, and that the one of the training."""
    if source is None:
        return Form(id_column or trained_with or ID_COLUMN)
    named = tuple((name, _texts(markers)) for name, markers in source.missing_in.items())
    return Form(
        id_column or source.lead_id,
        source.delimiter,
        source.decimal,
        _texts(source.missing),
        named,
        source.encoding,
        source.sheet,
    )


class BadCell(NamedTuple):
    """Why the row at this place of a batch cannot be scored."""

    place: int
    column: str
    reason: str


class Encoded(NamedTuple):
    """A batch: `ids` and `matrix` of the leads that can be scored, in order, and what is wrong with the others."""

    ids: pa.Array
    matrix: Matrix
    bad: list[BadCell]


class Encoder:
    """Encodes record batches for one bundle. Safe to use from several threads."""

    def __init__(self, bundle: Bundle, form: Form) -> None:
        manifest = bundle.manifest
        self.form, self._engine, self._encoding = form, bundle.engine, manifest.encoding
        self._features = manifest.lead_schema.features
        self.kinds: dict[str, Kind] = {f.name: f.kind for f in self._features}
        self._spelling = {f.name: _spelling(f, form.decimal) for f in self._features}
        self._used = [*self._encoding.numbers, *self._encoding.categories]

    @property
    def names(self) -> list[str]:
        """The columns that are read: the lead's id and the model's."""
        return [self.form.id_column, *self.kinds]

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
                raise SourceError(f"{origin}, column {name!r}: holds {found}; the model takes a {self.kinds[name]}")
        absent = [name for name in self._used if name not in names]
        unknown = [name for name in names if name not in self.kinds and name != self.form.id_column]
        notes = [f"{origin}: no column {_listed(absent)}, which counts as missing in every lead"] if absent else []
        return notes + ([f"{origin}: {_listed(unknown)} ignored, not the model's"] if unknown else [])

    def encode(self, cells: pa.RecordBatch) -> Encoded:
        """Encode one batch. Columns that are not there count as missing."""
        rows = cells.num_rows
        matrix = np.zeros((rows, self._encoding.width))
        ids, unnamed = _ids(cells.column(self.form.id_column))
        faults: list[tuple[str, str, Mask]] = []
        if unnamed.any():
            reason = f"names no lead, or one of more than {MAX_ID} characters"
            faults.append((self.form.id_column, reason, unnamed))
        if (totals := _totals(ids)) is not None:
            faults.append((self.form.id_column, "is a total, no lead", totals))
        for column, name in enumerate(self._encoding.numbers):
            values, bad = self._numbers(cells, name)
            matrix[:, column] = values
            if bad is not None:
                faults.append((name, REASONS[self.kinds[name]], bad))
        for column, value in self._engine.absent:
            numbers = matrix[:, column]
            numbers[numbers == value] = np.nan
        flat, starts = matrix.reshape(-1), np.arange(rows) * self._encoding.width
        for position, places in self._engine.categories:
            name = self._features[position].name
            hot, bad = _by_value(_column(cells, name), _hot(places))
            at = hot.astype(np.int64)
            flat[(starts + at)[at >= 0]] = 1.0
            if bad is not None:
                faults.append((name, REASONS["category"], bad))
        if not faults:
            return Encoded(ids, matrix, [])
        kept = ~np.logical_or.reduce([bad for _, _, bad in faults])
        return Encoded(ids.filter(pa.array(kept)), matrix[kept], list(self._cells(cells, faults)))

    def _numbers(self, cells: pa.RecordBatch, name: str) -> tuple[Matrix, Mask | None]:
        """A number or boolean as float64, NaN where it is missing, and which cells are neither."""
        array = _column(cells, name)
        if self.kinds[name] == "boolean":
            if pa.types.is_boolean(array.type):
                return array.cast(pa.uint8()).cast(pa.float64()).to_numpy(zero_copy_only=False), None
            return _by_value(array, _or_missing(as_boolean, self.form.absent(name)))
        if pa.types.is_floating(array.type) or pa.types.is_integer(array.type):
            values: Matrix = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            beyond = np.abs(values) > MAX_NUMBER
            return values, beyond if beyond.any() else None
        if _is_text(array.type) and (parsed := self._parsed(array, self._spelling[name])) is not None:
            return parsed, None
        return _by_value(array, _or_missing(lambda v: as_number(v, self._spelling[name]), self.form.absent(name)))

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
            yield BadCell(place, column, f"{str('' if value is None else value)[:SHOWN]!r} {reason}")


def _spelling(feature: Feature, stated: Mark | None) -> NumberSpelling:
    """How files write this feature: as at training, and where that left the decimal mark open, as a person states."""
    found = feature.spelling or PLAIN
    if stated and found in (PLAIN, WHOLE):
        return NumberSpelling(decimal=",", grouping=".") if stated == "," else PLAIN
    return found


def _may_be_thousands(array: pa.Array) -> bool:
    """Whether a text may end in a mark between thousands: a quick look that may say yes too often."""
    ends, data = _bytes(array.cast(pa.string()))
    if not (data == ord(".")).any():
        return False
    # Arrow parses no number with a blank or a unit behind it, so that the last characters are digits.
    return bool((data.take(ends[1:] - 4, mode="clip") == ord(".")).any())


def _by_value(array: pa.Array, convert: Convert) -> tuple[Matrix, Mask | None]:
    """Each distinct value converted once and put in its rows; and the rows of those that convert to None."""
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    converted = [convert(value) for value in (*encoded.dictionary.to_pylist(), None)]
    codes = encoded.indices.cast(pa.int32()).fill_null(len(converted) - 1).to_numpy(zero_copy_only=False)
    refused = np.array([value is None for value in converted])
    values = np.array([-1.0 if value is None else value for value in converted], dtype=np.float64)
    bad = refused[codes] if refused.any() else None
    return values[codes], bad if bad is not None and bad.any() else None


def _or_missing(convert: Callable[[Any], float | None], absent: frozenset[str]) -> Convert:
    def converted(value: Any) -> float | None:
        if _blank(value) or value in absent:
            return np.nan
        found = convert(value)
        return np.nan if found is None and isinstance(value, str) and is_nothing(value, among_numbers=True) else found

    return converted


def _hot(places: Places) -> Convert:
    """The category's column of the matrix, or -1 where the value has none."""

    def hot(value: Any) -> float | None:
        text = None if _blank(value) else as_text(value)
        if text is None and not _blank(value):
            return None
        found = places[text]
        return -1 if found == NOWHERE else found

    return hot


def _blank(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _ids(array: pa.Array) -> tuple[pa.Array, Mask]:
    """The ids as text, and which rows have none that can be used."""
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if _is_text(array.type) or pa.types.is_integer(array.type):
        ids = array.cast(pa.string())
        ends, data = _bytes(ids)
        if not ids.null_count and not _may_change(data):
            length = np.diff(ends)  # one byte a character
            return ids, (length == 0) | (length > MAX_ID)
        ids = _plain(ids)
    else:
        ids = pa.array([None if _blank(v) else as_text(v) for v in array.to_pylist()], pa.string())
    length = pc.utf8_length(pc.utf8_trim_whitespace(ids))
    usable = pc.and_(pc.greater(length, 0), pc.less_equal(pc.utf8_length(ids), MAX_ID)).fill_null(False)
    return ids, ~usable.to_numpy(zero_copy_only=False)


def _may_change(data: npt.NDArray[np.uint8]) -> bool:
    """Whether `as_id` may write one of the ids with these bytes otherwise: a quick look that may say yes too often."""
    rest = data.tobytes().translate(None, _KEPT_IN_IDS)
    if not rest.strip(b"=."):
        before, after = data[:-1], data[1:]
        pairs = ((before == ord(mark)) & (after == ord(follows)) for mark, follows in ('="', ".0"))
        return bool(rest) and any(found.any() for found in pairs)
    return True


def _bytes(texts: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """The bytes of all texts, and where in them each text ends, after a 0 for the first one's start."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return ends - ends[0], np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]]


def _plain(ids: pa.Array) -> pa.Array:
    """The ids as `as_id` writes them, which is asked about those that it may change only."""
    odd = pc.match_substring_regex(ids, r'^ | $|  |[^ -~]|="|\.0').fill_null(False)
    if not pc.any(odd).as_py():
        return ids
    return pc.replace_with_mask(ids, odd, pa.array([as_id(text) for text in ids.filter(odd).to_pylist()], pa.string()))


def _totals(ids: pa.Array) -> Mask | None:
    """Which ids are words for a sum; None where none is.

    First and last letters, then lengths, rule out most batches at less cost than a comparison of whole texts.
    """
    ends, data = _bytes(ids)
    if not len(data):
        return None
    likely = _FIRST_OF_TOTALS[data.take(ends[:-1], mode="clip")]
    likely &= _LAST_OF_TOTALS[data.take(ends[1:] - 1, mode="clip")]
    if not likely.any() or not (np.diff(ends)[likely] <= _LONGEST_TOTAL).any():
        return None
    found: Mask = pc.is_in(ids, TOTALS).to_numpy(zero_copy_only=False)
    return found if found.any() else None


def _is_one_of(letters: set[str]) -> Mask:
    """For each byte, whether it is one of these letters."""
    return np.isin(np.arange(256), [ord(letter) for letter in letters])


_FIRST_OF_TOTALS = _is_one_of({word[0] for word in TOTALS.to_pylist()})
_LONGEST_TOTAL = max(map(len, TOTALS.to_pylist()))
_LAST_OF_TOTALS = _is_one_of({word[-1] for word in TOTALS.to_pylist()})


def _column(cells: pa.RecordBatch, name: str) -> pa.Array:
    """The column, or one of nothing but missing values."""
    return cells.column(name) if name in cells.schema.names else pa.nulls(cells.num_rows, pa.string())


def _fits(kind: Kind, column: pa.DataType) -> bool:
    """Whether cells of this type can be of the kind at all. Text may always be: it depends on what is written."""
    if pa.types.is_dictionary(column):
        column = column.value_type
    if _is_text(column) or pa.types.is_null(column):
        return True
    number = pa.types.is_integer(column) or pa.types.is_floating(column) or pa.types.is_decimal(column)
    if kind == "number":
        return bool(number)
    return bool(pa.types.is_boolean(column)) if kind == "boolean" else not pa.types.is_nested(column)


def _is_text(column: pa.DataType) -> bool:
    return bool(pa.types.is_string(column) or pa.types.is_large_string(column) or pa.types.is_string_view(column))


def _texts(markers: tuple[str | float, ...]) -> tuple[str, ...]:
    return tuple(marker for marker in markers if isinstance(marker, str))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(repr, names[:10])) + more
