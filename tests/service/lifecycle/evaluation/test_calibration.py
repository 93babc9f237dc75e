"""The calibration error is unbiased, whatever the groups and ties, and its interval holds the truth."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from service.history import Estimate
from service.lifecycle.evaluation.calibration import calibration_error, grouped, interval
from service.lifecycle.evaluation.cells import ScoreCells

WORLDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "calibrated": lambda scores: scores,
    "too high": lambda scores: scores * 0.7,
    "too sure": lambda scores: expit(logit(0.1) + 0.6 * (logit(scores) - logit(0.1))),
}


def trials(world: str, leads: int, count: int, digits: int = 12) -> tuple[float, list[Estimate]]:
    """The true calibration error, and what windows of so many leads show."""
    draw, found, gaps = np.random.default_rng(7), [], []
    for _ in range(count):
        scores = np.clip(np.round(draw.beta(1, 9, leads), digits), 1e-4, 1 - 1e-4)
        chance = WORLDS[world](scores)
        gaps.append(np.abs(chance - scores).mean())
        found.append(interval(grouped((draw.random(leads) < chance).astype(np.int8), scores)))
    return float(np.mean(gaps)), found


@pytest.mark.parametrize("digits", [1, 12])
@pytest.mark.parametrize("world", WORLDS)
def test_the_error_is_unbiased_and_its_interval_holds_the_truth(world: str, digits: int) -> None:
    truth, found = trials(world, 4_000, 300, digits)
    assert np.mean([e.value for e in found]) == pytest.approx(truth, abs=0.005)
    # 90 and 98 %, and three standard errors of 300 trials.
    assert 0.85 <= np.mean([e.low <= truth <= e.high for e in found]) <= 0.995


@pytest.mark.parametrize("leads", [150, 1_000])
def test_the_interval_of_few_calibrated_leads_holds_zero(leads: int) -> None:
    _, found = trials("calibrated", leads, 300)
    assert 0.90 <= np.mean([e.low == 0 for e in found]) <= 0.99


@given(seed=st.integers(0, 1_000), digits=st.integers(1, 12))
def test_the_order_of_the_leads_changes_nothing_and_a_weight_stands_for_as_many(seed: int, digits: int) -> None:
    draw = np.random.default_rng(seed)
    scores = np.round(draw.random(60), digits)
    target, weights = (draw.random(60) < scores).astype(np.int8), draw.integers(1, 4, 60)
    every = draw.permutation(np.repeat(np.arange(60), weights))
    weighted = interval(grouped(target, scores, weights.astype(float)))
    alone = interval(grouped(target[every], scores[every]))
    assert weighted.value == pytest.approx(alone.value, abs=1e-12)
    assert (weighted.low, weighted.high) == pytest.approx((alone.low, alone.high), abs=1e-12)


def test_cells_have_the_error_of_their_leads() -> None:
    draw = np.random.default_rng(1)
    scores = draw.beta(1, 9, 20_000)
    target = (draw.random(20_000) < 0.8 * scores).astype(np.int8)
    cells = ScoreCells.of(target, scores, scores >= 0.1, 0.1)
    found = interval(grouped(cells.target, cells.scores, cells.leads))
    wanted = interval(grouped(target, scores))
    assert (found.value, found.low, found.high) == pytest.approx((wanted.value, wanted.low, wanted.high), abs=1e-4)


def test_weights_that_differ_widen_the_interval() -> None:
    draw = np.random.default_rng(2)
    scores, weights = draw.random(2_000), np.where(draw.random(2_000) < 0.1, 10.0, 1.0)
    target = (draw.random(2_000) < scores).astype(np.int8)
    wide, narrow = (grouped(target, scores, weights, each).standard_error for each in (weights**2, None))
    assert wide > 2 * narrow


def test_scores_of_zero_and_one_that_come_true_have_no_error() -> None:
    scores = np.repeat([0.0, 1.0], 50)
    found = interval(grouped(scores.astype(np.int8), scores))
    assert (found.value, found.low, found.high) == pytest.approx((0, 0, 0), abs=1e-12)
    assert calibration_error(1 - scores, scores) == 1
