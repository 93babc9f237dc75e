import numpy as np
import pytest

from service.lifecycle.evaluation.bootstrap import SIMPLE, figure, resamples
from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.evaluation.confidence import by_rank, estimates, rank, share
from service.lifecycle.evaluation.quality import NAMES, figures
from service.model.bundle import Economics

ECONOMICS = Economics(conversion_value=100, contact_cost=10)
THRESHOLD = 0.3


def leads(count: int, seed: int = 0, off: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and scores, which are true probabilities but for `off`; many scores are equal."""
    draw = np.random.default_rng(seed)
    true = np.round(draw.beta(1, 5, count), 2)
    return (draw.random(count) < true).astype(np.int8), np.clip(true + off, 0, 1)


def cells(count: int, seed: int = 0, off: float = 0.0) -> ScoreCells:
    """The leads in cells, of which the team contacts those that it should."""
    target, scores = leads(count, seed, off)
    return ScoreCells.of(target, scores, scores >= THRESHOLD, THRESHOLD)


@pytest.mark.parametrize("count", [57, 400])
def test_the_figures_of_a_resample_are_those_of_its_leads(count: int) -> None:
    target, scores = leads(count, seed=3)
    ranked = rank(target, scores)
    simple = {name: figure(name, target, scores, THRESHOLD, ECONOMICS) for name in SIMPLE}
    assert {*simple, *by_rank(ranked, np.ones((1, count)))} == set(NAMES) - {"calibration_error"}
    for weights in np.concatenate([np.ones((1, count)), *resamples(count, 20, seed=1)]):
        rows = np.repeat(np.arange(count), weights.astype(int))
        found = {name: each(weights[None]) for name, each in simple.items()} | by_rank(ranked, weights[None])
        for name, wanted in figures(target[rows], scores[rows], THRESHOLD, ECONOMICS).items():
            if name in found:
                assert found[name][0] == pytest.approx(wanted), name


def test_every_figure_has_an_interval_around_it_and_the_same_seed_gives_the_same() -> None:
    given = cells(800)
    found = estimates(given, THRESHOLD, ECONOMICS, draws=300)
    assert set(found) == set(NAMES)
    wanted = figures(*leads(800), THRESHOLD, ECONOMICS)
    for name, estimate in found.items():
        assert estimate.value == pytest.approx(wanted[name])
        assert estimate.low <= estimate.value < estimate.high, name
    assert found == estimates(given, THRESHOLD, ECONOMICS, draws=300)
    assert found != estimates(given, THRESHOLD, ECONOMICS, draws=300, seed=1)


def test_an_interval_shrinks_with_the_square_root_of_the_leads() -> None:
    few, many = (estimates(cells(count), THRESHOLD, ECONOMICS, draws=300) for count in (500, 8000))
    for name in ("roc_auc", "brier", "profit"):
        ratio = (few[name].high - few[name].low) / (many[name].high - many[name].low)
        assert 3 < ratio < 5.5, name


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    truth = {name: e.value for name, e in estimates(cells(200_000, seed=99), THRESHOLD, ECONOMICS, draws=1).items()}
    covered = dict.fromkeys(("roc_auc", "brier", "pr_auc", "lift", "precision", "profit"), 0)
    for seed in range(60):
        found = estimates(cells(600, seed), THRESHOLD, ECONOMICS, draws=200)
        for name in covered:
            covered[name] += found[name].low <= truth[name] <= found[name].high
    for name, count in covered.items():
        assert count >= 51, name  # of 60 at 95 %; 51 or fewer come once in 500 times


def test_wrong_probabilities_show_in_the_calibration_error_and_right_ones_reach_down_to_zero() -> None:
    wrong = estimates(cells(2000, off=0.1), THRESHOLD, ECONOMICS, draws=300)["calibration_error"]
    right = estimates(cells(2000), THRESHOLD, ECONOMICS, draws=300)["calibration_error"]
    assert wrong.low > 0.07
    assert right.low < 0.02


@pytest.mark.parametrize(("converted", "count"), [(0, 10), (10, 10), (3, 10), (0, 0)])
def test_a_share_of_few_leads_has_an_interval_too(converted: int, count: int) -> None:
    found = share(converted, count)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_wilson_s_interval_is_the_published_one() -> None:
    found = share(10, 100)  # R. Newcombe, Statistics in Medicine 17, 1998: .0552 to .1744 for 10 of 100
    assert (round(found.low, 4), round(found.high, 4)) == (0.0552, 0.1744)
