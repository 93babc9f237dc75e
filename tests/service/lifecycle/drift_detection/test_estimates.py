"""Figures are estimated without outcomes, corrected where held-out ones contradict the scores, and honestly unsure."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from service.lifecycle.drift_detection.estimates import FIGURES, calibration, expected
from service.lifecycle.evaluation.quality import Scores, profit
from service.lifecycle.training.reference_profile import describe
from service.model.bundle import Economics
from service.model.reference import Reference
from tests.service import forge

MONEY = Economics(conversion_value=100, contact_cost=10)


def scores_of(count: int, seed: int) -> Scores:
    scores: Scores = expit(np.random.default_rng(seed).normal(-2.2, 1.1, count))
    return scores


def reference(scores: Scores, chances: Scores) -> Reference:
    """Held-out leads with these scores that convert with these chances."""
    target = (np.random.default_rng(10).random(len(scores)) < chances).astype(np.int8)
    frame = forge.rows(len(scores))[0]
    return describe(forge.SCHEMA, frame, frame, scores, target, 0.2)


HELD = scores_of(4_000, 1)
HONEST = reference(HELD, HELD)
BOASTING = reference(HELD, expit(0.5 * logit(HELD) - 1))  # the scores are too extreme and too high


def test_each_figure_is_what_the_outcomes_then_show_on_average() -> None:
    scores, draw = scores_of(2_000, 2), np.random.default_rng(3)
    shown = []
    for _ in range(60):
        target = (draw.random(2_000) < scores).astype(np.int8)
        contacted = scores >= 0.2
        ranked, hit = roc_auc_score(target, scores), precision_score(target, contacted)
        shown.append((ranked, hit, recall_score(target, contacted), profit(target, contacted, MONEY)))
    estimates = expected(HONEST, scores, 0.2, MONEY)
    for name, values in zip(FIGURES, np.array(shown).T, strict=True):
        known = 3 * values.std() / np.sqrt(60) + 0.02 * abs(values.mean())  # the held-out outcomes are chance too
        assert estimates[name].value == pytest.approx(values.mean(), abs=known), name
        inside = np.mean((estimates[name].low <= values) & (values <= estimates[name].high))
        assert 0.8 <= inside <= 1, name


def test_scores_that_the_outcomes_contradict_are_corrected_and_others_hardly() -> None:
    assert calibration(HONEST)[0] == pytest.approx([0, 1], abs=0.05)
    intercept, slope = calibration(BOASTING)[0]
    assert (intercept, slope) == (pytest.approx(-1, abs=0.25), pytest.approx(0.5, abs=0.12))
    scores = scores_of(2_000, 4)
    truth = expit(0.5 * logit(scores) - 1)
    real = roc_auc_score(np.repeat([1, 0], 2_000), np.tile(scores, 2), sample_weight=np.r_[truth, 1 - truth])
    assert expected(BOASTING, scores, 0.2, MONEY)["roc_auc"].value == pytest.approx(real, abs=0.03)
    assert expected(HONEST, scores, 0.2, MONEY)["roc_auc"].value > real + 0.06


def test_fewer_leads_and_fewer_held_out_ones_make_it_less_sure() -> None:
    def width(of: Reference, scores: Scores) -> float:
        estimate = expected(of, scores, 0.2, MONEY)["roc_auc"]
        return estimate.high - estimate.low

    scores = scores_of(2_000, 5)
    assert width(HONEST, scores) < width(HONEST, scores[:300])
    few = reference(HELD[:200], HELD[:200])
    assert width(HONEST, scores) < width(few, scores)


def test_leads_that_are_hard_to_tell_apart_lower_the_expectation() -> None:
    scores = scores_of(2_000, 6)
    alike = expit(0.3 * logit(scores) - 1.5)
    assert (
        expected(HONEST, alike, 0.2, MONEY)["roc_auc"].value
        < expected(HONEST, scores, 0.2, MONEY)["roc_auc"].value - 0.1
    )


@pytest.mark.parametrize("scores", [np.array([]), np.array([0.3]), np.zeros(50), np.ones(50), np.full(50, 0.1)])
def test_what_cannot_be_told_is_left_out(scores: Scores) -> None:
    estimates = expected(HONEST, scores, 0.2, MONEY)
    assert all(np.isfinite([e.value, e.low, e.high]).all() for e in estimates.values())
    assert not (len(scores) < 2 and "roc_auc" in estimates)
    assert len(scores) > 0 or estimates == {}
    assert ("precision" in estimates) == bool((scores >= 0.2).any())


def test_the_same_leads_give_the_same_estimate() -> None:
    scores = scores_of(500, 7)
    assert expected(HONEST, scores, 0.2, MONEY) == expected(HONEST, scores, 0.2, MONEY)


def test_equal_scores_rank_nothing() -> None:
    assert expected(HONEST, np.full(400, 0.1), 0.2, MONEY)["roc_auc"].value == pytest.approx(0.5)


def test_held_out_outcomes_that_may_be_chance_move_the_calibration_by_a_quarter() -> None:
    odd = reference(HELD[:1_500], expit(logit(HELD[:1_500]) + 0.3))  # more converted than the scores say
    bins = odd.calibration
    said = logit(sum(b.converted for b in bins) / 1_500) - logit(sum(b.score * b.leads for b in bins) / 1_500)
    intercept, slope = calibration(odd)[0]
    at_mean = intercept + (slope - 1) * logit(sum(b.score * b.leads for b in bins) / 1_500)
    assert said > 0.15  # within what chance shows of so few leads
    assert 0 < at_mean < 0.5 * said
