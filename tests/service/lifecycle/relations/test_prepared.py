"""Columns of inputs become the frame that the same inputs, row by row, would become."""

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.lifecycle.evaluation.scored import prepare
from service.lifecycle.relations.columns import input_column, record_table
from service.lifecycle.relations.prepared import (
    cell_in_sql,
    clean_in_sql,
    input_columns,
    joined_in_sql,
    parted_in_sql,
    prepared,
)
from service.model.choices import SEPARATORS, joined, parted
from service.model.numbers import as_written
from service.model.schema import Feature, LeadSchema, Value
from service.model.spelling import clean
from tests.service.lifecycle.records import record
from tests.service.lifecycle.relations.awkward import CELLS

SCHEMA = LeadSchema(
    features=(
        Feature(name="Pages", kind="number", missing=(999.0,)),
        Feature(name="trial", kind="boolean"),
        Feature(name="region", kind="category", missing=("?",)),
    )
)
ROW = st.tuples(
    st.none() | st.floats(-1e6, 1e6) | st.just(999.0),
    st.none() | st.booleans(),
    st.none() | st.sampled_from(["?", "a", "", "é"]),
)


@given(st.lists(ROW, max_size=20))
@settings(max_examples=50, deadline=None)
def test_a_column_is_prepared_as_its_cells_are(rows: list[tuple[float | None, bool | None, str | None]]) -> None:
    pages, trial, region = ([row[i] for row in rows] for i in range(3))
    table = pa.table(
        {
            input_column("number", "Pages"): pa.array(pages, pa.float64()),
            input_column("boolean", "trial"): pa.array(trial, pa.bool_()),
            input_column("text", "region"): pa.chunked_array(
                [pa.array(region[:5], pa.string()), pa.array(region[5:], pa.string())]
            ),
        }
    )
    expected = pd.DataFrame(
        {
            "Pages": as_written(np.array([np.nan if v is None or v == 999 else v for v in pages], dtype=np.float64)),
            "trial": np.array([np.nan if v is None else float(v) for v in trial], dtype=np.float64),
            "region": np.array(["" if v is None or v == "?" else v for v in region], dtype=object),
        }
    )
    pd.testing.assert_frame_equal(prepared(SCHEMA, table), expected)


def test_numbers_of_single_precision_are_those_that_the_model_was_given() -> None:
    """A record keeps a number as it was received; the engine scored the decimal that it was written as."""
    schema = LeadSchema(features=(Feature(name="share", kind="number", missing=(0.3,)),))
    sent = [float(np.float32(number)) for number in (0.1, 0.7, 0.3)] + [0.1, 2.5, 1 / 3]
    inputs: list[dict[str, Value]] = [{"share": number} for number in sent]
    table = record_table([record(f"L{number}", inputs=each) for number, each in enumerate(inputs)])
    read = prepared(schema, table)
    pd.testing.assert_frame_equal(read, prepare(schema, inputs))
    assert read["share"].tolist()[:2] == [0.1, 0.7]
    assert read["share"].tolist()[3:] == [0.1, 2.5, 1 / 3]
    assert read["share"].isna().tolist() == [False, False, True, False, False, False]


def test_an_input_that_no_record_has_is_missing() -> None:
    frame = prepared(SCHEMA, pa.table({"lead_id": ["a", "b"]}))
    assert frame[["Pages", "trial"]].isna().all(axis=None)
    assert frame["region"].tolist() == ["", ""]


def test_a_boolean_that_was_sent_as_a_number_counts() -> None:
    table = pa.table({"number:trial": [1.0, None], "boolean:trial": [None, False]})
    assert prepared(SCHEMA, table)["trial"].tolist() == [1.0, 0.0]
    assert {"number:trial", "boolean:trial", "text:region"} <= set(input_columns(SCHEMA))


@given(st.lists(st.floats(-1e6, 1e6) | st.floats(-1e5, 1e5, width=32) | st.sampled_from([1e300, 0.1, 0.7, 2.5, -7.0])))
@settings(max_examples=50, deadline=None)
def test_numbers_of_single_precision_are_read_as_at_training_and_in_service(numbers: list[float]) -> None:
    feature = Feature(name="rate", kind="number", missing=(-0.1,))
    cells = np.array([*numbers, np.float32(0.7), np.float32(-0.1)], dtype=np.float64)
    table = pa.table({"number:rate": cells})
    with duckdb.connect() as connection:
        connection.register("leads", table)
        query = f"select {cell_in_sql(feature, {'number:rate'})} as cell from leads"
        in_sql = connection.sql(query).to_arrow_table()["cell"].to_pylist()
    frame = prepared(LeadSchema(features=(feature,)), table)
    read = as_written(cells)
    assert np.array_equal(frame["rate"], np.where(read == -0.1, np.nan, read), equal_nan=True)
    assert np.isnan(frame["rate"].iloc[-1]), "a mark is known in either precision"
    assert in_sql[-2:] == [0.7, None]
    assert np.array(in_sql, dtype=np.float64) == pytest.approx(frame["rate"], rel=1e-7, nan_ok=True)


@given(st.lists(st.dictionaries(st.just("interests"), CELLS | st.sampled_from([7.0, True])), max_size=20))
@settings(max_examples=50, deadline=None)
def test_cells_of_several_choices_are_prepared_as_row_by_row(inputs: list[dict[str, Value]]) -> None:
    schema = LeadSchema(features=(Feature(name="interests", kind="category", separator=";", missing=("nothing",)),))
    table = record_table([record(f"L{number}", inputs=each) for number, each in enumerate(inputs)])
    pd.testing.assert_frame_equal(prepared(schema, table), prepare(schema, inputs))


@pytest.mark.parametrize("separator", [*SEPARATORS, "'", "\\"])
@given(cells=st.lists(CELLS, min_size=1, max_size=50))
@settings(max_examples=20, deadline=None)
def test_cells_are_parted_in_sql_as_at_training(separator: str, cells: list[str]) -> None:
    parts = [parted(cell, separator) for cell in cells]
    table = pa.table({"cell": cells})
    query = f"""select {clean_in_sql("cell")} as clean, {parted_in_sql("cell", separator)} as parts,
        coalesce({joined_in_sql("cell", separator)}, '') as whole from cells"""
    with duckdb.connect() as connection:
        connection.register("cells", table)
        found = connection.sql(query).to_arrow_table().to_pydict()
    wanted = [joined(choices, separator) for choices in parts]
    assert found == {"clean": [clean(cell) for cell in cells], "parts": parts, "whole": wanted}
    assert [parted(cell, separator) for cell in wanted] == parts
