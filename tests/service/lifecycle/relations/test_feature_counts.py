"""Counts in SQL are those of the prepared leads, one by one."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from service.lifecycle.evaluation.scored import prepare
from service.lifecycle.relations.columns import record_table
from service.lifecycle.relations.feature_counts import NAME, as_counts, feature_counts
from service.lifecycle.training.reference_profile import describe
from service.model.choices import joined, parted
from service.model.reference import Categories, Numbers, Reference
from service.model.schema import Feature, LeadSchema, Value
from tests.service import forge
from tests.service.lifecycle.records import record
from tests.service.lifecycle.relations.awkward import CELLS, EXAMPLES
from tests.service.lifecycle.relations.labelled_leads import Tables

SCHEMA = LeadSchema(
    features=(
        *forge.SCHEMA.features,
        Feature(name="interests", kind="category", separator=";", missing=("nothing",)),
    )
)


def described() -> Reference:
    """The reference of leads of which many have the same interests."""
    frame, outcome = forge.rows()
    often = [joined(parted(cell, ";"), ";") for cell in EXAMPLES]
    frame = frame.assign(interests=np.array(often * len(frame), dtype=object)[: len(frame)])
    return describe(SCHEMA, frame, frame, np.linspace(0, 1, len(frame)), outcome.astype(np.int8), 0.4)


REFERENCE = described()
EDGES = [edge for column in REFERENCE.features if isinstance(column, Numbers) for edge in column.edges]
NUMBERS = st.one_of(st.floats(-1e100, 1e100), st.sampled_from([999.0, 0.0, -0.0, *EDGES]))
TEXTS = st.one_of(st.text(max_size=5), st.sampled_from(["retail", "unknown", "north", "", "it's", "Retail"]))


def counted(inputs: list[dict[str, Value]]) -> list[list[int]]:
    table = record_table([record(f"L-{i}", inputs=each) for i, each in enumerate(inputs)])
    engine = Tables(first_scores=table)
    engine.define([feature_counts(SCHEMA, REFERENCE, engine.columns, "first_scores")])
    return [counts.tolist() for counts in as_counts(REFERENCE, engine.results([NAME])[NAME])]


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "visits": NUMBERS,
                "days.since contact": NUMBERS,
                "opted_in": st.booleans(),
                "industry": TEXTS | st.just(7.0),
                "region": TEXTS,
                "interests": CELLS,
            },
        ),
        min_size=1,
        max_size=20,
    )
)
def test_counts_are_those_of_the_prepared_leads(inputs: list[dict[str, Value]]) -> None:
    frame = prepare(SCHEMA, inputs)
    assert counted(inputs) == [counts.tolist() for counts in forge.counted(REFERENCE, frame)]


def test_combinations_that_training_saw_are_counted_in_any_spelling() -> None:
    column = REFERENCE.features[-1]
    assert isinstance(column, Categories)
    both = "Newsletter;Webinar"
    found = counted([{"interests": cell} for cell in (both, "Webinar ;;Newsletter", "Webinar\u037e Newsletter;", ";")])
    assert found[-1] == [3 * (value == both) for value in column.values] + [0, 1]


def test_an_edge_belongs_to_the_bin_that_it_ends() -> None:
    column = next(c for c in REFERENCE.features if isinstance(c, Numbers) and c.name == "visits")
    inputs: list[dict[str, Value]] = [{"visits": edge} for edge in column.edges]
    inputs += [{"visits": float(np.nextafter(edge, np.inf))} for edge in column.edges]
    assert counted(inputs)[0] == [1, *[2] * (len(column.edges) - 1), 1, 0]


def test_counts_of_several_parts_add_up() -> None:
    parts = pa.table({"feature": [0, 0, 1], "place": [1, 1, 0], "leads": [2, 3, 4]})
    found = as_counts(REFERENCE, parts)
    assert (found[0][1], found[1][0], sum(counts.sum() for counts in found)) == (5, 4, 9)
