"""The reference tells how leads were spread, exactly, and nothing about any one of them."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.lifecycle.training.reference_profile import count, describe, labels
from service.model.reference import MAX_BINS, MAX_VALUES, MIN_LEADS, Categories, Numbers, Reference, counts
from tests.service import forge

FRAME, OUTCOME = forge.rows(2_000)
SCORES = np.linspace(0, 1, len(FRAME))
TARGET = OUTCOME.astype(np.int8)
REFERENCE = describe(forge.SCHEMA, FRAME, FRAME, SCORES, TARGET, 0.75)


def numbers(cells: list[float]) -> Numbers:
    made = describe(
        forge.SCHEMA,
        FRAME.iloc[: len(cells)].assign(visits=cells),
        FRAME.iloc[: len(cells)].assign(visits=cells),
        SCORES[: len(cells)],
        TARGET[: len(cells)],
        0.5,
    ).features[0]
    assert isinstance(made, Numbers)
    return made


def test_counting_the_leads_described_gives_the_counts_described() -> None:
    for column in REFERENCE.features:
        assert count(column, FRAME[column.name].to_numpy()).tolist() == counts(column).tolist()
        assert counts(column).sum() == REFERENCE.leads == 2_000
        assert len(labels(column)) == len(counts(column))
    assert count(REFERENCE.scores, SCORES).tolist() == counts(REFERENCE.scores).tolist() == [100] * 20 + [0]
    assert REFERENCE.contacted == 500
    assert [b.leads for b in REFERENCE.calibration] == [40] * 50
    assert sum(b.converted for b in REFERENCE.calibration) == TARGET.sum()


@given(
    st.lists(st.one_of(st.just(np.nan), st.integers(0, 30).map(float), st.floats(-1e9, 1e9)), min_size=1, max_size=400)
)
def test_no_bin_is_of_a_few_leads_and_no_edge_is_a_leads_own_value(cells: list[float]) -> None:
    made = numbers(cells)
    known = [cell for cell in cells if cell == cell]
    assert sum(made.counts) == len(known)
    assert len(made.counts) <= MAX_BINS
    assert len(made.counts) == 1 or min(made.counts) >= MIN_LEADS
    assert count(made, np.array(cells)).tolist() == [*made.counts, made.missing]
    neighbours = np.unique(known)
    assert all(edge not in known or np.min(np.abs(neighbours - edge)[neighbours != edge]) < 1e-5 for edge in made.edges)


def test_a_value_never_listed_counts_as_other_and_a_rare_one_is_not_listed() -> None:
    rare = FRAME.assign(
        industry=np.where(np.arange(2_000) < MIN_LEADS - 1, "a single person's firm", FRAME["industry"])
    )
    made = describe(forge.SCHEMA, rare, rare, SCORES, TARGET, 0.5)
    column = made.features[3]
    assert isinstance(column, Categories)
    assert set(column.values) == {"retail", "health", "energy"}
    assert column.others == MIN_LEADS - 1
    assert "single person" not in made.model_dump_json()
    cells = np.array(["retail", "space", "", "space"], dtype=object)
    found = dict(zip(labels(column), count(column, cells).tolist(), strict=True))
    assert (found["retail"], found["(other)"], found["(missing)"], sum(found.values())) == (1, 2, 1, 4)


def test_a_value_that_only_training_saw_is_known() -> None:
    late = FRAME[FRAME["industry"] != "energy"]
    column = describe(forge.SCHEMA, FRAME, late, SCORES[: len(late)], TARGET[: len(late)], 0.5).features[3]
    assert isinstance(column, Categories)
    assert dict(zip(column.values, column.counts, strict=True))["energy"] == 0


def test_it_stays_small_however_many_values_there_are() -> None:
    many = pd.concat([FRAME] * 5, ignore_index=True)
    many["industry"] = [f"industry {i % 1_500}" for i in range(len(many))]
    column = describe(forge.SCHEMA, many, many, np.tile(SCORES, 5), np.tile(TARGET, 5), 0.5).features[3]
    assert isinstance(column, Categories)
    assert len(column.values) == MAX_VALUES
    assert sum(column.counts) + column.others + column.missing == len(many)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"edges": [2.0, 1.0], "means": [1, 2, 3], "counts": [1, 1, 1]}, "edges do not rise"),
        ({"edges": [1.0], "means": [1.0], "counts": [1, 1]}, "part 2 bins"),
        ({"counts": [1.5]}, "integer"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_reference_that_contradicts_itself_is_refused(change: dict[str, object], said: str) -> None:
    document = json.loads(REFERENCE.model_dump_json())
    document["scores"] |= change
    with pytest.raises(ValueError, match=said):
        Reference.model_validate(document)
