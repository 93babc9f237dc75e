"""What Terraform does not make a provider do in a rehearsal: updates, imports, data sources alone."""

import json
from dataclasses import replace
from typing import Any

import grpc
import pytest
from tf.gen import tfplugin_pb2 as pb

from infra.rehearsal import provider_facts, schema_cache
from infra.rehearsal.provider import Provider
from infra.rehearsal.schema import Block, ProviderSchema
from infra.rehearsal.server import serve
from infra.rehearsal.values import UNKNOWN, decode, encode

ACCOUNT, BUCKET, PROJECT = "google_service_account", "google_storage_bucket", "google_project"
CLUSTER = "google_container_cluster"
SCHEMA = schema_cache.select(
    schema_cache.load("registry.terraform.io/hashicorp/google"), {ACCOUNT, BUCKET}, {PROJECT, CLUSTER}
)


@pytest.fixture
def provider() -> Provider:
    provider = Provider(SCHEMA)
    provider.configure_provider(
        pb.ConfigureProvider.Request(config=encode({"project": "some-project", "region": UNKNOWN, "zone": None}))
    )
    return provider


def value(block: Any, **given: Any) -> dict[str, Any]:
    """A whole value of a block, as Terraform sends it."""
    blocks: dict[str, Any] = {
        name: None if n["nesting_mode"] == "single" else [] for name, n in block["block_types"].items()
    }
    return {**dict.fromkeys(block["attributes"]), **blocks, **given}


def plan(provider: Provider, prior: Any, proposed: Any) -> Any:
    request = pb.PlanResourceChange.Request(
        type_name=ACCOUNT, prior_state=encode(prior), proposed_new_state=encode(proposed)
    )
    return decode(provider.plan_resource_change(request).planned_state)


def apply(provider: Provider, planned: Any) -> Any:
    request = pb.ApplyResourceChange.Request(type_name=ACCOUNT, prior_state=encode(None), planned_state=encode(planned))
    return decode(provider.apply_resource_change(request).new_state)


def test_what_the_cloud_decides_is_unknown_until_it_is_applied(provider: Provider) -> None:
    planned = plan(provider, None, value(SCHEMA.resources[ACCOUNT], account_id="a"))
    assert planned["email"] is UNKNOWN
    assert planned["project"] == "some-project"
    made = apply(provider, planned)
    assert made["email"] == "a@some-project.iam.gserviceaccount.com"
    assert made["unique_id"].startswith("rehearsed-")


def test_an_answer_is_built_from_the_resources_own_project(provider: Provider) -> None:
    planned = plan(provider, None, value(SCHEMA.resources[ACCOUNT], account_id="a", project="another"))
    assert apply(provider, planned)["email"] == "a@another.iam.gserviceaccount.com"


def test_an_update_keeps_what_the_cloud_has_decided(provider: Provider) -> None:
    made = apply(provider, plan(provider, None, value(SCHEMA.resources[ACCOUNT], account_id="a")))
    updated = apply(provider, plan(provider, made, made | {"display_name": "A"}))
    assert updated == made | {"display_name": "A"}


def test_nothing_proposed_is_nothing_planned(provider: Provider) -> None:
    made = apply(provider, plan(provider, None, value(SCHEMA.resources[ACCOUNT], account_id="a")))
    assert plan(provider, made, made) == made
    assert plan(provider, made, None) is None
    assert apply(provider, None) is None


def test_what_the_cloud_left_empty_is_not_asked_for_again(provider: Provider) -> None:
    made = apply(provider, plan(provider, None, value(SCHEMA.resources[ACCOUNT], account_id="a"))) | {"unique_id": None}
    assert plan(provider, made, made) == made


def test_what_the_cloud_decides_in_a_block_added_later_is_unknown(provider: Provider) -> None:
    block = SCHEMA.resources[BUCKET]
    rule = block["block_types"]["lifecycle_rule"]["block"]
    condition = value(rule["block_types"]["condition"]["block"], age=1)
    action = value(rule["block_types"]["action"]["block"], type="Delete")
    prior = value(block, name="b", location="EU")
    proposed = prior | {"lifecycle_rule": [{"action": [action], "condition": [condition]}]}
    request = pb.PlanResourceChange.Request(
        type_name=BUCKET, prior_state=encode(prior), proposed_new_state=encode(proposed)
    )
    planned = decode(provider.plan_resource_change(request).planned_state)
    assert planned["lifecycle_rule"][0]["condition"] == [condition | {"with_state": UNKNOWN}]


@pytest.mark.parametrize(("version", "refused"), [("6.50.0", 1), ("8.7.0", 0)])
def test_the_rules_of_the_code_are_those_of_one_version(version: str, refused: int) -> None:
    block = SCHEMA.resources[BUCKET]
    website = value(block["block_types"]["website"]["block"])
    config = encode(value(block, name="b", location="EU", website=[website]))
    request = pb.ValidateResourceConfig.Request(type_name=BUCKET, config=config)
    answer = Provider(replace(SCHEMA, version=version)).validate_resource_config(request)
    assert ["website" in each.summary for each in answer.diagnostics] == [True] * refused


