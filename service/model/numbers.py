"""Numbers of single precision, read as the decimals that they were written as.

0.1 of single precision is 0.100000001490116 of double precision. A file that keeps it so, and a caller who sends the
wider number, mean 0.1: a lead would else fall on the other side of a model's threshold than it did in training.
"""

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

_POWERS = np.array([10.0**power for power in range(23)])
"""All powers of ten that a double holds exactly."""
_DIGITS = 9
"""Decimal digits that tell all numbers of single precision apart."""


def as_written(numbers: Numbers) -> Numbers:
    """The numbers; those of single precision as the shortest decimals that are the same in single precision.

    Whole numbers, and those nearer to 0 than 1e-13, stay as they are.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = (numbers.astype(np.float32) == numbers) & (np.rint(numbers) != numbers)
    if not narrow.any():
        return numbers
    # Of at most six digits no other is as short: 2.5 is 2.5.
    narrow &= (np.abs(numbers) > 1e-13) & ((np.abs(numbers) >= 1000) | (np.rint(numbers * 1000) / 1000 != numbers))
    if not narrow.any():
        return numbers
    found = numbers.copy()
    found[narrow] = _shortest(numbers[narrow])
    return found


def _shortest(numbers: Numbers) -> Numbers:
    single, found, left = numbers.astype(np.float32), numbers.copy(), np.ones(len(numbers), dtype=bool)
    first = np.floor(np.log10(np.abs(numbers))).astype(np.int64)
    for digits in range(1, _DIGITS + 1):
        power = _POWERS[np.clip(digits - 1 - first, 0, len(_POWERS) - 1)]
        # Both are exact, so that the quotient is the double nearest to the decimal.
        decimal = np.rint(numbers * power) / power
        fits = left & (decimal.astype(np.float32) == single)
        found[fits] = decimal[fits]
        left &= ~fits
        if not left.any():
            break
    return found
