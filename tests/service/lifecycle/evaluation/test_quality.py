"""Figures agree with what their definitions give lead by lead; the team contacts the best that pay."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.lifecycle.evaluation.quality import (
    BANDS,
    Scores,
    Target,
    bands,
    contacts_reached,
    figures,
    lift,
    profit,
)
from service.model.bundle import Economics
from service.model.decide import contacts_made

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


@given(scored=SCORED, seed=st.integers(0, 9))
def test_a_lead_of_a_weight_counts_as_so_many(scored: list[tuple[bool, float]], seed: int) -> None:
    target, scores = arrays(scored)
    assume(0 < target.sum() < len(target))
    weights = np.random.default_rng(seed).integers(1, 4, len(target))
    every = np.repeat(np.arange(len(target)), weights)
    got = figures(target, scores, 0.4, MONEY, weights=weights.astype(np.float64))
    wanted = figures(target[every], scores[every], 0.4, MONEY)
    # Of repeated leads the calibration error takes the chance in their outcomes for less than it is.
    assert {n: v for n, v in got.items() if n != "calibration_error"} == pytest.approx(
        {n: v for n, v in wanted.items() if n != "calibration_error"}
    )


def test_the_team_s_capacity_is_a_share_of_the_leads_that_weights_stand_for() -> None:
    scores, weights = np.linspace(0.9, 0.1, 9), np.array([1.0] * 4 + [20.0] * 5)
    few = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=40)
    decided = scores >= 0.3
    assert contacts_reached(scores, decided, few, weights).sum() == 4
    more = few.model_copy(update={"contacts_per_1000_leads": 250})
    assert contacts_reached(scores, decided, more, weights).tolist() == [True] * 5 + [False] * 4
    assert contacts_reached(scores, decided, more, None).sum() == 2


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


def test_one_kind_of_outcome_is_no_ground_for_figures() -> None:
    with pytest.raises(ValueError, match="of 3 leads 0 converted"):
        figures(np.zeros(3, dtype=np.int8), np.array([0.1, 0.2, 0.3]), 0.5, MONEY)


@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=50).map(np.array),
    threshold=st.floats(0, 1),
    capacity=st.integers(1, 1000),
)
def test_the_team_makes_the_best_contacts_and_as_many_as_pay_or_it_can(
    scores: Scores, threshold: float, capacity: int
) -> None:
    money = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=capacity)
    decided = scores >= threshold
    made = contacts_made(scores, decided, money)
    assert made.sum() == min(decided.sum(), capacity * len(scores) // 1000)
    assert not (made & ~decided).any()
    if made.any() and (left := decided & ~made).any():
        assert scores[made].min() >= scores[left].max()


def test_of_equal_scores_the_first_are_contacted() -> None:
    money = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=500)
    scores = np.array([0.5, 0.9, 0.5, 0.5])
    assert contacts_made(scores, scores >= 0.5, money).tolist() == [True, True, False, False]


def test_capacity_limits_contacts_and_profit_and_not_the_decision() -> None:
    target, scores = np.array([1, 0, 1, 1], dtype=np.int8), np.array([0.9, 0.8, 0.7, 0.1])
    money = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=500)
    found = figures(target, scores, 0.5, money)
    assert (found["contacts"], found["profit"]) == (500, 1000 * (100 - 20) / 4)
    assert found["precision"] == pytest.approx(2 / 3)
    made = np.array([False, False, True, False])
    assert figures(target, scores, 0.5, money, made)["profit"] == 1000 * (100 - 10) / 4


def test_a_contact_pays_from_its_cost_over_the_worth_of_a_conversion_on() -> None:
    assert Economics(conversion_value=150, contact_cost=8).threshold == pytest.approx(8 / 150)
    assert Economics(conversion_value=150, contact_cost=8, contacts_per_1000_leads=1).threshold == pytest.approx(
        8 / 150
    )
    assert Economics(conversion_value=5, contact_cost=8).threshold == 1


@given(seed=st.integers(0, 10_000), cost=st.integers(1, 99))
def test_on_calibrated_scores_no_other_threshold_earns_more(seed: int, cost: int) -> None:
    """Twenty groups of leads whose conversion rate is their score."""
    sizes = np.random.default_rng(seed).integers(1, 5, 19) * 20
    scores = np.repeat(np.arange(1, 20) / 20, sizes)
    target = np.concatenate([np.arange(n) < round(n * s) for n, s in zip(sizes, np.arange(1, 20) / 20, strict=True)])
    money = Economics(conversion_value=100, contact_cost=cost)
    earned = [profit(target.astype(np.int8), scores >= t, money) for t in (money.threshold, *np.arange(21) / 20)]
    assert earned[0] == pytest.approx(max(earned))


@given(seed=st.integers(0, 10_000), size=st.integers(100, 400))
def test_bands_hold_the_stated_shares_of_the_scores_they_were_made_from(seed: int, size: int) -> None:
    scores = np.random.default_rng(seed).random(size)
    made = bands(scores)
    assert [band.name for band in made] == ["A", "B", "C", "D"]
    assert made[-1].min_score == 0
    for band, (_, end) in zip(made, BANDS, strict=False):
        assert (scores >= band.min_score).mean() == pytest.approx(end, abs=1.5 / size)