def test_an_imported_object_is_known_by_its_id_alone(provider: Provider) -> None:
    request = pb.ImportResourceState.Request(type_name=ACCOUNT, id="projects/p/serviceAccounts/a@p")
    (imported,) = provider.import_resource_state(request).imported_resources
    state = decode(imported.state)
    assert state["id"] == "projects/p/serviceAccounts/a@p"
    assert {name for name, value in state.items() if value} == {"id"}


def test_a_data_source_keeps_what_is_asked_and_answers_alike_each_time(provider: Provider) -> None:
    config = encode(value(SCHEMA.data_sources[PROJECT], project_id="p"))
    request = pb.ReadDataSource.Request(type_name=PROJECT, config=config)
    first, second = (decode(provider.read_data_source(request).state) for _ in range(2))
    assert first == second
    assert first["project_id"] == "p"
    assert first["number"].startswith("rehearsed-")


def test_a_data_source_whose_answer_a_stack_takes_apart_gives_the_example() -> None:
    example = provider_facts.EXAMPLES[CLUSTER]["control_plane_endpoints_config"]
    block = SCHEMA.data_sources[CLUSTER]
    request = pb.ReadDataSource.Request(type_name=CLUSTER, config=encode(value(block, name="c", location="l")))
    answer = decode(Provider(SCHEMA).read_data_source(request).state)
    assert answer["control_plane_endpoints_config"] == example
    assert answer["name"] == "c"


def test_a_call_that_the_provider_does_not_know_is_answered_as_such() -> None:
    # Terraform asks for what newer protocols have, and goes on without.
    with serve([SCHEMA]) as reattach:
        socket = reattach.rpartition('"String": "')[2].partition('"')[0]
        with grpc.insecure_channel(f"unix://{socket}") as channel:
            call = channel.unary_unary("/tfplugin6.Provider/MoveResourceState")
            with pytest.raises(grpc.RpcError) as answer:
                call(b"", timeout=5)
    assert answer.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_the_values_that_google_changes_by_itself_are_counted_once() -> None:
    database = "google_sql_database_instance"
    schema = schema_cache.select(schema_cache.load("registry.terraform.io/hashicorp/google"), {database, ACCOUNT}, ())
    provider = Provider(schema)
    block = schema.resources[database]
    settings = value(block["block_types"]["settings"]["block"], disk_size=10)
    state = value(block, id="d", settings=[settings])
    for _ in range(2):
        request = pb.ReadResource.Request(type_name=database, current_state=encode(state))
        read = decode(provider.read_resource(request).new_state)
        assert read["settings"][0]["disk_size"] == 11
    account = pb.ReadResource.Request(type_name=ACCOUNT, current_state=encode(value(schema.resources[ACCOUNT], id="a")))
    provider.read_resource(account)
    assert provider.seen == {(database, "d", "settings.disk_size")}


def test_a_state_of_an_older_version_becomes_one_of_this_schema() -> None:
    schema = ProviderSchema(
        "registry.terraform.io/hashicorp/google",
        "8.0.0",
        Block(attributes={}, block_types={}),
        {
            "google_storage_bucket": Block(
                attributes={"name": {"type": "string"}, "new": {"type": "bool"}, "age": {"type": "number"}},
                block_types={
                    "retention_policy": {
                        "nesting_mode": "list",
                        "block": Block(attributes={"retention_period": {"type": "string"}}, block_types={}),
                    },
                    "added": {"nesting_mode": "set", "block": Block(attributes={}, block_types={})},
                    "timeouts": {"nesting_mode": "single", "block": Block(attributes={}, block_types={})},
                },
            )
        },
        {},
    )
    old = {"name": "b", "gone": 1, "age": 3, "retention_policy": [{"retention_period": 3600, "gone": True}]}
    request = pb.UpgradeResourceState.Request(
        type_name=BUCKET, version=3, raw_state=pb.RawState(json=json.dumps(old).encode())
    )
    assert decode(Provider(schema).upgrade_resource_state(request).upgraded_state) == {
        "name": "b",
        "new": None,
        "age": 3,
        "retention_policy": [{"retention_period": "3600"}],
        "added": [],
        "timeouts": None,
    }


def test_what_a_newer_schema_adds_to_a_block_that_exists_stays_empty_and_in_a_new_block_is_decided_later() -> None:
    block = Block(
        attributes={"id": {"type": "string", "computed": True}},
        block_types={
            "rule": {
                "nesting_mode": "list",
                "block": Block(attributes={"added": {"type": "string", "computed": True}}, block_types={}),
            }
        },
    )
    of_account = ProviderSchema("a", "8.0.0", Block(attributes={}, block_types={}), {ACCOUNT: block}, {})
    planned = plan(
        Provider(of_account),
        {"id": "i", "rule": [{"added": None}]},
        {"id": "i", "rule": [{"added": None}, {"added": None}]},
    )
    assert planned == {"id": "i", "rule": [{"added": None}, {"added": UNKNOWN}]}
