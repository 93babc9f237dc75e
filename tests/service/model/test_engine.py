import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.lifecycle.training.onnx_export import to_onnx
from service.model.engine import NOWHERE, Category, Encoding, Engine, Places
from service.model.schema import MAX_NUMBER
from service.model.trees import Matrix
from tests.service import forge


@pytest.fixture(scope="module")
def engine() -> Engine:
    pipeline, _ = forge.train()
    exported = to_onnx(pipeline)
    return Engine(exported.onnx, exported.encoding, forge.SCHEMA)


def encode(engine: Engine, **features: object) -> Matrix:
    row: Matrix = engine.encode(engine.parse(json.dumps([features]).encode()))[0]
    return row


def test_absent_null_and_the_missing_value_are_the_same(engine: Engine) -> None:
    absent = encode(engine)
    for features in (
        {"days.since contact": None, "industry": None},
        {"days.since contact": 999, "industry": "unknown"},
        {"industry": ""},
    ):
        np.testing.assert_array_equal(encode(engine, **features), absent)


def test_a_value_that_means_missing_in_one_column_is_a_value_in_another(engine: Engine) -> None:
    assert encode(engine, visits=999)[0] == 999.0


def test_a_never_seen_category_is_scored_and_is_not_missing(engine: Engine) -> None:
    seen, never, missing = (encode(engine, industry=i) for i in ("retail", "never seen", None))
    assert not np.array_equal(never, seen, equal_nan=True)
    assert not np.array_equal(never, missing, equal_nan=True)
    assert never[3:].sum() == 0


def test_another_spelling_of_a_category_is_the_same_value(engine: Engine) -> None:
    for spelling in ("RETAIL", " retail", "Retail\u00a0"):
        np.testing.assert_array_equal(encode(engine, industry=spelling), encode(engine, industry="retail"))
    for mark in ("#N/A", "null", "-"):
        np.testing.assert_array_equal(encode(engine, industry=mark), encode(engine))


def test_words_for_yes_and_no_are_places_of_each_other_and_no_others() -> None:
    places = Places({"Ja": 3, "Nein": 4, None: 5}, None)
    assert [places[text] for text in ("yes", "NO", "ja", "vielleicht", "n/a")] == [3, 4, 3, NOWHERE, 5]
    assert [Places({"Ja": 3, "yes": 4, "no": 5}, 6)[text] for text in ("oui", "non", "YES")] == [6, 6, 4]
    assert Places({"a": 1, "A": 2}, 3)["A "] == 3


def test_a_value_is_new_unless_training_knew_it_well_in_any_spelling() -> None:
    places, known = Places({"retail": 1}, 2), frozenset({"retail", "health"})
    found = [places.is_new(value, known) for value in ("Retail ", "HEALTH", "mining", "n/a")]
    assert found == [False, False, True, False]


def test_a_boolean_counts_as_one_and_zero(engine: Engine) -> None:
    assert encode(engine, opted_in=True)[2] == 1.0
    assert encode(engine, opted_in=False)[2] == 0.0


numbers = st.none() | st.floats(-MAX_NUMBER, MAX_NUMBER)
leads = st.fixed_dictionaries(
    {},
    optional={
        "visits": numbers,
        "days.since contact": numbers | st.just(999),
        "opted_in": st.none() | st.booleans(),
        "industry": st.none() | st.text(max_size=20) | st.sampled_from(["retail", "unknown"]),
        "region": st.none() | st.sampled_from(["north", "south", "west"]),
    },
)


@given(st.lists(leads, min_size=1, max_size=4))
def test_every_legal_lead_gets_a_probability_that_its_neighbours_do_not_change(
    engine: Engine, rows: list[dict[str, object]]
) -> None:
    parsed = engine.parse(json.dumps(rows).encode())
    scores = engine.score(parsed)
    assert all(0 <= score <= 1 for score in scores)
    assert scores == pytest.approx([engine.score([lead])[0] for lead in parsed], abs=1e-12)


@pytest.mark.parametrize(
    "lead", [{"visits": "7"}, {"visits": True}, {"opted_in": 1}, {"industry": 3}, {"visits": 1e101}, {"other": 1}]
)
def test_a_lead_of_the_wrong_types_is_refused(engine: Engine, lead: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        engine.parse(json.dumps([lead]).encode())


def test_features_encode_to_what_was_received(engine: Engine) -> None:
    (lead,) = engine.parse(json.dumps([{**forge.LEAD, "region": None}]).encode())
    assert json.loads(msgspec.json.encode(lead)) == {k: v for k, v in forge.LEAD.items() if k != "region"}


def test_an_encoding_of_other_features_is_refused() -> None:
    encoding = Encoding(numbers=("height",), categories={"color": Category(columns={}, other=None)}, width=1)
    with pytest.raises(ValueError, match=r"lacks: \['color', 'height'\]"):
        Engine(b"", encoding, forge.SCHEMA)
