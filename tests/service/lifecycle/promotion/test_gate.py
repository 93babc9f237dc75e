"""The gate lets a better model through, a repaired calibration, and nothing else."""

import numpy as np
import pytest

from service.lifecycle.data.source import Metric
from service.lifecycle.evaluation.bootstrap import figure, resamples
from service.lifecycle.evaluation.quality import Scores, figures, profit
from service.lifecycle.promotion.gate import Contender, Rules, Verdict, decide, miscalibration, nearer
from service.lifecycle.promotion.power import Look
from service.model.bundle import Economics
from service.model.decide import contacts_made
from tests.facts import states

ECONOMICS = Economics(conversion_value=600, contact_cost=60)
RULES = Rules(draws=300)
DRAW = np.random.default_rng(7)
COUNT = 4_000
TRUE = DRAW.beta(1, 8, COUNT)
TARGET = (DRAW.random(COUNT) < TRUE).astype(np.int8)
BLURRED = np.clip(TRUE + DRAW.normal(0, 0.08, COUNT), 0.001, 1)
HALF = np.arange(COUNT) < COUNT // 2


def compare(
    champion: Scores, challenger: Scores, metric: Metric = "roc_auc", groups: dict[str, np.ndarray] | None = None
) -> Verdict:
    return decide(TARGET, Contender(champion, 0.1), Contender(challenger, 0.1), metric, ECONOMICS, groups, RULES)


def test_a_model_that_ranks_better_is_promoted_with_the_figures_that_say_so() -> None:
    verdict = compare(BLURRED, TRUE)
    assert verdict.by == "gain"
    gain = verdict.figures["gain.roc_auc"]
    assert RULES.gain < gain.low < gain.value < gain.high
    reached = {who: verdict.figures[f"{who}.roc_auc"].value for who in ("champion", "challenger")}
    assert reached["challenger"] - reached["champion"] == pytest.approx(gain.value)
    assert f"{gain.value:.4f}" in verdict.reason


def test_a_model_that_ranks_worse_or_the_same_is_refused() -> None:
    assert compare(TRUE, BLURRED).by is None
    same = compare(TRUE, TRUE)
    assert not same.promote
    states(same.reason, "not better", "roc_auc", "0.004", "0.0000 (0.0000 to 0.0000)", "champion is calibrated")


