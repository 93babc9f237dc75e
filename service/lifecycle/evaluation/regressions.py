"""Which changes of figures are beyond noise: normal approximation, held to 5 % over all figures together (Holm)."""

import math
from collections.abc import Iterator, Mapping
from statistics import NormalDist

from service.history import Estimate
from service.lifecycle.evaluation.formatting import number, spoken
from service.lifecycle.evaluation.multiple_tests import holm

ALPHA = 0.05
LOWER_IS_BETTER = ("brier", "calibration_error")


def against_benchmark(
    figures: Mapping[str, Estimate], benchmark: Mapping[str, float], leads: int, held_out: int
) -> list[str]:
    """A sentence for each figure that differs from training's, which were taken on `held_out` leads.

    Those are as uncertain as ours would be with as many leads.
    """
    widened = math.sqrt(1 + leads / held_out)
    shifts = {name: (benchmark[name], _error(f) * widened) for name, f in figures.items() if name in benchmark}
    return list(_sentences(figures, shifts, "at training"))


def against_earlier(figures: Mapping[str, Estimate], earlier: Mapping[str, Estimate], when: str) -> list[str]:
    """A sentence for each figure that differs from an evaluation of other leads."""
    shifts = {
        n: (earlier[n].value, math.hypot(_error(f), _error(earlier[n]))) for n, f in figures.items() if n in earlier
    }
    return list(_sentences(figures, shifts, when))


def beyond_noise(differences: Mapping[str, tuple[float, float]]) -> set[str]:
    """The names whose difference, given with its standard error, is no chance."""
    p_values = holm([_p_value(off, error) for off, error in differences.values()])
    return {name for name, p in zip(differences, p_values, strict=True) if p <= ALPHA}


def _sentences(figures: Mapping[str, Estimate], shifts: Mapping[str, tuple[float, float]], when: str) -> Iterator[str]:
    changed = beyond_noise({name: (figures[name].value - then, error) for name, (then, error) in shifts.items()})
    for name in (n for n in figures if n in changed):
        now, then = figures[name].value, shifts[name][0]
        better = (now > then) != (name in LOWER_IS_BETTER)
        yield (
            f"{spoken(name)} is {'better' if better else 'worse'} than {when}, beyond noise: "
            f"{number(name, now)}, it was {number(name, then)}"
        )


def _error(estimate: Estimate) -> float:
    """The standard error that the 95 % interval stands for."""
    return (estimate.high - estimate.low) / (2 * 1.96)


def _p_value(off: float, error: float) -> float:
    if error == 0:
        return 1.0 if off == 0 else 0.0
    return 2 * (1 - NormalDist().cdf(abs(off) / error))
