"""Models are fitted on what at least MIN_LEADS leads share."""

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st

from service.lifecycle.training.candidates import OTHER, candidates
from service.lifecycle.training.golden import golden
from service.lifecycle.training.onnx_export import check_parity, to_onnx
from service.lifecycle.training.selection import fit
from service.lifecycle.training.shared_values import shared_numbers, shared_texts
from service.model.bundle import GOLDEN_ROWS
from service.model.reference import MIN_LEADS
from tests.service import forge
from tests.service.lifecycle.training.searching import found

NUMBERS = st.lists(
    st.one_of(st.just(np.nan), st.integers(0, 30).map(float), st.floats(-1e9, 1e9)), min_size=1, max_size=300
)


@given(NUMBERS)
def test_each_number_is_one_that_several_leads_take(cells: list[float]) -> None:
    given_cells = np.array(cells)
    made = shared_numbers(given_cells)
    known = ~np.isnan(given_cells)
    assert np.isnan(made[~known]).all()
    _, counts = np.unique(made[known & ~np.isnan(made)], return_counts=True)
    assert (counts >= MIN_LEADS).all()
    numbers, often = np.unique(given_cells[known], return_counts=True)
    for number in numbers[often >= MIN_LEADS]:
        assert (made[given_cells == number] == number).all()
    lost = known & np.isnan(made)
    assert not lost.any() or (lost.sum() == known.sum() < MIN_LEADS)


def test_a_single_number_among_shared_ones_takes_the_nearest_and_leaves_no_trace() -> None:
    cells = np.array([60_000.0] * 5 + [83_417.53] + [90_000.0] * 5)
    assert np.unique(shared_numbers(cells)).tolist() == [60_000, 90_000]


def test_neighbours_that_are_all_different_keep_their_order_and_their_place() -> None:
    cells = np.random.default_rng(0).lognormal(10, 1, 2_000)
    made = shared_numbers(cells)
    assert 2_000 / (3 * MIN_LEADS) <= len(np.unique(made)) <= 2_000 / MIN_LEADS
    assert np.corrcoef(np.log(cells), np.log(made))[0, 1] > 0.999
    assert not np.isin(made, cells).any()


def test_shared_texts_are_the_most_frequent_first() -> None:
    texts = pd.Series(["b"] * 5 + ["a"] * 5 + ["c"] * 9 + [""] * 6 + ["one person's"] * 4)
    assert shared_texts(texts) == ["c", "", "a", "b"]


@pytest.mark.parametrize("name", ["logistic_regression", "spline_regression", "gradient_boosting"])
def test_a_fitted_model_its_export_and_its_golden_rows_hold_no_rare_value(name: str) -> None:
    frame, outcome = forge.rows()
    draw = np.random.default_rng(0)
    visits = np.round(draw.normal(50, 10, len(frame)), 3)
    visits[0] = np.median(visits[1:]) + 1e-4  # all others lie evenly below and above
    frame = frame.assign(
        visits=visits[: len(frame)],
        industry=[f"clerk {i}" if i % 2 else value for i, value in enumerate(frame["industry"])],
    ).iloc[:599]
    rare = np.unique(visits)
    secrets = ["clerk 1", "clerk 301", *visits[:20], *(rare[:-1] / 2 + rare[1:] / 2)[::20]]
    pipeline = candidates(forge.SCHEMA, frame)[name]
    fit(pipeline, frame, outcome[:599], frame)
    exported = to_onnx(pipeline)
    check_parity(pipeline, exported, forge.SCHEMA, frame)
    rows = golden(pipeline, forge.SCHEMA, frame)
    artifacts = {
        "skops": skops.io.dumps(pipeline),
        "onnx": exported.onnx,
        "encoding": exported.encoding.model_dump_json().encode(),
        "golden rows": GOLDEN_ROWS.dump_json(rows),
    }
    assert [hit for where, data in artifacts.items() for hit in found(secrets, data, where)] == []
    assert b"retail" in artifacts["skops"]
    assert b"retail" in artifacts["golden rows"]
    industry = exported.encoding.categories["industry"]
    assert {*industry.columns} <= {"retail", "health", "energy", ""}
    assert industry.other is not None
    assert OTHER.encode() not in artifacts["onnx"] + artifacts["encoding"] + artifacts["golden rows"]


def test_a_rare_value_scores_as_one_that_was_never_seen() -> None:
    frame, outcome = forge.rows()
    frame.loc[:2, "industry"] = "one firm"
    pipeline = candidates(forge.SCHEMA, frame)["logistic_regression"]
    fit(pipeline, frame, outcome, frame)
    rare, new, known = (
        pipeline.predict_proba(frame.iloc[10:11].assign(industry=value))[0, 1]
        for value in ("one firm", "new", "health")
    )
    assert rare == new != known


def test_a_category_without_any_shared_value_is_one_input() -> None:
    frame, outcome = forge.rows()
    frame = frame.assign(region=[f"street {i}" for i in range(len(frame))])
    pipeline = candidates(forge.SCHEMA, frame)["logistic_regression"]
    fit(pipeline, frame, outcome, frame)
    exported = to_onnx(pipeline)
    assert exported.encoding.categories["region"].columns == {}
    check_parity(pipeline, exported, forge.SCHEMA, frame)
