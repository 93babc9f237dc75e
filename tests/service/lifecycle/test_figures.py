"""Figures agree with what their definitions give lead by lead; thresholds keep profit and capacity."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.lifecycle.figures import (
    BANDS,
    Scores,
    Target,
    bands,
    calibration_bins,
    calibration_error,
    capacity_limit,
    choose_threshold,
    figures,
    lift,
    profit,
)
from service.model.bundle import Economics

MONEY = Economics(conversion_value=100, contact_cost=10)
SCORED = st.lists(st.tuples(st.booleans(), st.integers(0, 20).map(lambda n: n / 20)), min_size=2, max_size=40)


def arrays(scored: list[tuple[bool, float]]) -> tuple[Target, Scores]:
    return np.array([won for won, _ in scored], dtype=np.int8), np.array([score for _, score in scored])


@given(scored=SCORED, threshold=st.floats(0, 1))
def test_every_figure_is_what_counting_lead_by_lead_gives(scored: list[tuple[bool, float]], threshold: float) -> None:
    target, scores = arrays(scored)
    assume(0 < target.sum() < len(target))
    hit = sum(won and score >= threshold for won, score in scored)
    called = sum(score >= threshold for _, score in scored)
    won_scores = [score for won, score in scored if won]
    lost_scores = [score for won, score in scored if not won]
    pairs = [(a > b) + (a == b) / 2 for a in won_scores for b in lost_scores]
    precision, recall = hit / called if called else 0.0, hit / len(won_scores)
    expected = {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if hit else 0.0,
        "roc_auc": sum(pairs) / len(pairs),
        "accuracy": sum(won == (score >= threshold) for won, score in scored) / len(scored),
        "profit": 1000 * (100 * hit - 10 * called) / len(scored),
        "brier": sum((won - score) ** 2 for won, score in scored) / len(scored),
        "contacts": 1000 * called / len(scored),
    }
    got = figures(target, scores, threshold, MONEY)
    assert {name: got[name] for name in expected} == pytest.approx(expected)


@given(scored=SCORED)
def test_lift_is_the_mean_over_all_orders_of_equal_scores(scored: list[tuple[bool, float]]) -> None:
    target, scores = arrays(scored)
    assume(target.any())
    draw, places = np.random.default_rng(0), max(1, round(0.1 * len(scored)))
    hits = [target[np.lexsort((draw.random(len(target)), -scores))][:places].mean() / target.mean() for _ in range(300)]
    assert lift(target, scores) == pytest.approx(np.mean(hits), abs=5 * np.std(hits) / np.sqrt(300) + 1e-9)


def test_a_perfect_and_an_even_ranking_have_the_lifts_of_the_book() -> None:
    target = np.repeat([1, 0], [10, 90]).astype(np.int8)
    assert lift(target, np.linspace(1, 0, 100)) == pytest.approx(10)
    assert lift(target, np.full(100, 0.3)) == pytest.approx(1)


def test_calibration_error_is_the_mean_gap_over_ten_bins_of_equally_many() -> None:
    scores = np.repeat(np.arange(10) / 10, 10)
    target = np.tile([1, 0], 50).astype(np.int8)
    mean, rate, count = calibration_bins(target, scores)
    assert mean == pytest.approx(np.arange(10) / 10)
    assert (rate.tolist(), count.tolist()) == ([0.5] * 10, [10.0] * 10)
    assert calibration_error(target, scores) == pytest.approx(0.25)


@given(scored=SCORED)
def test_calibration_error_is_between_overall_bias_and_one(scored: list[tuple[bool, float]]) -> None:
    target, scores = arrays(scored)
    assert abs(target.mean() - scores.mean()) - 1e-9 <= calibration_error(target, scores) <= 1


def test_one_kind_of_outcome_is_no_ground_for_figures() -> None:
    with pytest.raises(ValueError, match="of 3 leads 0 converted"):
        figures(np.zeros(3, dtype=np.int8), np.array([0.1, 0.2, 0.3]), 0.5, MONEY)


@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=50).map(np.array), capacity=st.integers(1, 1000))
def test_no_more_leads_are_contacted_than_the_team_can(scores: Scores, capacity: int) -> None:
    money = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=capacity)
    threshold = choose_threshold(scores, money)
    contacted = int((scores >= threshold).sum())
    assert threshold >= 0.1
    assert contacted <= capacity * len(scores) / 1000 or (scores[scores >= threshold] == 1).all()
    # And no fewer than that: taking in the next lower score would be one too many, or not pay.
    rest = scores[scores < threshold]
    if len(rest) and rest.max() >= 0.1:
        assert int((scores >= rest.max()).sum()) > capacity * len(scores) / 1000


def test_the_limit_lies_between_two_scores_so_that_rounding_changes_no_decision() -> None:
    money = Economics(conversion_value=100, contact_cost=1, contacts_per_1000_leads=500)
    assert capacity_limit(np.array([0.2, 0.4, 0.6, 0.8]), money) == pytest.approx(0.5)
    assert choose_threshold(np.array([0.2, 0.4, 0.6, 0.8]), money) == pytest.approx(0.5)


@given(seed=st.integers(0, 10_000), cost=st.integers(1, 99))
def test_on_calibrated_scores_no_other_threshold_earns_more(seed: int, cost: int) -> None:
    """Twenty groups of leads whose conversion rate is their score."""
    sizes = np.random.default_rng(seed).integers(1, 5, 19) * 20
    scores = np.repeat(np.arange(1, 20) / 20, sizes)
    target = np.concatenate([np.arange(n) < round(n * s) for n, s in zip(sizes, np.arange(1, 20) / 20, strict=True)])
    money = Economics(conversion_value=100, contact_cost=cost)
    earned = [
        profit(target.astype(np.int8), scores >= t, money)
        for t in (choose_threshold(scores, money), *np.arange(21) / 20)
    ]
    assert earned[0] == pytest.approx(max(earned))


@given(seed=st.integers(0, 10_000), size=st.integers(100, 400))
def test_bands_hold_the_stated_shares_of_the_scores_they_were_made_from(seed: int, size: int) -> None:
    scores = np.random.default_rng(seed).random(size)
    made = bands(scores)
    assert [band.name for band in made] == ["A", "B", "C", "D"]
    assert made[-1].min_score == 0
    for band, (_, end) in zip(made, BANDS, strict=False):
        assert (scores >= band.min_score).mean() == pytest.approx(end, abs=1.5 / size)
