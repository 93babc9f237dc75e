"""What the table of stateful types says, and what real Terraform makes of it."""

import copy
import re
from typing import Any

import pytest

from infra.rehearsal import catalogue, schema, stateful
from infra.rehearsal.rehearse import rehearse_change
from infra.rehearsal.stateful import STATEFUL
from infra.rehearsal.synthesis import Stack
from infra.rehearsal.terraform import Terraform
from tests.infra.conftest import stack

GOOGLE = "registry.terraform.io/hashicorp/google"
BUCKET = "google_storage_bucket"


@pytest.mark.parametrize("type_name", STATEFUL)
def test_every_argument_in_the_table_is_one_of_the_provider(type_name: str) -> None:
    block = catalogue.load(GOOGLE).resources[type_name]
    known = {".".join(path) for path, _ in schema.attributes(block)} | {".".join(p) for p, _ in schema.blocks(block)}
    rules = STATEFUL[type_name]
    assert {*rules.replaces, *rules.in_place} <= known
    assert not rules.replaces & rules.in_place
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
    before: dict[str, Any] = {"settings": [{"tier": "a", "collation": "a", "disk_size": 10}]}
    after: dict[str, Any] = {"settings": [{"tier": "b", "collation": "b", "disk_size": 20}]}
    assert stateful.replaces(instance, before, after) == ["settings.collation"]
    assert stateful.may_replace(instance, before, after) == ["settings.disk_size"]
    assert stateful.replaces("google_service_account", {"a": 1}, {"a": 2}) == []
    assert stateful.may_replace("google_service_account", {"a": 1}, {"a": 2}) == []


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
