"""Whether the calibration error is unbiased and its interval true: `python -m tests.benchmarks.loop.calibration`.

Scores are drawn from a beta distribution with a mean of a tenth, or of 2/7; some worlds round them, so that many are
equal. A lead converts with its score as its chance, or with a chance that the world states.
"""

import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.special import expit, logit

from service.lifecycle.evaluation.calibration import grouped, interval
from service.lifecycle.evaluation.quality import Scores
from tests.benchmarks.loop.limits import Limit, covered, judged

TRIALS, QUICK = 2_000, 400
BIAS, COVERED, HOLDS_ZERO = 0.005, (0.90, 0.98), (0.90, 0.98)
SIZES = (150, 1_000, 4_000)
"""Leads of a window."""
SHAPES = {"a tenth converts": (1.0, 9.0), "two sevenths convert": (2.0, 5.0)}
DIGITS = {"no ties": 12, "ties": 1}
WORLDS: dict[str, Callable[[Scores], Scores]] = {
    "scores 43 % too high": lambda scores: 0.7 * scores,
    "scores too sure": lambda scores: expit(logit(scores.mean()) + 0.6 * (logit(scores) - logit(scores.mean()))),
}


def windows(
    shape: tuple[float, float], leads: int, digits: int, chance: Callable[[Scores], Scores], trials: int
) -> tuple[Scores, Scores]:
    """The true errors of so many windows, and what each shows: value, low and high end."""
    draw = np.random.default_rng(leads + digits)
    true, shown = [], []
    for _ in range(trials):
        scores = np.clip(np.round(draw.beta(*shape, leads), digits), 1e-3, 1 - 1e-3)
        chances = chance(scores)
        found = interval(grouped((draw.random(leads) < chances).astype(np.int8), scores))
        true.append(np.abs(scores - chances).mean())
        shown.append((found.value, found.low, found.high))
    return np.array(true), np.array(shown).T


def measure(quick: bool) -> Iterator[Limit]:
    """Zero within the interval at all sizes; bias and coverage at the largest, where signs show."""
    trials = QUICK if quick else TRIALS
    for shape_name, shape in SHAPES.items():
        for ties, digits in DIGITS.items():
            where = f"{shape_name}, {ties}"
            for leads in SIZES:
                _, (value, low, _) = windows(shape, leads, digits, lambda scores: scores, trials)
                what = f"{where}, calibrated, {leads:,} leads"
                yield covered(f"{what}: interval holds 0", list(low == 0), *HOLDS_ZERO, quick)
            yield Limit(f"{what}: bias", float(value.mean()), -BIAS, BIAS)
            for world, chance in WORLDS.items():
                true, (value, low, high) = windows(shape, SIZES[-1], digits, chance, trials)
                what = f"{where}, {world}, {SIZES[-1]:,} leads"
                yield Limit(f"{what}: bias", float((value - true).mean()), -BIAS, BIAS)
                held = list((low <= true) & (true <= high))
                yield covered(f"{what}: interval holds the truth", held, *COVERED, quick)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    return judged("calibration", "Measure bias and coverage of the calibration error.", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
