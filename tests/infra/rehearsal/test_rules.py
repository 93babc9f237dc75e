"""The rules as the provider's SDK applies them, and the table beside what others have read in the same source."""

import gzip
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from infra.environments import ENVIRONMENTS
from infra.rehearsal import rules, schema, schema_cache
from infra.rehearsal.rules import RULES, TypeRules
from infra.rehearsal.values import UNKNOWN
from tests.infra.conftest import Stacks

GOOGLE = "registry.terraform.io/hashicorp/google"
RECORDED = os.environ.get("GOOGLE_PROVIDER_RULES")
TYPE = "google_a"
BLOCK = {"b": [{"one": None, "other": None}]}


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a table with these rules says of a configuration: the arguments that it refuses."""

    def refuse(config: Any, **table: Any) -> list[str]:
        monkeypatch.setattr(rules, "RULES", {TYPE: TypeRules("", **table)})
        return [path for path, _ in rules.refused(TYPE, config)]

    return refuse


@pytest.mark.parametrize(
    ("config", "refuses"),
    [
        ({"one": 1, "other": None}, []),
        ({"one": 1, "other": 1}, ["one"]),
        ({"one": False, "other": ""}, ["one"]),  # given, whatever its value
        ({"one": 1, "other": UNKNOWN}, []),  # it may turn out to be null
        ({"one": UNKNOWN, "other": 1}, []),
        ({"one": 1, "other": []}, []),  # a block that is not there
        ({"one": 1, "other": [{"a": UNKNOWN}]}, ["one"]),  # a block that is there
        ({"one": [{"a": UNKNOWN}], "other": 1}, []),
    ],
)
def test_arguments_conflict_when_both_are_given(config: Any, refuses: list[str], refused: Any) -> None:
    assert refused(config, conflicts=[["one", "other"]]) == refuses


@pytest.mark.parametrize(
    ("config", "refuses"),
    [
        ({"one": None, "other": None}, ["one"]),
        ({"one": 1, "other": None}, []),
        ({"one": None, "other": 1}, []),
        ({"one": 1, "other": 1}, ["one"]),
        ({"one": UNKNOWN, "other": None}, []),
        ({"one": UNKNOWN, "other": 1}, []),
    ],
)
def test_exactly_one_of_a_group_is_given(config: Any, refuses: list[str], refused: Any) -> None:
    assert refused(config, exactly_one_of=[["one", "other"]]) == refuses


@pytest.mark.parametrize(
    ("config", "refuses"),
    [
        ({"one": None, "other": None}, ["one"]),
        ({"one": 1, "other": 1}, []),
        ({"one": UNKNOWN, "other": None}, []),
    ],
)
def test_at_least_one_of_a_group_is_given(config: Any, refuses: list[str], refused: Any) -> None:
    assert refused(config, at_least_one_of=[["one", "other"]]) == refuses


@pytest.mark.parametrize(
    ("config", "refuses"),
    [
        ({"one": 1, "other": None}, ["one"]),
        ({"one": UNKNOWN, "other": None}, ["one"]),
        ({"one": 1, "other": UNKNOWN}, []),
        ({"one": None, "other": 1}, []),
    ],
)
def test_an_argument_requires_another(config: Any, refuses: list[str], refused: Any) -> None:
    assert refused(config, required_with=[["one", "other"]]) == refuses


@pytest.mark.parametrize(("config", "refuses"), [({"b": []}, []), ({"b": UNKNOWN}, []), (BLOCK, ["b.one"])])
@pytest.mark.parametrize("kind", ["exactly_one_of", "at_least_one_of"])
def test_a_group_within_a_block_counts_where_the_block_is(
    kind: str, config: Any, refuses: list[str], refused: Any
) -> None:
    assert refused(config, **{kind: [["b.one", "b.other"]]}) == refuses


@pytest.mark.parametrize(
    ("value", "refuses"),
    [("x", []), ("X", ["a"]), ("", ["a"]), (None, []), (UNKNOWN, []), (["x", UNKNOWN, "z"], ["a"]), ([], [])],
)
def test_a_value_is_one_of_those_listed(value: Any, refuses: list[str], refused: Any) -> None:
    assert refused({"a": value}, one_of={"a": ["x", "y"]}) == refuses


def test_the_case_of_a_value_counts_unless_the_code_says_otherwise(refused: Any) -> None:
    assert refused({"a": "X"}, one_of={"a": ["x"]}, any_case=["a"]) == []
    assert refused({"a": "Z"}, one_of={"a": ["x"]}, any_case=["a"]) == ["a"]


@pytest.mark.parametrize(("value", "refuses"), [(1, []), (2.5, []), (0, ["a"]), (4, ["a"]), (None, []), (UNKNOWN, [])])
def test_a_number_is_within_its_range(value: Any, refuses: list[str], refused: Any) -> None:
    assert refused({"a": value}, range={"a": (1, 3)}) == refuses
    assert refused({"a": value}, range={"a": (1, math.inf)}) == (refuses if value == 0 else [])


@pytest.mark.parametrize(("value", "refuses"), [("ab", []), ("abc", ["a"]), ("é", []), ("éé", ["a"])])
def test_the_length_of_a_text_counts_in_bytes(value: Any, refuses: list[str], refused: Any) -> None:
    assert refused({"a": value}, length={"a": (1, 2)}) == refuses


@pytest.mark.parametrize(
    ("value", "refuses"), [([1], ["b.a"]), ([1, 2], []), ([1, 2, 3], []), ([1] * 4, ["b.a"]), (None, []), (UNKNOWN, [])]
)
def test_a_list_has_as_many_items_as_the_code_takes(value: Any, refuses: list[str], refused: Any) -> None:
    assert refused({"b": [{"a": [1, 2]}, {"a": value}]}, items={"b.a": (2, 3)}) == refuses


def test_of_a_type_that_the_table_does_not_hold_nothing_is_refused_and_that_is_said() -> None:
    assert list(rules.refused("google_foreign", {"a": 1})) == []
    assert rules.count("google_foreign", {"a": 1}).total() == 0
    assert rules.unknown(["google_storage_bucket", "google_foreign", "another"]) == ["another", "google_foreign"]


def test_rules_are_counted_for_the_arguments_given() -> None:
    rule = {"action": {"type": "Delete"}, "condition": {"with_state": "LIVE"}}
    counted = rules.count("google_storage_bucket", {"name": "b", "lifecycle_rule": [rule, rule]})
    assert counted == {"one_of": 1, "items": 3}


def test_rules_of_all_resources_of_all_stacks_are_counted() -> None:
    network = {
        "resource": {"google_compute_network": {"a": {"routing_mode": "GLOBAL"}, "b": {"routing_mode": "GLOBAL"}}}
    }
    assert rules.checked([network, network, {}]) == {"one_of": 4}


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_of_every_google_type_in_use_the_rules_are_known(stacks: Stacks, env: str) -> None:
    used = {t for each in stacks(env) for t in each.config.get("resource", {})}
    assert [type_name for type_name in rules.unknown(used) if type_name.startswith("google_")] == []


def test_the_table_is_of_the_version_that_the_bindings_are_of() -> None:
    assert schema_cache.load(GOOGLE).version == rules.VERSION


def test_every_argument_in_the_table_is_one_of_the_provider() -> None:
    resources = schema_cache.load(GOOGLE).resources
    for type_name, table in RULES.items():
        block = resources[type_name]
        known = {".".join(path) for path, _ in [*schema.attributes(block), *schema.blocks(block)]}
        assert named(table) - known == set(), type_name


def named(table: TypeRules) -> set[str]:
    groups = [*table.conflicts, *table.required_with, *table.exactly_one_of, *table.at_least_one_of]
    values = [
        *table.one_of,
        *table.range,
        *table.length,
        *table.items,
        *table.replaces,
        *table.replaces_if,
        *table.sets,
    ]
    return {path for group in groups for path in group} | {*values, *table.any_case, *table.checked_by_code}


CREDITS = [
    *("calendar_period", "credit_types", "credit_types_treatment", "custom_period", "labels", "projects"),
    *("resource_ancestors", "services", "subaccounts"),
]
# What our table holds beyond the recorded facts, and where it stands in the source.
BEYOND = {
    "google_logging_project_sink": {("replaces", "project")},  # set after the literal: schm.Schema["project"]
    "google_billing_budget": {  # credit_types is no member of the group that it names, and the SDK adds it
        (
            "at_least_one_of",
            frozenset(f"budget_filter.{name}" for name in CREDITS),
        )
    },
}

UNRECORDED = {"google_monitoring_custom_service", "google_monitoring_slo"}
"""Types whose facts nobody else has recorded."""


def groups(kind: str, paths: Iterable[Iterable[str]]) -> set[tuple[Any, ...]]:
    return {(kind, frozenset(group)) for group in paths}


def limits(kind: str, values: Any) -> set[tuple[Any, ...]]:
    return {(kind, path.removesuffix("[]"), *bounds) for path, bounds in values.items()}


def ours(table: TypeRules) -> set[tuple[Any, ...]]:
    """The table's entry for a type in a form that compares."""
    several = {path: (most,) for path, (_, most) in table.items.items() if most not in {1, math.inf}}
    return {
        *(("replaces", path) for path in table.replaces),
        *(("checked_by_code", path) for path in table.checked_by_code),
        *groups("conflicts", table.conflicts),
        *groups("required_with", table.required_with),
        *groups("exactly_one_of", table.exactly_one_of),
        *groups("at_least_one_of", table.at_least_one_of),
        *(("one_of", path, frozenset(values) - {""}) for path, values in table.one_of.items()),
        *limits("range", table.range),
        *limits("range", table.length),
        *limits("max", several),
    }


