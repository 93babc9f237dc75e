"""The candidate is chosen by the source's metric on leads that it has not seen, and served as it was judged."""

import dataclasses
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from sklearn.base import clone

from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.sample import Sample
from service.lifecycle.data.source import Metric, Source, TrainingRecipe, load_source
from service.lifecycle.evaluation.quality import NAMES, figures
from service.lifecycle.training.candidates import candidates
from service.lifecycle.training.selection import (
    Selection,
    TooFewOutcomes,
    choices,
    fit,
    recency,
    select,
    split,
)
from service.model.bundle import Economics

EXAMPLES = Path(__file__).parents[4] / "service" / "examples"
METRICS: tuple[Metric, ...] = ("roc_auc", "profit")
MONEY = Economics(conversion_value=600, contact_cost=60, contacts_per_1000_leads=150)


def sample(rows: int, seed: int = 1) -> tuple[Source, Leads]:
    source = load_source(EXAMPLES / "sample.toml").model_copy(update={"sample": Sample(rows=rows, seed=seed)})
    return source, load(source)


@cache
def selected(metric: Metric) -> tuple[Leads, Selection]:
    _, leads = sample(700, seed=6)  # of these leads one candidate ranks better and the other earns more
    return leads, select(leads, metric, MONEY, TrainingRecipe())


def test_the_most_recent_leads_are_held_out_where_time_is_known() -> None:
    _, leads = sample(1000)
    assert leads.times is not None
    parts = split(leads)
    assert (len(parts.train), len(parts.held_out)) == (800, 200)
    assert leads.times[parts.train].max() < leads.times[parts.held_out].min()


def test_without_time_order_leads_are_held_out_at_random_with_the_same_share_of_conversions() -> None:
    _, leads = sample(1000)
    leads = dataclasses.replace(leads, in_time_order=False)
    parts = split(leads)
    assert sorted([*parts.train, *parts.held_out]) == list(range(1000))
    assert leads.target[parts.held_out].mean() == pytest.approx(leads.target.mean(), abs=0.005)
    assert parts.held_out.max() - parts.held_out.min() > 900


@pytest.mark.parametrize(
    ("converted", "message"),
    [([1] * 49 + [0] * 951, "49 of 1000 leads converted"), ([1] * 100 + [0] * 900, "held-out leads .* 0 converted")],
)
def test_too_few_outcomes_are_refused_with_their_number(converted: list[int], message: str) -> None:
    _, leads = sample(1000)
    with pytest.raises(TooFewOutcomes, match=message):
        split(dataclasses.replace(leads, target=np.array(converted, dtype=np.int8)))


@pytest.mark.slow
def test_the_metric_decides_which_candidate_is_chosen() -> None:
    chosen = {metric: selected(metric)[1] for metric in METRICS}
    assert len({selection.candidate for selection in chosen.values()}) == 2
    for metric, selection in chosen.items():
        others = [figures[metric] for figures in selection.held_out.values()]
        assert selection.held_out[selection.candidate][metric] == max(others)


@pytest.mark.slow
def test_a_candidate_that_the_recipe_names_is_chosen_whatever_the_metric_says() -> None:
    leads, by_profit = selected("profit")
    other = "logistic_regression" if by_profit.candidate != "logistic_regression" else "gradient_boosting"
    chosen = select(leads, "profit", MONEY, TrainingRecipe(candidate=other))
    assert chosen.candidate == other
    assert chosen.held_out == by_profit.held_out


def test_with_a_half_life_a_model_follows_the_youngest_leads() -> None:
    _, leads = sample(1000)
    turned = np.where(np.arange(1000) < 700, leads.target, 1 - leads.target)
    pipelines = candidates(leads.schema, leads.frame)
    for pipeline in pipelines.values():
        alike, youngest = (
            fit(clone(pipeline), leads.frame, turned, leads.frame, recipe).mean()
            for recipe in (TrainingRecipe(), TrainingRecipe(half_life_leads=100))
        )
        assert alike < 0.4
        assert youngest > 0.6


def test_a_weight_halves_with_each_half_life() -> None:
    weights = recency(np.ones(201), 100)
    assert weights[[0, 100, 200]] == pytest.approx([0.25, 0.5, 1])


def test_a_lead_that_stands_for_many_makes_the_older_ones_as_much_older() -> None:
    weights = recency(np.array([1.0, 50.0, 49.0, 1.0]), 100)
    assert weights == pytest.approx([0.5, 50 * 0.5**0.5, 49 * 0.5**0.01, 1])


def test_a_recipe_can_name_every_candidate() -> None:
    _, leads = sample(100)
    assert set(get_args(TrainingRecipe.model_fields["candidate"].annotation)) == {
        "best",
        *candidates(leads.schema, leads.frame),
    }


def test_the_figures_are_those_of_the_model_that_is_served_and_it_never_saw_the_held_out_leads() -> None:
    leads, chosen = selected("roc_auc")
    train, held_out = leads.frame.iloc[chosen.split.train], leads.frame.iloc[chosen.split.held_out]
    served = chosen.pipeline.predict_proba(held_out)[:, 1]
    again = fit(clone(chosen.pipeline), train, leads.target[chosen.split.train], held_out)
    assert np.array_equal(served, chosen.scores)
    assert np.array_equal(again, chosen.scores)
    assert chosen.held_out[chosen.candidate] == figures(chosen.target, served, chosen.threshold, MONEY)


def test_the_threshold_is_where_a_contact_pays_and_the_team_contacts_no_more_than_it_can() -> None:
    _, chosen = selected("roc_auc")
    assert chosen.threshold == MONEY.threshold
    assert 1000 * (chosen.scores >= chosen.threshold).mean() > 150
    assert 149 < chosen.held_out[chosen.candidate]["contacts"] <= 150


def test_every_candidate_is_cross_validated_in_every_figure() -> None:
    leads, chosen = selected("roc_auc")
    assert set(chosen.cross_validated) == set(candidates(leads.schema, leads.frame))
    assert all(set(figures) == {*NAMES, "contacts"} for figures in chosen.cross_validated.values())


def test_each_metric_would_have_chosen_the_threshold_that_is_best_by_it() -> None:
    _, chosen = selected("roc_auc")
    unlimited = MONEY.model_copy(update={"contacts_per_1000_leads": 1000})
    pays = figures(chosen.target, chosen.scores, unlimited.threshold, unlimited)
    at = [figures(chosen.target, chosen.scores, cut, unlimited) for cut in (*np.unique(chosen.scores), 1.0)]
    for choice in choices(chosen.target, chosen.scores, unlimited):
        if choice.metric != "roc_auc":
            assert choice.value == pytest.approx(max(figure[choice.metric] for figure in at))
        earned = figures(chosen.target, chosen.scores, choice.threshold, unlimited)["profit"]
        assert choice.profit == pytest.approx(earned)
        assert choice.lost == pytest.approx(pays["profit"] - earned)


def test_a_threshold_that_asks_for_too_many_contacts_earns_what_the_team_can_make() -> None:
    _, chosen = selected("roc_auc")
    recall = next(choice for choice in chosen.choices if choice.metric == "recall")
    assert recall.value == 1
    assert recall.contacts > MONEY.contacts_per_1000_leads
    assert recall.profit == pytest.approx(chosen.held_out[chosen.candidate]["profit"])
    assert recall.lost == 0
