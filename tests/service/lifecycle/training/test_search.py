"""The search keeps to its budget, is the same for the same seed, and takes no setting that is better by chance."""

import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.sample import Sample
from service.lifecycle.data.source import TrainingRecipe, load_source
from service.lifecycle.training import search as searched
from service.lifecycle.training.candidates import DEFAULT, ModelSettings, candidates
from service.lifecycle.training.search import GRID, search, search_before
from service.lifecycle.training.selection import split
from service.model.schema import LeadSchema
from service.model.trees import MAX_LEAVES

SOURCE = Path(__file__).parents[4] / "service" / "examples" / "sample.toml"
LINES = TrainingRecipe(candidate="spline_regression", search_seconds=30)


@cache
def leads(rows: int = 1_500) -> Leads:
    return load(load_source(SOURCE).model_copy(update={"sample": Sample(rows=rows)}))


class Clock:
    """Each look at it costs two seconds, so that each fit takes that long."""

    def __init__(self) -> None:
        self._seconds = itertools.count(0.0, 2.0)

    def __call__(self) -> float:
        return next(self._seconds)


def told(recipe: TrainingRecipe, seed: int = 0) -> list[str]:
    lines: list[str] = []
    search(leads(), recipe, seed, lines.append, Clock())
    return lines


def test_without_a_budget_nothing_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searched, "candidates", None)
    assert search(leads(), TrainingRecipe()) == search_before(leads(), TrainingRecipe()) == {}


def test_no_fit_begins_that_would_end_after_the_budget_and_progress_says_what_is_left() -> None:
    lines = told(LINES.model_copy(update={"search_seconds": 10}))
    assert [line.rsplit(", ", 1)[1] for line in lines] == ["8 s left", "4 s left"]


def test_a_budget_too_small_for_any_fit_leaves_the_usual_settings() -> None:
    assert search(leads(), LINES.model_copy(update={"search_seconds": 1}), now=Clock()) == {}


def test_candidates_take_turns_and_each_begins_with_the_usual_settings() -> None:
    names = [line.split(", ")[1] for line in told(TrainingRecipe(search_seconds=20))]
    assert names[:4] == [*GRID, "logistic_regression"]


def test_the_same_seed_tries_the_same_settings_on_the_older_leads_and_knows_no_later_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[ModelSettings] = []

    def noted(schema: LeadSchema, frame: pd.DataFrame, *given: object) -> object:
        assert len(frame) == round(0.8 * len(split(leads()).train))
        tried.extend(given[-1].values())  # type: ignore[attr-defined]
        return candidates(schema, frame, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(searched, "candidates", noted)
    before = leads().frame.iloc[split(leads()).train]
    for seed in (0, 0, 1):
        search_before(leads(), LINES.model_copy(update={"search_seconds": 600}), seed)
    first, again, other = np.array(tried).reshape(3, -1, len(DEFAULT)).tolist()
    assert first == again != other
    assert first[0] == list(DEFAULT)
    assert sorted(map(tuple, first)) == sorted(map(tuple, other)) == sorted(GRID["spline_regression"])
    assert len(before) == 1_200


def test_what_is_better_beyond_its_standard_error_is_taken_and_what_is_better_by_chance_is_not() -> None:
    draw, few = np.random.default_rng(0), ModelSettings(knots=4)
    usual = draw.exponential(0.3, 400)
    for gain, best in ((0.05, few), (0.0001, DEFAULT), (-0.05, DEFAULT)):
        other = usual + draw.normal(0, 0.1, 400)
        other += usual.mean() - gain - other.mean()
        assert searched._best({DEFAULT: usual, few: other}) == best


def test_a_contacted_lead_counts_as_all_that_it_stands_for() -> None:
    target, few = np.zeros(40, dtype=np.int8), ModelSettings(knots=4)
    usual, other = np.full(40, 0.3), np.append(np.full(30, 0.2), np.full(10, 0.4))
    for weights, best in ((None, few), (np.append(np.ones(30), np.full(10, 9.0)), DEFAULT)):
        found = {DEFAULT: searched._losses(target, usual, weights), few: searched._losses(target, other, weights)}
        assert searched._best(found) == best


def test_too_few_outcomes_leave_the_usual_settings_and_say_so() -> None:
    lines: list[str] = []
    assert search(leads(300), LINES, 0, lines.append) == {}
    assert "searching no settings" in lines[0]


def test_every_tree_that_is_tried_fits_the_tables_of_the_service() -> None:
    assert max(settings.leaves for settings in GRID["gradient_boosting"]) <= MAX_LEAVES
