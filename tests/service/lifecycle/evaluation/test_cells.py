import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.evaluation.confidence import estimates
from service.lifecycle.evaluation.quality import NAMES, figures
from service.lifecycle.relations.bins import BINS, STEPS, bin_of
from service.model.bundle import Economics
from service.model.decide import contacts_made
from tests.service.lifecycle.evaluation import row_wise

ECONOMICS = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=200)
EVERYONE = Economics(conversion_value=100, contact_cost=10)
THRESHOLD = 0.1

scores = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 2.0**-13, 0.25, 0.5, 0.75, 1.0]), min_size=2, max_size=200)


def leads(count: int, seed: int = 0, digits: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and scores, which are true probabilities."""
    draw = np.random.default_rng(seed)
    true = np.round(draw.beta(1, 9, count), digits)
    return (draw.random(count) < true).astype(np.int8), true


def shared_pairs(cells: ScoreCells) -> float:
    """Of all pairs of leads with different outcomes, the share whose two scores lie in one bin."""
    bins = bin_of(cells.scores)
    won, lost = (np.bincount(bins, cells.leads * (cells.target == kind), minlength=BINS) for kind in (1, 0))
    return float(won @ lost / (won.sum() * lost.sum()))


@given(scores)
def test_a_higher_score_has_no_lower_bin(drawn: list[float]) -> None:
    bins = bin_of(np.sort(drawn))
    assert (np.diff(bins) >= 0).all()
    assert 0 <= bins.min() <= bins.max() < BINS


@given(st.floats(2.0**-13, 1 - 2.0**-13), st.floats(1, 1 + 2.0**-8))
def test_scores_further_apart_than_a_step_lie_in_two_bins(score: float, factor: float) -> None:
    other = score * factor if score < 0.5 else 1 - (1 - score) * factor
    least = min(score, 1 - score, other, 1 - other)
    if least > 2.0**-13 and abs(other - score) > least * 2.0**-STEPS:
        assert len(set(bin_of(np.array([score, other])).tolist())) == 2


@pytest.mark.parametrize("digits", [1, 2, 12])
def test_the_figures_of_cells_are_those_of_their_leads(digits: int) -> None:
    target, scores = leads(5_000, digits=digits)
    cells = ScoreCells.of(target, scores, scores >= THRESHOLD, THRESHOLD)
    found = estimates(cells, THRESHOLD, EVERYONE, draws=10)
    wanted = figures(target, scores, THRESHOLD, EVERYONE)
    assert set(found) == set(NAMES)
    assert {name: found[name].value for name in NAMES} == pytest.approx({n: wanted[n] for n in NAMES}, abs=1e-4)


@given(scores, st.integers(0, 2**32))
def test_roc_auc_lies_within_the_stated_bound(drawn: list[float], seed: int) -> None:
    scores = np.array(drawn)
    target = np.random.default_rng(seed).integers(0, 2, len(scores)).astype(np.int8)
    target[:2] = 0, 1
    cells = ScoreCells.of(target, scores, scores >= THRESHOLD, THRESHOLD)
    found = estimates(cells, THRESHOLD, EVERYONE, draws=1)["roc_auc"].value
    assert abs(found - roc_auc_score(target, scores)) <= shared_pairs(cells) / 2 + 1e-12


def test_the_bound_of_many_leads_is_less_than_a_ten_thousandth() -> None:
    target, scores = leads(200_000)
    assert shared_pairs(ScoreCells.of(target, scores, scores >= THRESHOLD, THRESHOLD)) / 2 < 1e-4


def test_a_weight_stands_for_as_many_leads() -> None:
    target, scores = leads(500, digits=2)
    weights = np.random.default_rng(1).integers(0, 5, 500)
    every = np.repeat(np.arange(500), weights)
    weighted = ScoreCells.of(target, scores, scores >= THRESHOLD, THRESHOLD, weights.astype(float))
    found = estimates(weighted, THRESHOLD, EVERYONE, draws=1)
    wanted = figures(target[every], scores[every], THRESHOLD, EVERYONE)
    assert {name: found[name].value for name in NAMES} == pytest.approx({n: wanted[n] for n in NAMES})


def test_no_cell_lies_on_both_sides_of_the_threshold() -> None:
    scores = np.array([THRESHOLD, np.nextafter(THRESHOLD, 0)])
    assert len(set(bin_of(scores).tolist())) == 1
    cells = ScoreCells.of(np.array([1, 1], dtype=np.int8), scores, scores >= THRESHOLD, THRESHOLD)
    assert sorted((cells.scores >= THRESHOLD).tolist()) == [False, True]


def test_the_intervals_are_those_of_the_leads() -> None:
    target, scores = leads(2_000)
    made = contacts_made(scores, scores >= THRESHOLD, ECONOMICS)
    found = estimates(ScoreCells.of(target, scores, made, THRESHOLD), THRESHOLD, ECONOMICS, draws=1_000)
    for name, wanted in row_wise.estimates(target, scores, THRESHOLD, ECONOMICS, draws=1_000).items():
        assert found[name].high - found[name].low == pytest.approx(wanted.high - wanted.low, rel=0.15), name
