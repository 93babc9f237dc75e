"""Figures of all leads from the outcomes of contacted ones."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from service.history import OutcomeSelection, Weighting
from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.evaluation.confidence import estimates
from service.lifecycle.evaluation.quality import NAMES, Scores, Target, figures
from service.lifecycle.evaluation.version_quality import business
from service.lifecycle.evaluation.weighting import MIN_EFFECTIVE, MIN_EXPLORED, about, missing_days, weighting
from service.lifecycle.relations.outcomes import CLIP
from service.model.bundle import Economics
from tests.facts import states

ECONOMICS = Economics(conversion_value=100, contact_cost=10)
LINE, EXPLORED = 0.2, 0.1
SELECTION = OutcomeSelection(
    leads=9,
    with_outcome=1,
    explored=0,
    with_outcome_by_decision={},
    with_outcome_by_tenth=(),
    depends_on_decision=False,
    depends_on_score=False,
    about="",
)


def world(count: int, seed: int = 0, power: float = 1.0) -> tuple[Target, Scores]:
    """Outcomes of all leads, and their scores; a `power` above 1 makes low scores too low."""
    draw = np.random.default_rng(seed)
    true = draw.beta(1, 5, count)
    return (draw.random(count) < true).astype(np.int8), np.round(true**power, 3)


def contacted(
    target: Target, scores: Scores, seed: int = 0, explored: float = EXPLORED, said: float = 1.0, at: float = LINE
) -> ScoreCells:
    """What is known where leads below the line are contacted by chance, and of contacted ones a share has an outcome.

    The decision judged is to contact all that score `at` least that.
    """
    draw = np.random.default_rng(seed + 1)
    below = scores < LINE
    known = (~below | (draw.random(len(scores)) < explored)) & (draw.random(len(scores)) < said)
    weights = np.where(known, np.where(below, 1 / explored if explored else 0.0, 1.0), 0.0)
    return ScoreCells.of(np.where(known, target, 0).astype(np.int8), scores, scores >= at, at, None, weights, below)


def begun_late(count: int, exploring: float, said: float = 1.0) -> ScoreCells:
    """Leads of which the last share was scored after exploration began."""
    target, scores = world(count)
    first = int(count * (1 - exploring))
    parts = [
        contacted(target[p], scores[p], explored=share, said=said)
        for p, share in ((slice(None, first), 0.0), (slice(first, None), EXPLORED))
    ]
    arrays = [(p.target, p.scores, p.decided, p.leads, p.weights, p.below) for p in parts]
    return ScoreCells(*(np.concatenate(pair) for pair in zip(*arrays, strict=True)))


@pytest.mark.parametrize("said", [1.0, 0.6])
def test_figures_of_contacted_leads_estimate_those_of_all(said: float) -> None:
    target, scores = world(150_000)
    wanted = figures(target, scores, LINE, ECONOMICS)
    found = estimates(contacted(target, scores, said=said), LINE, ECONOMICS, draws=100)
    for name in set(NAMES) - {"calibration_error"}:
        assert found[name].value == pytest.approx(wanted[name], rel=0.03), name
        assert found[name].low <= wanted[name] <= found[name].high, name
    known = contacted(target, scores).known
    plain = replace(contacted(target, scores), weights=known.astype(np.float64), below=None)
    assert abs(estimates(plain, LINE, ECONOMICS, draws=1)["roc_auc"].value - wanted["roc_auc"]) > 0.05


def test_leads_scored_before_any_was_explored_do_no_harm() -> None:
    target, scores = world(150_000)
    wanted = figures(target, scores, LINE, ECONOMICS)
    found = estimates(begun_late(150_000, 1 / 3), LINE, ECONOMICS, draws=100)
    for name in ("roc_auc", "brier", "recall", "profit"):
        assert found[name].value == pytest.approx(wanted[name], rel=0.03), name


def test_weights_of_one_change_no_figure() -> None:
    target, scores = world(3_000)
    plain = ScoreCells.of(target, scores, scores >= LINE, LINE)
    weighted = replace(plain, weights=np.ones(len(plain.leads)), below=plain.scores < LINE)
    for name, found in estimates(plain, LINE, ECONOMICS, draws=200).items():
        other = estimates(weighted, LINE, ECONOMICS, draws=200)[name]
        assert (other.value, other.low, other.high) == pytest.approx((found.value, found.low, found.high), rel=1e-12)


def test_profit_below_the_line_is_right_if_either_scores_or_weights_are() -> None:
    at = LINE / 2
    target, scores = world(200_000)
    true = figures(target, scores, at, ECONOMICS)["profit"]
    wrong_weights = contacted(target, scores, at=at)
    assert wrong_weights.weights is not None
    wrong_weights = replace(wrong_weights, weights=wrong_weights.weights ** (wrong_weights.scores > at))
    assert estimates(wrong_weights, at, ECONOMICS, draws=200)["profit"].low <= true
    assert estimates(wrong_weights, at, ECONOMICS, draws=200)["profit"].high >= true
    target, low = world(200_000, power=1.3)
    found = estimates(contacted(target, low, at=at), at, ECONOMICS, draws=200)["profit"]
    true = figures(target, low, at, ECONOMICS)["profit"]
    assert found.low <= true <= found.high
    promised = 1000 * float((low >= at) @ (100 * low - 10)) / len(low)
    assert not found.low <= promised <= found.high


def test_intervals_of_explored_leads_cover_the_truth_about_as_often_as_they_say() -> None:
    target, scores = world(400_000, seed=99)
    truth = figures(target, scores, LINE / 2, ECONOMICS)
    names = ("roc_auc", "brier", "profit", "pr_auc", "lift")
    covered = dict.fromkeys(names, 0)
    for seed in range(60):
        cells = contacted(*world(4_000, seed), seed, at=LINE / 2)
        for name, found in estimates(cells, LINE / 2, ECONOMICS, draws=200, names=names).items():
            covered[name] += found.low <= truth[name] <= found.high
    for name, count in covered.items():
        assert count >= 51, name  # of 60 at 95 %; 51 or fewer come once in 500 times


def test_the_effective_sample_size_is_kish_s() -> None:
    cells = ScoreCells(
        np.zeros(3, dtype=np.int8),
        np.array([0.1, 0.1, 0.5]),
        np.array([False, False, True]),
        np.array([90.0, 10.0, 20.0]),
        np.array([0.0, 10.0, 1.0]),
        np.array([True, True, False]),
    )
    assert cells.effective == pytest.approx(120**2 / (10 * 100 + 20))
    found = weighting(cells)
    assert found is not None
    assert (found.explored, found.clipped) == (10, 0)
    assert missing_days(found, 7) == 43  # until the effective sample size is 100; 50 explored are there in 28
    assert weighting(replace(cells, weights=None)) is None


def test_too_few_explored_leads_are_not_enough_and_none_never_will_be() -> None:
    target, scores = world(3_000)
    below = scores < LINE
    few = weighting(contacted(target, scores, explored=0.8 * MIN_EXPLORED / below.sum()))
    assert few is not None
    assert not few.enough
    assert (missing_days(few, 10) or 0) > 0
    none = weighting(contacted(target, scores, explored=0.0))
    assert none is not None
    assert (none.enough, missing_days(none, 10)) == (False, None)
    selection = msgspec.structs.replace(SELECTION, about="Of all.")
    assert (
        about(selection, None, 10, 10, "a list is broken").about == "Contacts may be missing: a list is broken. Of all."
    )
    states(
        about(selection, none, 10, 10, "a list is broken").about, "missing: a list is broken.", "no figures", "share"
    )
    enough = weighting(contacted(target, scores))
    assert enough is not None
    assert missing_days(enough, 10) == 0


@pytest.mark.parametrize("others", [0.0, 0.3])
def test_contacts_beyond_the_teams_capacity_are_not_counted_nor_do_the_best_leads_stand_for_them(others: float) -> None:
    draw = np.random.default_rng(3)
    scores = np.round(draw.beta(2, 5, 100_000), 3)
    target = (draw.random(100_000) < scores).astype(np.int8)
    below, made = scores < np.quantile(scores, 0.4), scores >= np.quantile(scores, 0.6)
    known = made | (below & (draw.random(100_000) < EXPLORED)) | (~below & (draw.random(100_000) < others))
    weights = np.where(known, np.where(below, 1 / EXPLORED, 1.0), 0.0)
    cells = ScoreCells.of(np.where(known, target, 0).astype(np.int8), scores, made, LINE, None, weights, below)
    money = business(cells, ECONOMICS)
    assert money["contacts"] == made.sum()
    assert money["profit"] == pytest.approx(100 * target[made].sum() - 10 * made.sum())
    shown = estimates(cells, LINE, ECONOMICS, draws=1, names=("profit", "roc_auc"))
    assert 100 * shown["profit"].value == pytest.approx(money["profit"])
    if others:
        assert money["all_conversions"] == pytest.approx(target.sum(), rel=0.02)
        wanted = figures(target, scores, LINE, ECONOMICS)["roc_auc"]
        assert shown["roc_auc"].value == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("said", [1.0, 0.4])
def test_a_window_of_which_most_was_not_explored_is_not_enough_however_many_outcomes_are_missing(said: float) -> None:
    early, late = weighting(begun_late(40_000, 0.25, said)), weighting(begun_late(40_000, 0.75, said))
    assert early is not None
    assert late is not None
    assert early.explored > MIN_EXPLORED
    assert early.effective > MIN_EFFECTIVE
    assert (early.enough, late.enough) == (False, True)
    assert early.covered == pytest.approx(0.25, abs=0.04)
    assert late.covered == pytest.approx(0.75, abs=0.06)


def test_the_first_line_counts_the_days_that_explored_and_advises_a_window_that_holds_enough() -> None:
    few = Weighting(below=0.8, explored=10, clip=CLIP, clipped=0, effective=200.0, enough=False, covered=0.3)
    selected = msgspec.structs.replace(
        SELECTION, leads=1_000, with_outcome=210, explored=10, depends_on_decision=True, depends_on_score=True
    )
    assert missing_days(few, 3) == 12
    states(about(selected, few, 7, 3, "").about, "3.0 days", "12 more days", "--days 15", "7 days")
    assert "--days" not in about(selected, few, 28, 3, "").about


def test_weights_at_the_clip_are_counted() -> None:
    target, scores = world(50_000)
    found = weighting(contacted(target, scores, explored=CLIP))
    assert found is not None
    assert found.clipped == found.explored > 0
