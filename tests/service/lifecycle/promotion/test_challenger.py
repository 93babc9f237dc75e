"""A challenger is judged on as few of the newest leads as tell enough, and served fitted on all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.lifecycle.data.leads import load
from service.lifecycle.data.sample import Sample
from service.lifecycle.data.source import TrainingRecipe, load_source
from service.lifecycle.evaluation.labelled import LabelledLeads, RecentLeads, sample, select
from service.lifecycle.evaluation.quality import figures
from service.lifecycle.promotion.challenger import ENOUGH, MOST, refit, to_compare, to_judge_by, trained, window
from service.lifecycle.promotion.gate import Rules
from service.lifecycle.promotion.power import Look
from service.lifecycle.training.registration import judged_on
from service.model import bundle
from service.storage import open_storage
from tests.service import forge

SOURCE = Path(__file__).parents[4] / "service" / "examples" / "sample.toml"


@pytest.mark.parametrize(
    ("unseen", "every", "size"),
    [
        (20_000, 2, Rules.leads),  # ENOUGH convert within fewer leads than the rules ask for
        (20_000, 10, 10 * ENOUGH),
        (20_000, 40, MOST),
        (3_000, 10, 1_500),  # half: from the rest the challenger learns
        (1_000, 10, 1_000),
        (4_000, 80, 80 * Rules.outcomes),
    ],
)
def test_the_window_holds_enough_of_each_outcome_and_leaves_the_rest_to_the_challenger(
    unseen: int, every: int, size: int
) -> None:
    target = (np.arange(5_000 + unseen) % every == 0).astype(np.int8)
    for outcomes in (target, 1 - target):
        rows = window(outcomes.astype(np.int8), np.arange(5_000, 5_000 + unseen), Rules())
        assert rows is not None
        assert len(rows) == pytest.approx(size, abs=every)
        assert rows[-1] == 5_000 + unseen - 1


@pytest.mark.parametrize(
    ("unseen", "wanted", "size"), [(20_000, 7_000, 7_000), (20_000, 1_500, 2_000), (6_000, 7_000, 3_000)]
)
def test_the_window_grows_to_what_an_earlier_look_found_necessary_as_far_as_the_leads_go(
    unseen: int, wanted: int, size: int
) -> None:
    target = (np.arange(5_000 + unseen) % 10 == 0).astype(np.int8)
    rows = window(target, np.arange(5_000, 5_000 + unseen), Rules(), wanted)
    assert rows is not None
    assert len(rows) == pytest.approx(size, abs=10)
    assert rows[0] >= 5_000 + unseen // 2  # half is left to learn from, and none that the champion has seen is there


@pytest.mark.parametrize(("score", "look", "size"), [(0.1, 7_000, 7_000), (0.1, None, 2_000), (0.3, 7_000, 2_000)])
def test_a_later_look_takes_more_leads_unless_the_champions_scores_fail_on_the_newest(
    score: float, look: int | None, size: int
) -> None:
    target = (np.arange(20_000) % 10 == 0).astype(np.int8)
    rows = to_compare(target, np.arange(20_000), lambda these: np.full(len(these), score), Rules(), Look(2, 0.03, look))
    assert rows is not None
    assert len(rows) == pytest.approx(size, abs=10)


@pytest.mark.parametrize(("unseen", "every"), [(999, 2), (3_000, 80)])
def test_with_too_few_leads_or_conversions_there_is_no_window(unseen: int, every: int) -> None:
    target = (np.arange(unseen) % every == 0).astype(np.int8)
    assert window(target, np.arange(unseen), Rules()) is None


def test_a_model_that_is_fitted_again_keeps_what_it_showed_on_leads_that_it_had_not_seen() -> None:
    recipe = TrainingRecipe(candidate="logistic_regression")
    source = load_source(SOURCE).model_copy(update={"sample": Sample(rows=1_000), "recipe": recipe})
    leads, rows = load(source), np.arange(700, 1_000)
    chosen = trained(leads, rows, source)
    again = refit(LabelledLeads.whole(leads), chosen, source)
    own = again.pipeline.predict_proba(leads.frame.iloc[rows])[:, 1]
    assert (again.refitted, chosen.refitted) == (True, False)
    assert not np.allclose(again.scores, own)
    assert (again.scores.tolist(), again.threshold, again.held_out) == (
        chosen.scores.tolist(),
        chosen.threshold,
        chosen.held_out,
    )


def test_rule_and_reference_of_a_model_that_is_fitted_again_are_of_its_own_scores_of_later_leads() -> None:
    recipe = TrainingRecipe(candidate="logistic_regression")
    source = load_source(SOURCE).model_copy(update={"sample": Sample(rows=1_800), "recipe": recipe})
    every, rows = load(source), np.arange(700, 1_000)
    times = pd.date_range("2026-01-01", periods=1_800, freq="h", tz="UTC")
    leads = replace(select(every, np.arange(1_000)), times=times[:1_000])
    later = every.frame.iloc[1_000:].reset_index(drop=True)
    chosen = trained(leads, rows, source)
    # The last of these are those that have outcomes: only what comes after them is new to the model.
    recent = RecentLeads(every.frame.iloc[900:].reset_index(drop=True), times[900:])
    again = refit(replace(LabelledLeads.whole(leads), recent=recent), chosen, source)
    assert again.every_score.tolist() == again.pipeline.predict_proba(later)[:, 1].tolist()
    few = RecentLeads(recent.frame[:500], recent.times[:500])
    assert refit(replace(LabelledLeads.whole(leads), recent=few), chosen, source).every_score is chosen.scores


def test_a_challenger_of_contacted_leads_learns_and_is_judged_by_their_weights() -> None:
    recipe = TrainingRecipe(candidate="logistic_regression")
    source = load_source(SOURCE).model_copy(update={"sample": Sample(rows=1_000), "recipe": recipe})
    leads, rows = load(source), np.arange(700, 1_000)
    weights = np.random.default_rng(0).choice([1.0, 20.0], 1_000, p=[0.9, 0.1])
    plain, weighted = (trained(each, rows, source) for each in (leads, replace(leads, contact_weights=weights)))
    assert plain.weights is None
    assert weighted.weights is not None
    assert weighted.weights.tolist() == weights[rows].tolist()
    assert not np.allclose(weighted.scores, plain.scores)
    economics = source.economics
    wanted = figures(weighted.target, weighted.scores, weighted.threshold, economics, weights=weights[rows])
    assert weighted.held_out == {"logistic_regression": wanted}
    effective = weights[rows].sum() ** 2 / (weights[rows] ** 2).sum()
    assert len(weighted.every_score) == len(weighted.standing) == round(effective)
    heavy = (weights[rows] > 1)[weighted.standing].mean()
    assert heavy == pytest.approx(weights[rows][weights[rows] > 1].sum() / weights[rows].sum(), abs=2 / effective)
    assert plain.every_score is plain.scores
    threshold, scores = weighted.threshold, weighted.scores
    errors = judged_on(weighted.target, scores, threshold, economics, {}, weighted.weights).errors
    assert errors["roc_auc"] > judged_on(weighted.target, scores, threshold, economics, {}).errors["roc_auc"]


def test_models_are_compared_on_leads_that_stand_for_themselves_alone(tmp_path: Path) -> None:
    source = load_source(SOURCE).model_copy(update={"sample": Sample(rows=2_000)})
    found = sample(load(source), 1_000)
    models = open_storage(str(tmp_path))
    champion = bundle.load(models, forge.release(models))
    of = champion.manifest.provenance.model_copy(update={"seen_rows": 0, "seen_until": None})
    champion = replace(champion, manifest=champion.manifest.model_copy(update={"provenance": of}))
    assert found.unseen(of).all()
    assert to_judge_by(found, champion).tolist() == np.flatnonzero(found.leads.whole).tolist()
    assert len(to_judge_by(found, champion)) == 250
