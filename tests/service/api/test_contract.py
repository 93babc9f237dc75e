import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from service.api import contract
from service.lifecycle.training.onnx_export import to_onnx
from service.model.bundle import Bundle
from service.model.engine import Engine
from tests.service import forge

MAX_LEADS = 3


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    pipeline, _ = forge.train()
    exported = to_onnx(pipeline)
    engine = Engine(exported.onnx, exported.encoding, forge.SCHEMA)
    return Bundle(forge.manifest(exported), engine, "", forge.reference(pipeline))


def accepted(bundle: Bundle, text: bytes) -> tuple[bool, bool]:
    """Whether the decoder takes it, and whether the described model does."""
    try:
        contract.decoder(bundle.engine.features, MAX_LEADS).decode(text)
        decoded = True
    except msgspec.DecodeError:
        decoded = False
    try:
        contract.request_model(bundle, MAX_LEADS).model_validate_json(text)
    except ValidationError:
        return decoded, False
    return decoded, True


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False)
    | st.sampled_from([1e100, 1.1e100, -1e100, -2e100, 1e308])
    | st.text(max_size=5)
    | st.sampled_from([1000, 1001]).map("x".__mul__)
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner)
)
names = st.sampled_from([f.name for f in forge.SCHEMA.features]) | st.sampled_from(["f0", "other", "Visits"])
features = st.dictionaries(names, scalars | anything, max_size=4) | anything
leads = st.fixed_dictionaries({}, optional={"features": features, "lead_id": anything, "extra": scalars}) | anything
bodies = st.fixed_dictionaries({}, optional={"leads": st.lists(leads, max_size=4) | anything, "x": scalars}) | anything
legal = st.fixed_dictionaries(
    {
        "leads": st.lists(
            st.fixed_dictionaries(
                {
                    "features": st.fixed_dictionaries(
                        {}, optional={"visits": st.floats(-1e100, 1e100), "region": st.text()}
                    )
                },
                optional={"lead_id": st.none() | st.text(min_size=1, max_size=200)},
            ),
            min_size=1,
            max_size=MAX_LEADS,
        )
    }
)


@settings(max_examples=400)
@given(bodies | legal)
def test_the_decoder_and_the_described_model_accept_the_same_requests(bundle: Bundle, body: Any) -> None:
    decoded, described = accepted(bundle, json.dumps(body).encode())
    assert decoded == described


@pytest.mark.parametrize(
    ("lead", "legal"),
    [
        ({"features": {"visits": 1e100}}, True),
        ({"features": {"visits": 1.0000001e100}}, False),
        ({"features": {"visits": -1e100}}, True),
        ({"features": {"visits": True}}, False),
        ({"features": {"opted_in": 1}}, False),
        ({"features": {"opted_in": 1.0}}, False),
        ({"features": {"region": "ä" * 1_000}}, True),
        ({"features": {"region": "ä" * 1_001}}, False),
        ({"features": {}, "lead_id": "x" * 200}, True),
        ({"features": {}, "lead_id": "x" * 201}, False),
        ({"features": {}, "lead_id": ""}, False),
        ({"features": None}, False),
        ({"features": {}, "extra": 1}, False),
        ({"features": {"extra": 1}}, False),
        ({}, False),
    ],
)
def test_both_draw_the_line_at_the_same_place(bundle: Bundle, lead: dict[str, Any], legal: bool) -> None:
    for body in ({"leads": [lead]}, {"leads": [{"features": {}}] * (MAX_LEADS - 1) + [lead]}):
        assert accepted(bundle, json.dumps(body).encode()) == (legal, legal)


def test_both_count_the_leads(bundle: Bundle) -> None:
    for count in (0, 1, MAX_LEADS, MAX_LEADS + 1):
        legal = 0 < count <= MAX_LEADS
        assert accepted(bundle, json.dumps({"leads": [{"features": {}}] * count}).encode()) == (legal, legal)


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_lacks_are_refused(bundle: Bundle, literal: str) -> None:
    body = b'{"leads": [{"features": {"visits": %s}}]}' % literal.encode()
    with pytest.raises(msgspec.DecodeError) as reason:
        contract.decoder(bundle.engine.features, MAX_LEADS).decode(body)
    problem = contract.refusal(contract.request_model(bundle, MAX_LEADS), body, reason.value)
    assert problem.status in (400, 422)


def refuse(bundle: Bundle, body: Any) -> tuple[str, list[tuple[str, str]]]:
    text = json.dumps(body).encode()
    with pytest.raises(msgspec.ValidationError) as reason:
        contract.decoder(bundle.engine.features, MAX_LEADS).decode(text)
    problem = contract.refusal(contract.request_model(bundle, MAX_LEADS), text, reason.value)
    assert problem.status == 422
    return problem.title, [(e.path, e.message) for e in problem.errors]


def test_every_offending_field_is_named_by_its_path(bundle: Bundle) -> None:
    title, errors = refuse(
        bundle,
        {"leads": [{"features": {"visits": "7", "other": 1}}, {"lead_id": 3, "features": {"days.since contact": "x"}}]},
    )
    assert title == "4 fields refused, no lead scored"
    assert [path for path, _ in errors] == [
        "leads[0].features.visits",
        "leads[0].features.other",
        "leads[1].lead_id",
        "leads[1].features['days.since contact']",
    ]


def test_errors_beyond_a_hundred_are_counted_not_listed(bundle: Bundle) -> None:
    title, errors = refuse(bundle, {"leads": [{"features": {f"x{i}": 1 for i in range(150)}}]})
    assert title == "150 fields refused, no lead scored; 50 more"
    assert len(errors) == contract.MAX_ERRORS


def test_a_field_beside_many_leads_is_named_once() -> None:
    pipeline, _ = forge.train()
    exported = to_onnx(pipeline)
    engine = Engine(exported.onnx, exported.encoding, forge.SCHEMA)
    model = contract.request_model(
        Bundle(forge.manifest(exported), engine, "", forge.reference(pipeline)), 5 * contract.LEADS
    )
    body = json.dumps({"leads": [{"features": {}}] * 5 * contract.LEADS, "x": 1}).encode()
    problem = contract.refusal(model, body, msgspec.ValidationError())
    assert [error.path for error in problem.errors] == ["x"]


def test_the_caller_s_values_are_not_echoed(bundle: Bundle) -> None:
    _, errors = refuse(bundle, {"leads": [{"features": {"visits": "a secret"}}]})
    assert "secret" not in str(errors)


def test_the_description_shows_the_sources_own_columns(bundle: Bundle) -> None:
    schema = contract.request_model(bundle, MAX_LEADS).model_json_schema()
    described = schema["$defs"]["Features"]["properties"]
    assert list(described) == [f.name for f in forge.SCHEMA.features]
    assert "999.0" in described["days.since contact"]["description"]
    assert "retail" in described["industry"]["examples"]
