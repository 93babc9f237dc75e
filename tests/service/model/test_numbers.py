"""A number of single precision is the decimal that it was written as; every other number is left alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.model.numbers import as_written


@given(st.lists(st.floats(width=32), max_size=20))
def test_a_number_of_single_precision_becomes_its_shortest_decimal(numbers: list[float]) -> None:
    single = np.array(numbers, dtype=np.float32)
    wide = single.astype(np.float64)
    kept = (np.abs(wide) <= 1e-13) | (np.rint(wide) == wide) | ~np.isfinite(wide)
    wanted = np.array([w if k else float(str(s)) for s, w, k in zip(single, wide, kept, strict=True)], dtype=np.float64)
    assert np.array_equal(as_written(wide), wanted, equal_nan=True)


@given(st.lists(st.decimals(-(10**6), 10**6, places=3).map(float), max_size=20))
def test_decimals_are_the_same_in_either_precision(numbers: list[float]) -> None:
    short = np.array([n for n in numbers if len(str(n).strip("-0").replace(".", "")) <= 6], dtype=np.float64)
    assert as_written(short).tolist() == short.tolist()
    assert as_written(short.astype(np.float32).astype(np.float64)).tolist() == short.tolist()


@given(st.lists(st.floats(), max_size=20))
def test_reading_twice_changes_nothing(numbers: list[float]) -> None:
    once = as_written(np.array(numbers, dtype=np.float64))
    assert np.array_equal(as_written(once), once, equal_nan=True)
