"""Cells of one Arrow column, converted by their distinct values: only those pass through Python."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from service.model.engine import ChoicePlaces, Places
from service.model.spelling import clean, is_nothing
from service.model.trees import Matrix
from service.reading.cells import as_text

Convert = Callable[[Any], float | None]
Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]

LOOKED_UP = 100_000
"""Values of a category of which the place is kept, so that a rare one is looked up once for all batches."""


def distinct(array: pa.Array) -> tuple[list[Any], Codes]:
    """The distinct values and at the end None, and for each cell which of them it is."""
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    values = [*encoded.dictionary.to_pylist(), None]
    codes: Codes = encoded.indices.cast(pa.int32()).fill_null(len(values) - 1).to_numpy(zero_copy_only=False)
    return values, codes


def by_value(array: pa.Array, convert: Convert) -> tuple[Matrix, Mask | None]:
    """Each distinct value converted once and put in its rows; and the rows of those that convert to None."""
    values, codes = distinct(array)
    return _spread([convert(value) for value in values], codes)


def or_missing(convert: Convert, absent: frozenset[str]) -> Convert:
    """The conversion that gives NaN for blank cells and marks for "no value", among them those in `absent`."""

    def converted(value: Any) -> float | None:
        if is_blank(value) or (isinstance(value, str) and clean(value) in absent):
            return np.nan
        found = convert(value)
        return np.nan if found is None and isinstance(value, str) and is_nothing(value, among_numbers=True) else found

    return converted


class InputPlace(NamedTuple):
    """What a category's value is to the model.

    `at` are its columns of the matrix, None where the value is too long for a caller to send. `missing` values mean
    "no value"; `unseen` ones are rare in training, or new.
    """

    at: tuple[int, ...] | None
    missing: bool = False
    unseen: bool = False


class CategoryCells(NamedTuple):
    """One batch of a category's cells: each row's columns, -1 where it has no more, and the rows that cannot be used.

    `filled` counts the cells that are not missing, `unseen` those with a rare or new value, by value.
    """

    at: list[Codes]
    bad: Mask | None
    filled: int
    unseen: Counter[str]


class CategoryLookup:
    """One category's places. `known` are values that training saw often enough to keep, as `Categories.known`."""

    def __init__(self, places: Places | ChoicePlaces, known: frozenset[str]) -> None:
        self._places, self._known = places, known
        self._found: dict[Any, InputPlace] = {}

    def cells(self, array: pa.Array) -> CategoryCells:
        """Look up each distinct value once."""
        values, codes = distinct(array)
        found = [self._found.get(value) or self._look_up(value) for value in values]
        refused = np.array([place.at is None for place in found])[codes]
        bad = refused if refused.any() else None
        most = max(len(place.at or ()) for place in found)
        columns = np.full((most, len(found)), -1, np.int32)
        for i, place in enumerate(found):
            columns[: len(place.at or ()), i] = place.at or ()
        at = [each[codes] for each in columns]
        if not any(place.unseen for place in found):
            return CategoryCells(at, bad, len(array) - array.null_count, Counter())
        counts = np.bincount(codes, minlength=len(values))
        filled = len(array) - sum(int(count) for count, place in zip(counts, found, strict=True) if place.missing)
        unseen = Counter(
            {str(v): int(n) for v, n, place in zip(values, counts, found, strict=True) if place.unseen and n}
        )
        return CategoryCells(at, bad, filled, unseen)

    def _look_up(self, value: Any) -> InputPlace:
        text = None if is_blank(value) else as_text(value)
        if text is None and not is_blank(value):
            return InputPlace(None)
        missing = text is None or self._places.is_missing(text)
        unseen = text is not None and self._places.is_new(text, self._known)
        place = InputPlace(tuple(self._places.columns(text)), missing, unseen)
        if len(self._found) < LOOKED_UP:
            self._found[value] = place
        return place


def _spread(converted: list[float | None], codes: Codes) -> tuple[Matrix, Mask | None]:
    refused = np.array([value is None for value in converted])
    values = np.array([-1.0 if value is None else value for value in converted], dtype=np.float64)
    bad = refused[codes] if refused.any() else None
    return values[codes], bad if bad is not None and bad.any() else None


def is_blank(value: Any) -> bool:
    """Whether a cell is empty, NaN, or of nothing but white space."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def is_text(column: pa.DataType) -> bool:
    """Whether cells of this type are texts."""
    return bool(pa.types.is_string(column) or pa.types.is_large_string(column) or pa.types.is_string_view(column))
