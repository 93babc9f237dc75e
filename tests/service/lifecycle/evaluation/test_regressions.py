import numpy as np
import pytest

from service.history import Estimate
from service.lifecycle.evaluation.regressions import ALPHA, at_evaluation, at_training, beyond_noise, changes
from service.model.bundle import JudgedOn
from tests.facts import states


def around(value: float, error: float) -> Estimate:
    return Estimate(value, value - 1.96 * error, value + 1.96 * error)


def judged_on(error: float, optimism: float = 0.0) -> JudgedOn:
    names = ("roc_auc", "brier", "f1")
    return JudgedOn(
        leads=2_000, converted=200, errors=dict.fromkeys(names, error), optimism=dict.fromkeys(names, optimism)
    )


def test_chance_alone_is_reported_in_one_of_twenty_looks() -> None:
    draw, names = np.random.default_rng(0), [f"f{i}" for i in range(10)]
    quiet = sum(not beyond_noise({name: (draw.normal(), 1.0) for name in names}) for _ in range(1000))
    assert 930 < quiet < 970


def test_all_looks_at_a_model_together_are_wrong_in_one_of_twenty_models() -> None:
    draw, then = np.random.default_rng(0), at_training({"roc_auc": 0.8}, judged_on(0.0), {}, 1, 1)
    lives = [
        any(changes({"roc_auc": around(0.8 + 0.01 * draw.normal(), 0.01)}, [then], look) for look in range(1, 200))
        for _ in range(300)
    ]
    assert np.mean(lives) < ALPHA + 3 * (ALPHA / 300) ** 0.5


def test_better_and_worse_are_told_apart_by_figure() -> None:
    now = {"roc_auc": around(0.7, 0.01), "brier": around(0.2, 0.001), "f1": around(0.5, 0.1)}
    then = at_training({"roc_auc": 0.8, "brier": 0.1, "f1": 0.6, "recall": 1.0}, judged_on(0.005), now, 1000, 1)
    ranking, calibration = changes(now, [then])
    states(ranking, "roc auc", "worse", "training", "0.7000", "0.8000")
    states(calibration, "brier", "worse", "training", "0.2000", "0.1000")
    assert "better" in changes(now, [at_training({"brier": 0.3}, judged_on(0.005), now, 1000, 1)])[0]


@pytest.mark.parametrize(("error", "found"), [(0.001, True), (0.02, False)])
def test_a_benchmark_is_as_uncertain_as_the_bundle_says(error: float, found: bool) -> None:
    now = {"roc_auc": around(0.7, 0.01)}
    assert bool(changes(now, [at_training({"roc_auc": 0.73}, judged_on(error), now, 1000, 1)])) == found


@pytest.mark.parametrize(("held_out", "found"), [(100_000, True), (500, False)])
def test_a_benchmark_of_a_bundle_that_does_not_say_so_is_as_uncertain_as_its_leads_are_few(
    held_out: int, found: bool
) -> None:
    now = {"roc_auc": around(0.7, 0.01)}
    assert bool(changes(now, [at_training({"roc_auc": 0.73}, None, now, 1000, held_out)])) == found


def test_a_promoted_model_is_not_held_to_its_luck() -> None:
    now = {"roc_auc": around(0.7, 0.01)}
    assert changes(now, [at_training({"roc_auc": 0.74}, judged_on(0.005), now, 1000, 1)])
    assert not changes(now, [at_training({"roc_auc": 0.74}, judged_on(0.005, 0.03), now, 1000, 1)])


def test_both_evaluations_are_uncertain() -> None:
    now = {"roc_auc": around(0.7, 0.01)}
    assert changes(now, [at_evaluation({"roc_auc": around(0.735, 0.001)}, "before")])
    assert not changes(now, [at_evaluation({"roc_auc": around(0.735, 0.02)}, "before")])


def test_a_figure_without_any_spread_changed_if_it_differs() -> None:
    assert beyond_noise({"same": (0.0, 0.0), "other": (0.1, 0.0)}) == {"other"}