def test_a_gain_too_small_to_matter_is_refused_however_sure_it_is() -> None:
    swapped = TRUE.copy()
    worst = np.argsort(TRUE)[: COUNT // 100]
    swapped[worst] = 0.15
    verdict = compare(swapped, TRUE)
    assert 0 < verdict.figures["gain.roc_auc"].low < RULES.gain
    assert verdict.by is None


def test_a_failed_calibration_is_repaired_though_the_ranking_stays_the_same() -> None:
    verdict = compare(TRUE / 2, TRUE)
    assert verdict.by == "calibration"
    states(verdict.reason, "standard errors", "better", "Brier score")


def test_a_repaired_calibration_is_refused_where_the_metric_would_lose_more_than_the_margin() -> None:
    verdict = compare(TRUE / 3, BLURRED)
    assert verdict.figures["gain.brier"].low > 0
    assert verdict.by is None
    states(verdict.reason, "roc_auc", "lose", "0.02")


def test_a_calibration_that_is_far_off_promotes_no_worse_brier_score() -> None:
    rough = np.where(np.arange(COUNT) % 2, TRUE, TARGET.mean())  # calibrated, and knows little
    rules = Rules(draws=300, margin=0.3)
    for factor, by in ((1.3, None), (1.6, "calibration")):
        champion = Contender(TRUE * factor, 0.1)
        verdict = decide(TARGET, champion, Contender(rough, 0.1), "roc_auc", ECONOMICS, None, rules)
        assert nearer(TARGET, champion.scores, rough, rules, Look())
        assert (verdict.figures["gain.brier"].value > 0, verdict.by) == (by is not None, by)


def test_far_off_is_told_beyond_the_noise_of_all_looks_and_only_of_the_farther_one() -> None:
    right = np.where(HALF, TRUE, TARGET.mean())
    assert nearer(TARGET, TRUE * 0.7, right, RULES, Look(1))
    assert nearer(TARGET, TRUE * 0.7, right, RULES, Look(2)) is None
    target, scores = TARGET[:1_000], TRUE[:1_000]
    # Of the higher scores chance explains more, so that of these alone it is not sure that they are far off.
    assert nearer(target, scores * 0.65, scores * 1.37, RULES, Look())
    assert nearer(target, scores * 0.65, scores * 1.45, RULES, Look()) is None


def test_a_better_brier_score_alone_promotes_nothing() -> None:
    rate = np.full(COUNT, TARGET.mean())  # knows nothing, and is calibrated
    everybody = [Contender(scores, 0.0) for scores in (rate, TRUE)]
    verdict = decide(TARGET, everybody[0], everybody[1], "recall", ECONOMICS, None, RULES)
    assert verdict.figures["gain.brier"].low > 0
    assert verdict.by is None
    states(verdict.reason, "champion is calibrated")


def test_a_segment_that_gets_worse_keeps_the_gate_shut() -> None:
    torn = np.where(HALF, TRUE, np.where(np.arange(COUNT) % 2, BLURRED, 0.1))
    champion = np.where(HALF, DRAW.permutation(TRUE), TRUE)
    assert compare(champion, torn).by == "gain"
    verdict = compare(champion, torn, groups={"first half": HALF, "second half": ~HALF})
    assert verdict.by is None
    states(verdict.reason, "worse", "second half", "roc_auc")
    assert "first half" not in verdict.reason


def test_a_segment_that_leaves_its_contacts_to_a_better_one_keeps_no_gate_shut() -> None:
    economics, draw = ECONOMICS.model_copy(update={"contacts_per_1000_leads": 200}), np.random.default_rng(8)
    chances = np.where(HALF, draw.beta(1, 5, COUNT), 0.3)
    target = (draw.random(COUNT) < chances).astype(np.int8)
    overlooked = np.where(HALF, chances, 0.02)

    def promoted(challenger: Scores) -> Verdict:
        groups = {"as before": HALF, "overlooked": ~HALF}
        return decide(target, Contender(overlooked, 0.1), Contender(challenger, 0.1), "profit", economics, groups)

    def of_the_others(scores: Scores) -> float:
        return profit(target[HALF], contacts_made(scores, scores >= 0.1, economics)[HALF], economics)

    assert promoted(chances).promote
    assert of_the_others(chances) < 0.8 * of_the_others(overlooked)
    # Where the others are ranked worse too, they are worse off.
    blurred = np.clip(chances + draw.normal(0, 0.15, COUNT), 0.001, 1)
    states(promoted(np.where(HALF, blurred, chances)).reason, "worse", "as before")


@pytest.mark.parametrize("metric", ["roc_auc", "profit"])
def test_contacted_leads_are_compared_as_the_leads_that_they_stand_for(metric: Metric) -> None:
    explored = (TRUE < 0.1) & (np.arange(COUNT) % 10 == 0)
    known = explored | (TRUE >= 0.1)
    weights, target = np.where(explored, 10.0, 1.0)[known], TARGET[known]
    economics = ECONOMICS.model_copy(update={"contacts_per_1000_leads": 300})
    champion, challenger = (Contender(scores[known], 0.1) for scores in (BLURRED, TRUE))
    verdict = decide(target, champion, challenger, metric, economics, None, RULES, weights=weights)
    for who, each in {"champion": champion, "challenger": challenger}.items():
        wanted = figures(target, each.scores, 0.1, economics, weights=weights)[metric]
        assert verdict.figures[f"{who}.{metric}"].value == pytest.approx(wanted)
    every = figures(TARGET, TRUE, 0.1, economics)[metric]
    both = (decide(target, champion, challenger, metric, economics, None, RULES, weights=w) for w in (weights, None))
    found, plain = (abs(each.figures[f"challenger.{metric}"].value - every) for each in both)
    assert found < plain / 2


def test_too_few_leads_or_outcomes_are_refused_with_what_is_asked_for() -> None:
    few = decide(TARGET[:999], Contender(TRUE[:999], 0.1), Contender(TRUE[:999], 0.1), "roc_auc", ECONOMICS)
    assert few.by is None
    states(few.reason, "too few leads", 999)
    none = np.zeros(COUNT, dtype=np.int8)
    none[:49] = 1
    assert "49 converted" in decide(none, Contender(TRUE, 0.1), Contender(TRUE, 0.1), "f1", ECONOMICS).reason


def test_calibration_fails_by_its_mean_or_by_its_shape_and_else_never() -> None:
    assert miscalibration(TARGET, TRUE) is None
    assert "mean score is" in str(miscalibration(TARGET, TRUE * 1.3))
    flat = TRUE.mean() + 0.5 * (TRUE - TRUE.mean())
    flat *= TARGET.mean() / flat.mean()
    assert "calibration error is" in str(miscalibration(TARGET, flat))


def test_outcomes_drawn_from_the_scores_fail_calibration_as_rarely_as_stated() -> None:
    draw = np.random.default_rng(3)
    outcomes = [(draw.random(1_000) < TRUE[:1_000]).astype(np.int8) for _ in range(300)]
    failed = [o for o in outcomes if miscalibration(o, TRUE[:1_000], Rules(failed=2.0, draws=200))]
    assert 0.02 < len(failed) / len(outcomes) < 0.16  # two tests at 4.6 % each


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "accuracy", "profit", "brier", "roc_auc"])
def test_a_figure_under_even_weights_is_the_figure_and_under_counts_that_of_the_repeated_leads(name: str) -> None:
    scores = TRUE.round(2)  # with ties
    value = figure(name, TARGET, scores, 0.12, ECONOMICS)
    assert value(np.ones((1, COUNT)))[0] == pytest.approx(figures(TARGET, scores, 0.12, ECONOMICS)[name])
    (weights,) = resamples(COUNT, 3, seed=1)
    for drawn, found in zip(weights, value(weights), strict=True):
        rows = np.repeat(np.arange(COUNT), drawn.astype(int))
        assert len(rows) == COUNT
        assert found == pytest.approx(figures(TARGET[rows], scores[rows], 0.12, ECONOMICS)[name])


def test_resamples_come_in_chunks_and_are_the_same_for_the_same_seed() -> None:
    first, again = (np.concatenate(list(resamples(50, 600, seed))) for seed in (4, 4))
    assert first.shape == (600, 50)
    assert np.array_equal(first, again)
    assert len({row.tobytes() for row in first}) == 600
