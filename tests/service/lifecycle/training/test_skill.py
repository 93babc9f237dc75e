"""Models without skill are told from models with it."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

from service.lifecycle.data.leads import Leads
from service.lifecycle.data.outcome import OutcomeValues
from service.lifecycle.data.source import TrainingRecipe
from service.lifecycle.evaluation.bootstrap import resamples
from service.lifecycle.evaluation.quality import Scores, Target, figures
from service.lifecycle.training.selection import FOLDS, Selection, Split, select
from service.lifecycle.training.skill import NoSkill, gains, judge, publishable, roc_auc
from service.model.bundle import Economics
from service.model.decide import contacts_made
from service.model.schema import Feature, LeadSchema

MONEY = Economics(conversion_value=600, contact_cost=60, contacts_per_1000_leads=400)
SOURCES = 30


def drawn(seed: int, auc: float, rows: int = 1000, conversions: int = 120) -> tuple[Target, Scores]:
    """Outcomes, and features (rows x 8) of which three together rank them with this ROC-AUC."""
    draw = np.random.default_rng(seed)
    target = np.zeros(rows, dtype=np.int8)
    target[draw.choice(rows, conversions, replace=False)] = 1
    features = draw.normal(size=(rows, 8))
    features[:, :3] += target[:, None] * np.sqrt(2 / 3) * norm.ppf(auc)
    return target, features


def judged(seed: int, auc: float, money: Economics = MONEY) -> Selection:
    """A logistic regression on such leads, with its scores out of fold and of the last fifth."""
    target, features = drawn(seed, auc)
    model, scores = LogisticRegression(), np.empty(len(target))
    for train, rest in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(features, target):
        scores[rest] = model.fit(features[train], target[train]).predict_proba(features[rest])[:, 1]
    last = np.arange(800, 1000)
    held_out = model.fit(features[:800], target[:800]).predict_proba(features[800:])[:, 1]
    return Selection(
        "logistic_regression",
        make_pipeline(model),
        Split(np.arange(800), last, ""),
        target[last],
        held_out,
        money.threshold,
        {},
        {},
        (),
        out_of_fold=scores,
    )


def doubts(seed: int, auc: float, money: Economics = MONEY) -> tuple[str, ...]:
    return judge(drawn(seed, auc)[0], judged(seed, auc, money), money).doubts


def test_of_sources_without_signal_hardly_one_passes() -> None:
    assert sum(not doubts(seed, 0.5) for seed in range(SOURCES)) <= 1


def test_of_sources_with_a_roc_auc_of_seven_tenths_hardly_one_is_refused() -> None:
    assert sum(not doubts(seed, 0.7) for seed in range(SOURCES)) >= 0.9 * SOURCES


@cache
def selected(seed: int, auc: float) -> tuple[Leads, Selection]:
    target, features = drawn(seed, auc)
    names = [f"f{i}" for i in range(features.shape[1])]
    schema = LeadSchema(features=tuple(Feature(name=name, kind="number") for name in names))
    frame = pd.DataFrame(features, columns=names)
    leads = Leads(schema, frame, target, None, None, False, "", (), OutcomeValues(("yes",), ("no",)))
    return leads, select(leads, "roc_auc", MONEY, TrainingRecipe())


@pytest.mark.nightly
def test_of_100_sources_each_fitted_with_every_candidate_at_most_3_without_signal_pass_and_90_with_it() -> None:
    passed = {
        auc: sum(
            not judge(leads.target, chosen, MONEY).doubts
            for leads, chosen in (selected(seed, auc) for seed in range(100))
        )
        for auc in (0.5, 0.7)
    }
    assert passed[0.5] <= 3
    assert passed[0.7] >= 90


def test_a_selection_holds_each_leads_score_by_a_model_that_had_not_seen_it() -> None:
    leads, chosen = selected(0, 0.7)
    assert len(chosen.out_of_fold) == len(leads.target)
    whole, folds = roc_auc_score(leads.target, chosen.out_of_fold), chosen.cross_validated[chosen.candidate]["roc_auc"]
    assert whole == pytest.approx(folds, abs=0.02)
    assert whole < 0.8  # fitted on all of them the trees rank all but perfectly


def test_nothing_is_published_without_skill_unless_there_is_a_reason_which_is_kept() -> None:
    target, chosen = drawn(1, 0.5)[0], judged(1, 0.5)
    with pytest.raises(NoSkill, match="--publish-anyway"):
        publishable(judge(target, chosen, MONEY), None)
    skill = publishable(judge(target, chosen, MONEY), "a demonstration")
    assert skill.doubts
    assert skill.published_because == "a demonstration"


def test_a_reason_that_is_not_needed_is_not_kept() -> None:
    skill = publishable(judge(drawn(1, 0.8)[0], judged(1, 0.8), MONEY), "in case")
    assert not skill.doubts
    assert skill.published_because is None


def test_a_model_that_ranks_but_whose_contacts_earn_no_more_than_contacting_everyone_is_doubted() -> None:
    cheap = Economics(conversion_value=600, contact_cost=1)  # nearly every contact pays
    found = doubts(2, 0.7, cheap)
    assert len(found) == 1
    assert "contacting everyone" in found[0]


def test_a_model_that_no_longer_ranks_the_latest_leads_is_doubted() -> None:
    chosen = judged(2, 0.8)
    turned = Selection(
        chosen.candidate,
        chosen.pipeline,
        chosen.split,
        chosen.target,
        1 - chosen.scores,
        chosen.threshold,
        {},
        {},
        (),
        out_of_fold=chosen.out_of_fold,
    )
    assert any("held-out" in doubt for doubt in judge(drawn(2, 0.8)[0], turned, MONEY).doubts)


def test_roc_auc_and_its_error_are_those_of_scikit_learn_and_of_the_bootstrap() -> None:
    target, features = drawn(3, 0.7)
    scores = np.round(features[:, :3].sum(axis=1), 1)  # with ties
    value, error = roc_auc(target, scores)
    assert value == pytest.approx(roc_auc_score(target, scores))
    drawn_again = [
        roc_auc_score(target, scores, sample_weight=weights)
        for chunk in resamples(len(target), 250, seed=0)
        for weights in chunk
    ]
    assert error == pytest.approx(float(np.std(drawn_again)), rel=0.15)


def test_gains_are_differences_of_profits() -> None:
    target, features = drawn(4, 0.7)
    scores = features[:, 0]
    made = contacts_made(scores, scores > 0.5, MONEY)
    (over_everyone, _), (over_random, _) = gains(target, made, MONEY)
    profit = figures(target, norm.cdf(scores), 0.0, MONEY, made)["profit"]
    a_contact = MONEY.conversion_value * target.mean() - MONEY.contact_cost
    assert over_everyone == pytest.approx(profit - 400 * a_contact)
    assert over_random == pytest.approx(profit - 1000 * made.mean() * a_contact)
