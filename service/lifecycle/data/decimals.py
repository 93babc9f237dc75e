"""Columns of floating-point numbers, as the decimals that they were written as."""

import pyarrow as pa

from service.model.numbers import as_written


def decimals(cells: pa.Array) -> pa.Array:
    """The numbers as float64; those of single precision as `as_written` reads them. Missing cells stay missing."""
    values = cells.cast(pa.float64()).to_numpy(zero_copy_only=False)
    missing = cells.is_null().to_numpy(zero_copy_only=False)
    return pa.array(as_written(values), mask=missing)
