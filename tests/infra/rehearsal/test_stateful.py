"""What the table of stateful types says, and what real Terraform makes of it."""

import copy
import re
from typing import Any

import pytest

from infra.rehearsal import schema, schema_cache, stateful
from infra.rehearsal.rehearse import rehearse_change
from infra.rehearsal.stateful import STATEFUL
from infra.rehearsal.synthesis import Stack
from infra.rehearsal.terraform import Terraform
from infra.rehearsal.values import UNKNOWN
from tests.infra.conftest import stack

GOOGLE = "registry.terraform.io/hashicorp/google"
BUCKET = "google_storage_bucket"


@pytest.mark.parametrize("type_name", STATEFUL)
def test_every_argument_in_the_table_is_one_of_the_provider(type_name: str) -> None:
    block = schema_cache.load(GOOGLE).resources[type_name]
    known = {".".join(path) for path, _ in schema.attributes(block)} | {".".join(p) for p, _ in schema.blocks(block)}
    rules = STATEFUL[type_name]
    named = [*rules.replaces, *rules.in_place, *rules.replaces_if]
    assert set(named) <= known
    assert len(named) == len(set(named))
    assert set(rules.replaces_if.values()) <= stateful.CONDITIONS.keys()
    assert rules.protection is None or rules.protection in known


@pytest.mark.parametrize("type_name", STATEFUL)
def test_every_type_names_the_code_that_was_read(type_name: str) -> None:
    assert re.fullmatch(
        rf"{stateful.CODE}/[0-9a-f]{{40}}/google/services/\w+/resource_\w+\.go", STATEFUL[type_name].url
    )


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": None}, {"a": ""}, []),
        ({"a": []}, {"a": None}, []),
        ({"a": None}, {"a": False}, ["a"]),
        ({"a": [{"b": 1, "c": 1}]}, {"a": [{"b": 2, "c": 1}]}, ["a.b"]),
        ({"a": []}, {"a": [{"b": 1, "c": None}]}, ["a.b"]),
        ({"a": [{"b": [{"c": 1}]}]}, {"a": []}, ["a.b.c"]),
        ({"a": {"k": "v"}}, {"a": {"k": "w"}}, ["a.k"]),
        ({"a": ["x", "y"]}, {"a": ["x"]}, ["a"]),
    ],
)
def test_what_changed_is_named_without_positions(before: Any, after: Any, paths: list[str]) -> None:
    assert stateful.changed(before, after) == paths


def test_the_longest_rule_counts_and_what_no_rule_covers_may_replace() -> None:
    instance = "google_sql_database_instance"
    before: dict[str, Any] = {"settings": [{"tier": "a", "collation": "a", "time_zone": "a"}]}
    after: dict[str, Any] = {"settings": [{"tier": "b", "collation": "b", "time_zone": "b"}]}
    assert stateful.replaces(instance, before, after) == ["settings.collation"]
    assert stateful.may_replace(instance, before, after) == ["settings.time_zone"]
    assert stateful.replaces("google_service_account", {"a": 1}, {"a": 2}) == []
    assert stateful.may_replace("google_service_account", {"a": 1}, {"a": 2}) == []


@pytest.mark.parametrize(
    ("type_name", "argument", "before", "after", "replaces"),
    [
        ("google_sql_database_instance", "settings.disk_size", 20, 10, True),
        ("google_sql_database_instance", "settings.disk_size", 10, 20, False),
        ("google_sql_database_instance", "settings.disk_size", 10, None, False),
        ("google_sql_database_instance", "settings.disk_size", 10, UNKNOWN, False),
        ("google_container_cluster", "enable_l4_ilb_subsetting", True, False, True),
        ("google_container_cluster", "enable_l4_ilb_subsetting", True, None, True),
        ("google_container_cluster", "enable_l4_ilb_subsetting", False, True, False),
        ("google_container_cluster", "enable_l4_ilb_subsetting", None, True, False),
    ],
)
def test_some_arguments_replace_in_one_direction_alone(
    type_name: str, argument: str, before: Any, after: Any, replaces: bool
) -> None:
    *blocks, name = argument.split(".")

    def state(value: Any) -> dict[str, Any]:
        return {blocks[0]: [{name: value}]} if blocks else {name: value}

    assert stateful.replaces(type_name, state(before), state(after)) == ([argument] if replaces else [])
    assert stateful.may_replace(type_name, state(before), state(after)) == []


BEFORE = stack(name="s", resource={BUCKET: {"b": {"name": "b", "location": "EU", "storage_class": "STANDARD"}}})


@pytest.mark.parametrize(
    ("values", "actions"),
    [
        ({}, ["no-op"]),
        ({"storage_class": "NEARLINE"}, ["update"]),
        ({"location": "US"}, ["delete", "create"]),
        ({"hierarchical_namespace": {"enabled": True}}, ["delete", "create"]),
    ],
)
def test_terraform_replaces_what_the_table_says(values: dict[str, Any], actions: list[str], engine: Terraform) -> None:
    after: Stack = copy.deepcopy(BEFORE)
    after.config["resource"][BUCKET]["b"] |= values
    (result,) = rehearse_change([BEFORE], [after], engine)
    (change,) = result.plan["resource_changes"]
    assert change["change"]["actions"] == actions
