"""Bins of scores and of milliseconds, which NumPy and every SQL engine find alike.

Values are multiplied by powers of two alone, which IEEE 754 doubles do without rounding.
"""

import numpy as np
import numpy.typing as npt

OCTAVES, STEPS = 13, 12
"""Scores s are told apart by m = min(s, 1 - s): to 2^-STEPS of m, and below 2^-OCTAVES to 2^-(OCTAVES + STEPS)."""

HALF = OCTAVES << STEPS
BINS = 2 * HALF + 1
Bins = npt.NDArray[np.int64]

LATENCY_LOWEST, LATENCY_OCTAVES, LATENCY_STEPS = -10, 30, 7
"""Milliseconds from 2^-10 to 2^20 are told apart to 2^-7 of them, which is less than 1 %."""


def bin_of(scores: npt.NDArray[np.float64]) -> Bins:
    """The bin, 0 to BINS - 1, of each score, 0 to 1; a higher score has no lower bin."""
    least = np.minimum(scores, 1 - scores)
    octave = sum((least >= 2.0**-power).astype(np.int64) for power in range(OCTAVES, 1, -1))
    below = np.maximum(octave - 1, 0)
    low = np.floor(least * 2.0 ** (OCTAVES + STEPS - below)).astype(np.int64) + (below << STEPS)
    return np.where(scores < 0.5, low, 2 * HALF - low)


def bin_in_sql(score: str) -> str:
    """The expression of `bin_of` over this column."""
    low = _steps(f"least({score}, 1 - {score})", -OCTAVES, OCTAVES - 1, STEPS)
    return f"case when {score} < 0.5e0 then {low} else {2 * HALF} - {low} end"


def latency_bin_in_sql(milliseconds: str) -> str:
    """The bin of a latency, 0 or more; a longer one has no lower bin."""
    return _steps(milliseconds, LATENCY_LOWEST, LATENCY_OCTAVES, LATENCY_STEPS)


def _steps(value: str, lowest: int, octaves: int, steps: int) -> str:
    """2^steps equal steps in each octave, [2^k, 2^(k+1)), from 2^lowest on; as wide as in the first one below it."""
    cases = " ".join(
        f"when {value} >= {_double(lowest + octave)} "
        f"then floor({value} * {_double(steps - lowest - octave)}) + {octave << steps}"
        for octave in range(octaves - 1, -1, -1)
    )
    return f"cast(case {cases} else floor({value} * {_double(steps - lowest)}) end as bigint)"


def _double(power: int) -> str:
    """2^power as a double, with an exponent: without one DuckDB would read a decimal number."""
    text = repr(2.0**power)
    return text if "e" in text else f"{text}e0"
