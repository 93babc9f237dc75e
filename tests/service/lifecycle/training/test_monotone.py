"""A number that the recipe binds moves no candidate's score the other way, in the pipeline and as it is served."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from service.lifecycle.data.source import Direction, SourceError
from service.lifecycle.training.candidates import candidates
from service.lifecycle.training.monotone import MonotoneLogisticRegression, plain
from service.lifecycle.training.onnx_export import NotMonotone, check_monotone, check_parity, to_onnx
from tests.service import forge

NAMES = ["logistic_regression", "spline_regression", "gradient_boosting"]
BOUND: dict[str, Direction] = {"visits": "decreasing", "days.since contact": "increasing"}


def steepest(name: str, bound: dict[str, Direction]) -> dict[str, float]:
    """By number the most that the score goes against its direction in BOUND, from one of its values to the next."""
    frame, outcome = forge.rows()  # more visits: more conversions
    pipeline = candidates(forge.SCHEMA, frame, 0, bound)[name].fit(frame, outcome)
    check_parity(pipeline, to_onnx(pipeline), forge.SCHEMA, frame)
    against = {}
    for number, direction in BOUND.items():
        at = np.linspace(frame[number].min() - 1, frame[number].max() + 1, 200)
        rows = pd.concat([frame.iloc[:5].assign(**{number: value}) for value in at])
        step = np.diff(plain(pipeline).predict_proba(rows)[:, 1].reshape(len(at), 5), axis=0)
        against[number] = float((-step if direction == "increasing" else step).max())
    return against


@pytest.mark.parametrize("name", NAMES)
def test_a_score_moves_one_way_only_with_a_bound_number(name: str) -> None:
    assert max(steepest(name, BOUND).values()) < 1e-12
    assert steepest(name, {})["visits"] > 0.001


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_bound_that_the_leads_keep_anyway_changes_no_score(name: str) -> None:
    frame, outcome = forge.rows(3_000)
    frame["visits"] = np.clip(frame["visits"], 2, 6)  # beyond, leads are so few that their line may fall
    free = candidates(forge.SCHEMA, frame)[name].set_params(model__tol=1e-8).fit(frame, outcome)
    held = candidates(forge.SCHEMA, frame, 0, {"visits": "increasing"})[name].fit(frame, outcome)
    assert isinstance(held.named_steps["model"], MonotoneLogisticRegression)
    assert held.predict_proba(frame) == pytest.approx(free.predict_proba(frame), abs=1e-3)


def test_weights_count_as_repeated_leads_do() -> None:
    frame, outcome = forge.rows()
    matrix = frame[["visits"]].fillna(0).to_numpy()
    weights = np.where(outcome == 1, 3, 1)
    weighted = MonotoneLogisticRegression(blocks=((0, 1, 1),)).fit(matrix, outcome, weights)
    repeated = LogisticRegression(C=0.5).fit(np.repeat(matrix, weights, axis=0), np.repeat(outcome, weights))
    assert weighted.coef_ == pytest.approx(repeated.coef_, abs=1e-3)
    assert weighted.intercept_ == pytest.approx(repeated.intercept_, abs=1e-3)


def test_the_recorded_model_is_scikit_learns_own_and_scores_the_same() -> None:
    frame, outcome = forge.rows()
    pipeline = candidates(forge.SCHEMA, frame, 0, BOUND)["spline_regression"].fit(frame, outcome)
    recorded = plain(pipeline)
    assert type(recorded.named_steps["model"]) is LogisticRegression
    assert np.array_equal(recorded.predict_proba(frame), pipeline.predict_proba(frame))


@pytest.mark.parametrize(("column", "message"), [("region", "is a category"), ("budget", "is no input")])
def test_a_column_that_cannot_be_bound_is_refused_in_words(column: str, message: str) -> None:
    frame, _ = forge.rows()
    with pytest.raises(SourceError, match=f"recipe.monotone: '{column}' {message}"):
        candidates(forge.SCHEMA, frame, 0, {column: "increasing"})


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_breaks_its_bound_is_not_exported(name: str) -> None:
    pipeline, frame = forge.train(name)
    exported = to_onnx(pipeline)
    check_monotone(exported, forge.SCHEMA, frame, {})
    with pytest.raises(NotMonotone, match="'visits' rises a score rises"):
        check_monotone(exported, forge.SCHEMA, frame, {"visits": "decreasing"})
