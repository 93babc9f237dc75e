"""The derived schema against what the real provider says of itself."""

import gzip
import json
import os
from collections import Counter
from functools import cache
from typing import Any

import pytest

from infra.rehearsal import provider_facts, schema_cache
from infra.rehearsal.schema import Attribute, Block, NestedBlock, ProviderSchema, attributes, blocks
from infra.rehearsal.schema_from_bindings import address
from infra.rehearsal.synthesis import types
from tests.infra.conftest import Stacks

GOOGLE = "registry.terraform.io/hashicorp/google"
# What bindings do not tell, with the number of attributes or blocks of google 6.50.0 that have it.
GAPS = {"sensitive": 162, "deprecated": 41, "max_items above 1": 29, "write_only": 4}


@cache
def derived() -> ProviderSchema:
    return schema_cache.load(GOOGLE)


@cache
def real() -> ProviderSchema:
    """The output of `terraform providers schema -json`."""
    path = os.environ.get("GOOGLE_PROVIDER_SCHEMA")
    if not path:
        pytest.skip("GOOGLE_PROVIDER_SCHEMA does not name the real provider's schema (JSON, gzip)")
    with gzip.open(path) as file:
        document = json.load(file)
    schema = document["provider_schemas"][GOOGLE]
    return ProviderSchema(
        address=GOOGLE,
        version=document["provider_version"],
        provider=complete(schema["provider"]["block"]),
        resources={name: complete(entry["block"]) for name, entry in schema["resource_schemas"].items()},
        data_sources={name: complete(entry["block"]) for name, entry in schema["data_source_schemas"].items()},
    )


def complete(block: Any) -> Block:
    """The block with the keys that Terraform leaves out where there is nothing."""
    block.setdefault("attributes", {})
    for nested in block.setdefault("block_types", {}).values():
        complete(nested["block"])
    return Block(attributes=block["attributes"], block_types=block["block_types"])


def every_block(schema: ProviderSchema) -> dict[str, Block]:
    """Resources, data sources and the provider's own configuration."""
    return {
        "provider": schema.provider,
        **schema.resources,
        **{f"data.{name}": block for name, block in schema.data_sources.items()},
    }


def every_attribute(schema: ProviderSchema) -> dict[tuple[str, ...], Attribute]:
    return {(name, *path): a for name, block in every_block(schema).items() for path, a in attributes(block)}


def every_nested(schema: ProviderSchema) -> dict[tuple[str, ...], NestedBlock]:
    return {(name, *path): nested for name, block in every_block(schema).items() for path, nested in blocks(block)}


def test_every_type_of_the_real_provider_is_derived() -> None:
    assert derived().version == real().version
    assert derived().resources.keys() == real().resources.keys()
    assert derived().data_sources.keys() == real().data_sources.keys()
    assert (len(derived().resources), len(derived().data_sources)) == (1_096, 373)


@pytest.mark.parametrize("key", ["type", "required", "optional", "computed"])
def test_every_attribute_is_as_in_the_real_provider(key: str) -> None:
    ours, theirs = every_attribute(derived()), every_attribute(real())
    assert len(ours) > 26_940
    assert {path: a.get(key) for path, a in ours.items()} == {path: a.get(key) for path, a in theirs.items()}


@pytest.mark.parametrize("key", ["nesting_mode", "min_items"])
def test_every_block_nests_as_in_the_real_provider(key: str) -> None:
    ours, theirs = every_nested(derived()), every_nested(real())
    assert len(ours) > 5_232
    assert {path: b.get(key, 0) for path, b in ours.items()} == {path: b.get(key, 0) for path, b in theirs.items()}


def test_blocks_are_limited_to_one_as_in_the_real_provider() -> None:
    ours, theirs = every_nested(derived()), every_nested(real())
    assert {p for p, b in ours.items() if b.get("max_items") == 1} == {
        p for p, b in theirs.items() if b.get("max_items") == 1
    }


def test_what_bindings_do_not_tell_is_exactly_what_is_known_to_be_missing() -> None:
    missing: Counter[str] = Counter()
    for theirs in every_attribute(real()).values():
        missing.update(key for key in ("sensitive", "deprecated", "write_only") if theirs.get(key))
    for nested in every_nested(real()).values():
        missing["max_items above 1"] += nested.get("max_items", 0) > 1
        missing["deprecated"] += bool(dict(nested["block"]).get("deprecated"))
    assert missing == GAPS


def test_every_sensitive_argument_of_the_types_in_use_is_known(stacks: Stacks) -> None:
    used = types([stack for env in ("dev", "prod") for stack in stacks(env)], "resource")
    for name in (each for each in used if each.startswith("google_")):
        theirs = {".".join(path) for path, a in attributes(real().resources[name]) if a.get("sensitive")}
        assert provider_facts.SENSITIVE.get(name, frozenset()) == theirs, name


def test_answers_are_for_attributes_that_the_cloud_decides() -> None:
    for name, answers in provider_facts.ANSWERS.items():
        for attribute in answers:
            assert derived().resources[name]["attributes"][attribute].get("computed"), (name, attribute)


@pytest.mark.parametrize(
    ("provider", "version", "resources", "data_sources"),
    [
        ("registry.terraform.io/hashicorp/kubernetes", "2.38.0", 82, 26),
        ("registry.terraform.io/pagerduty/pagerduty", "3.30.8", 50, 36),
    ],
)
def test_other_providers_derive_too(provider: str, version: str, resources: int, data_sources: int) -> None:
    schema = schema_cache.load(provider)
    assert (schema.version, len(schema.resources), len(schema.data_sources)) == (version, resources, data_sources)


@pytest.mark.parametrize("source", ["google", "hashicorp/google", "registry.terraform.io/hashicorp/google"])
def test_a_source_is_completed_as_terraform_does(source: str) -> None:
    assert address(source) == GOOGLE


def test_documented_values_are_known() -> None:
    policy = derived().resources["google_monitoring_alert_policy"]["attributes"]
    assert policy["combiner"].get("enum") == ["AND", "OR", "AND_WITH_MATCHING_RESOURCE"]
    repository = derived().resources["google_artifact_registry_repository"]["attributes"]
    assert repository["mode"].get("default") == "STANDARD_REPOSITORY"
