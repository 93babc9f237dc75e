"""Segments in SQL are those of the prepared leads, row by row."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.lifecycle.evaluation.scored import prepare
from service.lifecycle.evaluation.segments import segments as row_wise_segments
from service.lifecycle.relations.cells import CELL, LINES, cells, segments
from service.lifecycle.relations.columns import record_table
from service.model.schema import Feature, LeadSchema, Value
from tests.service.lifecycle.records import record
from tests.service.lifecycle.relations.awkward import CELLS
from tests.service.lifecycle.relations.labelled_leads import Tables

SCHEMAS = {
    version: LeadSchema(
        features=(
            Feature(name="interests", kind="category", missing=("nothing", 7.0), separator=separator),
            Feature(name="Region", kind="category", missing=("?",)),
            Feature(name="trial", kind="boolean"),
            Feature(name="opted_in", kind="boolean", missing=(0.0, "n/a")),
            Feature(name="pages", kind="number"),
        )
    )
    for version, separator in (("one", ";"), ("two", "|"), ("three", None))
}
INPUTS: dict[str, st.SearchStrategy[Value]] = {
    "interests": CELLS | st.sampled_from([7.0, True]),
    "Region": st.sampled_from(["north", "North", "?", "it's", "", " ", 999.0, 1e16, False]),
    "trial": st.booleans() | st.sampled_from([0.0, 1.0, -0.0]),
    "opted_in": st.booleans(),
    "pages": st.sampled_from([1.0, 2.0]),
}
CELL_NAMES = CELL.split(", ")


class Lead(NamedTuple):
    version: str
    inputs: dict[str, Value]
    score: float
    contact: bool
    target: int
    explored: bool
    weight: float


LEADS = st.builds(
    Lead,
    st.sampled_from(list(SCHEMAS)),
    st.fixed_dictionaries({}, optional=INPUTS),
    st.sampled_from([0.0, 0.1, 0.2, 0.2 + 1e-9, 0.5, 0.9]),
    st.booleans(),
    st.integers(0, 1),
    st.booleans(),
    st.sampled_from([0.0, 1.0, 12.5]),
)


def judged_leads(leads: list[Lead]) -> pa.Table:
    """The relation of these leads, whose latency is their number. One without a weight has no label."""
    table = record_table(
        [
            record(
                f"L{number}",
                model_version=lead.version,
                inputs=lead.inputs,
                score=lead.score,
                decision="contact" if lead.contact else "skip",
                latency_ms=float(number),
            )
            for number, lead in enumerate(leads)
        ]
    )
    for name, column in {
        "explored": pa.array([lead.explored for lead in leads]),
        "target": pa.array([lead.target if lead.weight else 0 for lead in leads], pa.int32()),
        "weight": pa.array([lead.weight for lead in leads]),
    }.items():
        table = table.append_column(name, column)
    return table


def computed(leads: list[Lead], capacity: float, share: float, outcomes: int) -> dict[str, pd.DataFrame]:
    """The relations by name."""
    lines = {"model_version": list(SCHEMAS), "threshold": [0.2] * 3, "capacity": [capacity] * 3}
    table = judged_leads(leads)
    engine = Tables(judged_leads=table, labelled=table, lines=pa.table(lines, schema=LINES))
    engine.define([*cells(), *segments(SCHEMAS, engine.columns, share, outcomes)])
    found = engine.results(["placed", "segment_cells", "cells"])
    return {name: table.to_pandas() for name, table in found.items()}


def summed(leads: pd.DataFrame) -> dict[tuple[Any, ...], tuple[float, ...]]:
    """The rows of cells of these rows of `placed`."""
    return {
        cell: (
            float(len(each)),
            each["score"].sum(),
            each["score"].min(),
            each["score"].max(),
            float(each["near"].sum()),
            each["made"].sum(),
        )
        for cell, each in leads.groupby(CELL_NAMES)
    }


def name_of(schema: LeadSchema, feature: str, value: str) -> str:
    """The segment's name in the row-wise form."""
    if not value:
        return f"{feature} missing"
    return f"{feature} {float(value) if feature in schema.named('boolean') else value!r}"


@example([Lead("one", {"trial": -0.0}, 0.0, False, 0, False, 1.0)], 0.0, 0)
@given(st.lists(LEADS, min_size=1, max_size=40), st.sampled_from([0.0, 0.05, 0.07, 0.5]), st.integers(0, 2))
@settings(max_examples=20, deadline=None)
def test_segments_are_those_of_the_leads_row_by_row(leads: list[Lead], share: float, outcomes: int) -> None:
    found = computed(leads, 300.0, share, outcomes)
    placed = found["placed"].sort_values("latency_ms").reset_index(drop=True)
    for version, schema in SCHEMAS.items():
        mine = placed[placed["model_version"] == version].reset_index(drop=True)
        rows = found["segment_cells"][found["segment_cells"]["model_version"] == version]
        if mine.empty:
            assert rows.empty
            continue
        frame = prepare(schema, [lead.inputs for lead in leads if lead.version == version])
        target, known = mine["target"].to_numpy(dtype=np.int8), mine["weight"].to_numpy() > 0
        # A segment is large by all of its leads, and by the outcomes of those that are labelled.
        masks = row_wise_segments(schema, frame, target, share, 0)
        wanted = {
            name: summed(mine[mask])
            for name, mask in masks.items()
            if min((target[mask & known] == kind).sum() for kind in (0, 1)) >= outcomes
        }
        sums = ["leads", "score_sum", "least", "most", "near", "contacts"]
        given = {
            name_of(schema, str(feature), str(value)): {
                tuple(cell): tuple(each)
                for cell, each in zip(part[CELL_NAMES].to_numpy().tolist(), part[sums].to_numpy().tolist(), strict=True)
            }
            for (feature, value), part in rows.groupby(["feature", "value"])
        }
        assert given.keys() == wanted.keys()
        for name, segment in wanted.items():
            assert given[name].keys() == segment.keys()
            for cell, each in segment.items():
                np.testing.assert_allclose(given[name][cell], each, rtol=1e-12)
