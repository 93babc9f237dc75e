"""Counts in SQL are those of the prepared leads, one by one."""

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from service.lifecycle.evaluation.scored import prepare
from service.lifecycle.relations.columns import record_table
from service.lifecycle.relations.feature_counts import as_counts, feature_counts
from service.model.schema import Value
from tests.service import forge
from tests.service.lifecycle.records import record

REFERENCE = forge.reference(forge.train()[0])
EDGES = [edge for column in REFERENCE.features if hasattr(column, "edges") for edge in column.edges]
NUMBERS = st.one_of(st.floats(-1e100, 1e100), st.sampled_from([999.0, 0.0, -0.0, *EDGES]))
TEXTS = st.one_of(st.text(max_size=5), st.sampled_from(["retail", "unknown", "north", "", "it's", "Retail"]))


def counted(inputs: list[dict[str, Value]]) -> list[list[int]]:
    table = record_table([record(f"L-{i}", inputs=each) for i, each in enumerate(inputs)])
    for name, kind in [("number:visits", pa.float64()), ("number:days.since contact", pa.float64())]:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), kind))
    for name, kind in [("boolean:opted_in", pa.bool_()), ("text:industry", pa.string()), ("text:region", pa.string())]:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), kind))
    with duckdb.connect() as connection:
        connection.register("first_scores", table)
        rows = connection.sql(feature_counts(forge.SCHEMA, REFERENCE)).fetchall()
    return [counts.tolist() for counts in as_counts(REFERENCE, rows)]


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "visits": NUMBERS,
                "days.since contact": NUMBERS,
                "opted_in": st.booleans(),
                "industry": TEXTS,
                "region": TEXTS,
            },
        ),
        min_size=1,
        max_size=20,
    )
)
def test_counts_are_those_of_the_prepared_leads(inputs: list[dict[str, Value]]) -> None:
    frame = prepare(forge.SCHEMA, inputs)
    assert counted(inputs) == [counts.tolist() for counts in forge.counted(REFERENCE, frame)]


def test_an_edge_belongs_to_the_bin_that_it_ends() -> None:
    column = next(c for c in REFERENCE.features if c.name == "visits")
    inputs: list[dict[str, Value]] = [{"visits": edge} for edge in column.edges]
    inputs += [{"visits": float(np.nextafter(edge, np.inf))} for edge in column.edges]
    of_visits = counted(inputs)[0]
    assert of_visits == [1, *[2] * (len(column.edges) - 1), 1, 0]


def test_counts_of_several_parts_add_up() -> None:
    whole = as_counts(REFERENCE, [(0, 0, 5)])
    assert [c.tolist() for c in as_counts(REFERENCE, [(0, 0, 2), (0, 0, 3)])] == [c.tolist() for c in whole]
    assert isinstance(pd.DataFrame, type)
