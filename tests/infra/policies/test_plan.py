import json
from pathlib import Path
from typing import Any

import pytest

from infra.policies.plan import UNKNOWN, Plan, PlanError, read
from tests.facts import stating


def written(folder: Path, *changes: dict[str, Any], configured: tuple[dict[str, Any], ...] = ()) -> Plan:
    """A plan with these changes of resources."""
    file = folder / "dev-some-stack.json"
    resources = [{"mode": "managed", "type": "t", "address": "t.a", **change} for change in changes]
    file.write_text(
        json.dumps({"resource_changes": resources, "configuration": {"root_module": {"resources": configured}}})
    )
    return read(file)


def test_a_value_is_found_through_blocks_and_lists(tmp_path: Path) -> None:
    after = {"a": [{"b": [1, 2]}, {"b": [3], "c": "x"}], "d": None}
    (resource,) = written(tmp_path, {"change": {"after": after}}).resources
    assert resource.at("a.b") == [1, 2, 3]
    assert resource.at("a.c") == ["x"]
    assert resource.at("d") == resource.at("nothing") == []


def test_what_is_taken_from_elsewhere_is_unknown_and_what_is_left_to_the_cloud_is_no_value(tmp_path: Path) -> None:
    change = {
        "after": {"l": ["x", None], "b": [{}], "n": None},
        "after_unknown": {"l": [False, True], "b": [{"c": True, "d": True}], "t": True, "n": True},
    }
    taken = {"references": ["t.b.id", "t.b"]}
    configured = {"address": "t.a", "expressions": {"l": taken, "b": [{"c": taken}], "n": {"constant_value": None}}}
    (resource,) = written(tmp_path, {"change": change}, configured=(configured,)).resources
    assert resource.at("l") == ["x", UNKNOWN]
    assert resource.at("b.c") == [UNKNOWN]
    assert resource.at("b.d") == resource.at("t") == resource.at("t.deeper") == resource.at("n") == []


def test_the_blocks_of_a_set_may_be_planned_in_another_order_than_they_are_written(tmp_path: Path) -> None:
    change = {"after": {"s": [{"k": 1}, {"k": 2}]}, "after_unknown": {"s": [{"m": True}, {}]}}
    blocks = [{"k": {"constant_value": 2}}, {"k": {"constant_value": 1}, "m": {"references": ["t.b"]}}]
    configured = {"address": "t.a", "expressions": {"s": blocks}}
    (resource,) = written(tmp_path, {"change": change}, configured=(configured,)).resources
    assert resource.at("s.m") == [UNKNOWN]


def test_of_an_unknown_argument_is_known_how_the_stack_wrote_it(tmp_path: Path) -> None:
    member = {"constant_value": "serviceAccount:${t.b.email}", "references": ["t.b.email", "t.b"]}
    change = {"after": {}, "after_unknown": {"member": True}}
    plan = written(
        tmp_path,
        {"change": change},
        {"address": "t.b", "change": {"after": {}}},
        configured=({"address": "t.a", "expressions": {"block": [{"member": member}], "member": member}},),
    )
    first, second = plan.resources
    assert first.written("member") == "serviceAccount:${t.b.email}"
    assert first.refers(second)
    assert not second.refers(first)


def test_what_is_destroyed_and_what_is_only_read_is_not_judged(tmp_path: Path) -> None:
    plan = written(tmp_path, {"change": {"after": None}}, {"mode": "data", "change": {"after": {}}})
    assert (plan.stack, plan.resources) == ("some-stack", [])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"configuration": {}}'])
def test_a_file_that_is_no_plan_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "dev-storage.json"
    file.write_text(text)
    with pytest.raises(PlanError, match=stating("dev-storage.json", "plan")):
        read(file)
