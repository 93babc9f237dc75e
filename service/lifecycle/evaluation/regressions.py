"""Which changes of figures are beyond noise: normal approximation, Holm's correction over all figures of a look.

A model is looked at again and again. Look k may be wrong in ALPHA / (k (k + 1)) of models; over all looks that adds up
to ALPHA, however many they are and however they depend on each other (alpha spending: K. K. G. Lan and D. L. DeMets,
Discrete sequential boundaries for clinical trials, Biometrika 70, 1983).
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeVar

from service.history import Estimate
from service.lifecycle.evaluation.formatting import number, spoken
from service.lifecycle.evaluation.multiple_tests import holm
from service.model.bundle import JudgedOn

ALPHA = 0.05
LOWER_IS_BETTER = ("brier", "calibration_error")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Then:
    """Figures of other leads: `when` as it ends a sentence, and each figure as it was shown, expected, and its error.

    The figure expected of these leads is the one shown, or one less good where the model was chosen for it. The error
    is a standard error.
    """

    when: str
    shown: Mapping[str, float]
    expected: Mapping[str, float]
    error: Mapping[str, float]


def at_training(
    benchmark: Mapping[str, float], judged_on: JudgedOn | None, now: Mapping[str, Estimate], leads: int, held_out: int
) -> Then:
    """The figures of training. Of a bundle that does not say how sure they are, those of `held_out` leads.

    They are then as uncertain as the figures `now`, which are of `leads` leads, would be with as many.
    """
    if judged_on is None:
        wider = math.sqrt(leads / held_out)
        errors = {name: standard_error(figure) * wider for name, figure in now.items()}
        return Then("at training", benchmark, benchmark, errors)
    expected = {name: value - judged_on.optimism.get(name, 0.0) for name, value in benchmark.items()}
    return Then("at training", benchmark, expected, judged_on.errors)


def at_evaluation(figures: Mapping[str, Estimate], when: str) -> Then:
    """The figures of an evaluation of other leads."""
    shown = {name: figure.value for name, figure in figures.items()}
    return Then(when, shown, shown, {name: standard_error(figure) for name, figure in figures.items()})


def changes(figures: Mapping[str, Estimate], others: Sequence[Then], look: int = 1) -> list[str]:
    """A sentence for each figure that differs beyond noise from the same one of the others; 1 is the first look."""
    differences = {
        (place, name): (figure.value - then.expected[name], math.hypot(standard_error(figure), then.error[name]))
        for place, then in enumerate(others)
        for name, figure in figures.items()
        if name in then.expected and name in then.error
    }
    changed = beyond_noise(differences, level(look))
    return [
        _sentence(name, figures[name].value, others[place]) for place, name in differences if (place, name) in changed
    ]


def level(look: int) -> float:
    """What may go wrong by chance at this look; over all looks it sums to ALPHA."""
    return ALPHA / (look * (look + 1))


def beyond_noise(differences: Mapping[Key, tuple[float, float]], alpha: float = ALPHA) -> set[Key]:
    """The keys whose difference, given with its standard error, is no chance."""
    p_values = holm([_p_value(off, error) for off, error in differences.values()])
    return {key for key, p in zip(differences, p_values, strict=True) if p <= alpha}


def standard_error(estimate: Estimate) -> float:
    """The standard error that the 95 % interval stands for."""
    return (estimate.high - estimate.low) / (2 * 1.96)


def _sentence(name: str, now: float, then: Then) -> str:
    better = (now > then.expected[name]) != (name in LOWER_IS_BETTER)
    return (
        f"{spoken(name)} is {'better' if better else 'worse'} than {then.when}, beyond noise: "
        f"{number(name, now)}, it was {number(name, then.shown[name])}"
    )


def _p_value(off: float, error: float) -> float:
    if error == 0:
        return 1.0 if off == 0 else 0.0
    return 2 * NormalDist().cdf(-abs(off) / error)