def recorded(facts: Any) -> set[tuple[Any, ...]]:
    """The recorded facts of a type in the same form."""
    constants = {"MaxInt32": 2**31 - 1}
    ranges = {
        path: (low, *(constants.get(bound, bound) for bound in (above or [math.inf])))
        for path, (_, low, *above) in facts.get("range", {}).items()
    }
    required = ([path, *others] for path, others in facts.get("required_with", {}).items())
    return {
        *(("replaces", path) for path in facts.get("force_new", [])),
        *(("checked_by_code", path.removesuffix("[]")) for path in facts.get("checked_by_code", [])),
        *groups("conflicts", facts.get("conflicts", [])),
        *groups("required_with", required),
        *groups("exactly_one_of", facts.get("exactly_one", [])),
        *groups("at_least_one_of", facts.get("at_least_one", [])),
        *(("one_of", p.removesuffix("[]"), frozenset(v) - {""}) for p, v in facts.get("one_of", {}).items()),
        *limits("range", ranges),
        *limits("max", {path: (most,) for path, most in facts.get("max", {}).items()}),
    }


@pytest.mark.skipif(RECORDED is None, reason="GOOGLE_PROVIDER_RULES names no recorded facts of the provider's source")
@pytest.mark.parametrize("type_name", RULES)
def test_the_table_says_what_others_have_read_in_the_source(type_name: str) -> None:
    of_types = json.loads(gzip.decompress(Path(str(RECORDED)).read_bytes()))
    assert (type_name in UNRECORDED) is (type_name not in of_types)
    if type_name in UNRECORDED:
        return
    facts = of_types[type_name]
    assert recorded(facts) - ours(RULES[type_name]) == set()
    assert ours(RULES[type_name]) - recorded(facts) == BEYOND.get(type_name, set())
