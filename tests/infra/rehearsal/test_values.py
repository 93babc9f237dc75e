from typing import Any

import msgpack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tf.gen import tfplugin_pb2 as pb

from infra.rehearsal.schema import Attribute, Block, NestedBlock, Type
from infra.rehearsal.values import UNKNOWN, Steps, decode, encode, placeholder, settle, walk

# How long an example takes says nothing on a machine that others share.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
leaves = scalars | st.just(UNKNOWN)
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
types_: st.SearchStrategy[Type] = st.recursive(
    st.sampled_from(["string", "number", "bool"]),
    lambda inner: (
        st.tuples(st.sampled_from(["list", "set", "map"]), inner).map(list)
        | st.dictionaries(st.text(min_size=1), inner, max_size=3).map(lambda fields: ["object", fields])
    ),
    max_leaves=6,
)


def value_of(type_: Type) -> st.SearchStrategy[Any]:
    """Values of a type, unknown or absent in any place."""
    match type_:
        case "string":
            known: st.SearchStrategy[Any] = st.text()
        case "number":
            known = st.integers(-(2**63), 2**63)
        case "bool":
            known = st.booleans()
        case ["list" | "set", inner]:
            known = st.lists(value_of(inner), max_size=3)
        case ["map", inner]:
            known = st.dictionaries(st.text(), value_of(inner), max_size=3)
        case ["object", fields]:
            known = st.fixed_dictionaries({name: value_of(field) for name, field in fields.items()})
        case _:
            raise AssertionError(type_)
    return known | st.none() | st.just(UNKNOWN)


typed_values = types_.flatmap(lambda type_: st.tuples(st.just(type_), value_of(type_)))


def has_unknown(value: Any) -> bool:
    match value:
        case list():
            return any(map(has_unknown, value))
        case dict():
            return any(map(has_unknown, value.values()))
    return value is UNKNOWN


@patient
@given(values)
def test_a_value_survives_its_way_to_terraform_and_back(value: Any) -> None:
    assert decode(encode(value)) == value


@patient
@given(st.integers(0, 127), st.binary())
def test_whatever_is_said_of_an_unknown_value_it_is_unknown(code: int, refinement: bytes) -> None:
    packed = msgpack.packb({"a": [msgpack.ExtType(code, refinement)]})
    assert decode(pb.DynamicValue(msgpack=packed)) == {"a": [UNKNOWN]}


def test_a_state_is_read_from_json() -> None:
    assert decode(pb.DynamicValue(json=b'{"a": [1, null]}')) == {"a": [1, None]}


@patient
@given(typed_values)
def test_nothing_is_unknown_once_it_is_settled(typed: tuple[Type, Any]) -> None:
    type_, value = typed
    assert not has_unknown(settle(type_, value, "seed"))


@patient
@given(typed_values)
def test_settling_leaves_alone_what_is_known(typed: tuple[Type, Any]) -> None:
    type_, value = typed
    settled = settle(type_, value, "seed")
    assert settle(type_, settled, "another seed") == settled
    if not has_unknown(value):
        assert settled == value


@patient
@given(types_, st.text())
def test_a_placeholder_is_the_same_for_the_same_seed(type_: Type, seed: str) -> None:
    assert placeholder(type_, seed) == placeholder(type_, seed)


def test_placeholders_of_different_things_differ_and_show_what_they_are() -> None:
    assert placeholder("string", "a") != placeholder("string", "b")
    assert str(placeholder("string", "a")).startswith("rehearsed-")


INNER = Block(attributes={"c": Attribute(type="string")}, block_types={})
BLOCK = Block(
    attributes={"a": Attribute(type="string"), "b": Attribute(type="number")},
    block_types={
        "many": NestedBlock(nesting_mode="list", block=INNER),
        "one": NestedBlock(nesting_mode="single", block=INNER),
    },
)


def test_a_walk_visits_every_attribute_at_any_depth_with_its_path() -> None:
    seen: dict[Steps, Any] = {}

    def visit(attribute: Attribute, value: Any, steps: Steps) -> Any:
        seen[steps] = value
        return (attribute["type"], value)

    value = {"a": "x", "b": None, "many": [{"c": "y"}, {"c": UNKNOWN}], "one": {"c": "z"}}
    walked = walk(BLOCK, value, visit)
    assert seen == {
        ("a",): "x",
        ("b",): None,
        ("many", 0, "c"): "y",
        ("many", 1, "c"): UNKNOWN,
        ("one", "c"): "z",
    }
    assert walked["many"][1] == {"c": ("string", UNKNOWN)}
    assert walked["one"] == {"c": ("string", "z")}


def test_a_walk_passes_over_blocks_that_are_absent_or_unknown() -> None:
    value = {"a": "x", "b": 1, "many": UNKNOWN, "one": None}
    assert walk(BLOCK, value, lambda _attribute, value, _steps: value) == value
