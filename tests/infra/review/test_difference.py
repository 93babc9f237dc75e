"""A base and a difference hold all of an inventory, also as text."""

from hypothesis import given
from hypothesis import strategies as st

from infra.review.difference import Inventory, apply, difference
from infra.review.listing import parse, parse_stack, render, render_stack

NAMES = st.sampled_from(["a_type.a", "a_type.b", "b_type.a"])
FIELDS = st.sampled_from(["name", "settings.tier", "zone", "removed_at"])
WORDS = st.sampled_from(["a", "b,", "c;", ";", ",", "-", "name", "x" * 100, "{id}", "##", "k: v", "added", "removed"])
VALUES = st.lists(WORDS, max_size=6).map(" ".join)
INVENTORIES = st.dictionaries(
    st.sampled_from(["edge", "network"]),
    st.dictionaries(NAMES, st.dictionaries(FIELDS, VALUES), min_size=1),
)


@given(base=INVENTORIES, other=INVENTORIES)
def test_a_difference_loses_nothing(base: Inventory, other: Inventory) -> None:
    assert apply(base, difference(base, other)) == other
    assert apply(base, parse(render(difference(base, other)))) == other


@given(INVENTORIES)
def test_nothing_differs_from_itself(base: Inventory) -> None:
    assert difference(base, base) == {}


@given(INVENTORIES)
def test_an_inventory_is_read_as_it_was_written(written: Inventory) -> None:
    assert parse(f"# prod\n\nWhat this is.\n{render(written)}") == written
    for stack, resources in written.items():
        assert parse_stack(render_stack(stack, resources)) == resources


def test_a_difference_says_what_is_added_removed_and_other() -> None:
    base = {"s": {"t.old": {"a": "1"}, "t.kept": {"a": "1"}, "t.other": {"a": "1", "b": "2", "c": "3, 4"}}}
    other = {"s": {"t.new": {"a": "1"}, "t.kept": {"a": "1"}, "t.other": {"a": "1", "c": "5, 6"}}}
    text = "\n## s\n\n- added t.new: a 1\n- removed t.old\n- t.other\n  - c 5, 6\n  - removed b\n"
    assert render(difference(base, other)) == text


def test_a_long_list_has_a_line_for_each_element() -> None:
    elements = ["x" * 60, "y" * 60]
    assert render({"s": {"t.a": {"b": "; ".join(elements)}}}).split("\n")[-3:-1] == [
        f"  - b {elements[0]}",
        f"    - {elements[1]}",
    ]
