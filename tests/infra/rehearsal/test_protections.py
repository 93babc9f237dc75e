"""What holds a resource against its deletion, in the table and in the stand-in, and what a destroy leaves."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from infra.rehearsal import isolation, protections, schema_cache
from infra.rehearsal.afterlife import Afterlife
from infra.rehearsal.protections import HARMLESS, KEPT, PROTECTIONS, Protection
from infra.rehearsal.schema import Block
from infra.rehearsal.synthesis import Stack, types
from tests.infra.conftest import Stacks

GOOGLE = "registry.terraform.io/hashicorp/google"
ENVIRONMENTS = ("dev", "staging", "prod")
# What arguments are called by which a provider or an API refuses, or does something else than, a deletion.
LOOKS_LIKE_ONE = re.compile(
    r"deletion_protection|deletion_policy|force_de|disable_on_destroy|prevent_(?!.*access)|skip_|abandon|locked$"
    r"|delete_lock|_on_delete|_hold$"
)


def arguments(block: Block, above: str = "") -> Iterator[str]:
    for name, attribute in block["attributes"].items():
        if attribute.get("optional") or attribute.get("required"):
            yield above + name
    for name, nested in block["block_types"].items():
        yield from arguments(nested["block"], f"{above}{name}.")


@pytest.fixture(scope="module")
def used(stacks: Stacks) -> dict[str, frozenset[str]]:
    """The settable arguments of each type of Google's in use."""
    schema = schema_cache.load(GOOGLE)
    names = {name for env in ENVIRONMENTS for name in types(stacks(env), "resource")}
    return {name: frozenset(arguments(schema.resources[name])) for name in names & schema.resources.keys()}


def test_whatever_looks_like_a_protection_is_lifted_or_has_a_reason_to_stay(used: dict[str, frozenset[str]]) -> None:
    looks = {(name, a) for name, known in used.items() for a in known if LOOKS_LIKE_ONE.search(a)}
    lifted = {(each.type, each.argument) for each in PROTECTIONS}
    assert looks - lifted - HARMLESS.keys() == set()
    assert (lifted | HARMLESS.keys()) - looks == set()
    assert not lifted & HARMLESS.keys()


def test_the_table_names_types_and_arguments_that_are_in_use(used: dict[str, frozenset[str]]) -> None:
    assert KEPT.keys() <= used.keys()
    for kept in KEPT.values():
        assert set(kept.name) <= used[kept.type]
        assert set(kept.after) <= used.keys()
        assert (kept.blocks == "deletion") == bool(kept.after)


def each(one: Stack) -> Iterator[tuple[str, dict[str, Any]]]:
    for type_name, resources in one.config.get("resource", {}).items():
        for resource in resources.values():
            yield type_name, json.loads(json.dumps(resource))


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_lifted_is_every_protection_of_our_stacks(env: str, stacks: Stacks) -> None:
    held = [
        (type_name, protections.holding(type_name, resource))
        for one in stacks(env)
        for type_name, resource in each(Stack(one.name, protections.lifted(one.config), one.needs))
    ]
    assert [type_name for type_name, protection in held if protection] == []
    assert any(protections.holding(type_name, resource) for one in stacks(env) for type_name, resource in each(one))


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_what_remains_of_a_stack_refers_to_nothing_that_is_gone(env: str, stacks: Stacks) -> None:
    for one in stacks(env):
        config = protections.only(isolation.unprotected(one.config), protections.kept(one.config))
        text = json.dumps([config["resource"], config.get("data"), config.get("provider")])
        known = {f"{t}.{n}" for t, named in config["resource"].items() for n in named}
        known |= {f"data.{t}.{n}" for t, named in config.get("data", {}).items() for n in named}
        assert set(re.findall(r"\$\{((?:data\.)?[a-z0-9_]+\.\w+)\.", text)) <= known
        assert known >= protections.kept(one.config)
        assert "output" not in config


def test_what_was_never_deployed_is_not_made_by_a_destroy(stacks: Stacks) -> None:
    (delivery,) = (one for one in stacks("prod") if one.name == "prod-delivery")
    pool, account = "google_iam_workload_identity_pool.ci", "google_service_account.planner"
    (half,) = protections.passes(delivery.config, {pool, account})
    assert half[0]["resource"].keys() == {"google_iam_workload_identity_pool"}
    assert half[1][0] == "apply"
    (none,) = protections.passes(delivery.config, {account})
    assert none[1][0] == "destroy"


def test_the_peering_keeps_its_network_and_its_range_and_not_the_way_out(stacks: Stacks) -> None:
    (network,) = (one for one in stacks("prod") if one.name == "prod-network")
    kept = protections.kept(network.config)
    assert {"google_compute_network.network", "google_compute_global_address.peering_range"} <= kept
    assert {address.partition(".")[0] for address in kept}.isdisjoint(
        {"google_compute_router", "google_dns_record_set"}
    )


DATABASE: dict[str, Any] = {"deletion_protection": False, "settings": [{"deletion_protection_enabled": False}]}
PEERING = {"network": "n", "service": "s"}
RING = {"id": "projects/p/locations/r/keyRings/k", "location": "r", "name": "k"}


@pytest.mark.parametrize(
    ("type_name", "state", "says"),
    [
        ("google_sql_database_instance", DATABASE | {"deletion_protection": None}, "deletion_protection=false"),
        (
            "google_sql_database_instance",
            DATABASE | {"settings": [{"deletion_protection_enabled": True}]},
            "settings.deletion_protection_enabled=false",
        ),
        ("google_sql_database_instance", DATABASE, None),
        ("google_secret_manager_secret", {"deletion_protection": True}, "deletion_protection=false"),
        ("google_secret_manager_secret", {"deletion_protection": None}, None),
        ("google_storage_bucket", {"force_destroy": None}, "force_destroy=true"),
        ("google_storage_bucket", {"force_destroy": True}, None),
        ("google_sql_user", {"deletion_policy": ""}, 'deletion_policy="ABANDON"'),
        ("google_service_account", {}, None),
    ],
)
def test_the_stand_in_refuses_to_delete_what_is_protected(type_name: str, state: Any, says: str | None) -> None:
    refused = Afterlife().refuses(type_name, state, None)
    assert (refused is None) if says is None else (refused is not None and says in refused)


def test_a_peering_is_held_by_a_database_that_was_there_and_by_nothing_else() -> None:
    cloud = Afterlife()
    assert cloud.refuses("google_service_networking_connection", PEERING, None) is None
    cloud.applied("google_sql_database_instance", None, DATABASE)
    cloud.applied("google_sql_database_instance", DATABASE, None)
    assert "still in use" in str(cloud.refuses("google_service_networking_connection", PEERING, None))


def test_a_name_that_google_keeps_is_refused_to_a_new_resource_and_can_be_imported() -> None:
    cloud = Afterlife()
    assert cloud.refuses("google_kms_key_ring", None, RING) is None
    cloud.applied("google_kms_key_ring", None, RING)
    cloud.applied("google_kms_key_ring", RING, None)
    assert "Error 409" in str(cloud.refuses("google_kms_key_ring", None, RING))
    assert cloud.refuses("google_kms_key_ring", RING, RING | {"name": "k"}) is None
    assert cloud.refuses("google_kms_key_ring", None, RING | {"name": "other"}) is None
    assert cloud.left("google_kms_key_ring", RING["id"]) == RING
    assert cloud.left("google_kms_crypto_key", RING["id"]) is None


def test_a_log_bucket_keeps_its_name_but_the_one_that_every_project_has_is_taken_over() -> None:
    cloud = Afterlife()
    for name, taken in (("audit", True), ("_Default", False)):
        bucket = {"location": "global", "bucket_id": name}
        cloud.applied("google_logging_project_bucket_config", bucket, None)
        assert bool(cloud.refuses("google_logging_project_bucket_config", None, bucket)) is taken


def test_an_argument_within_a_block_is_lifted_where_the_block_is() -> None:
    protection = Protection("t", "settings.protected", False, unset_holds=True, source="")
    for before in ({"settings": [{"tier": 1}]}, {"settings": {"tier": 1}}):
        resource = json.loads(json.dumps(before))
        protection.lift(resource)
        assert not protection.holds(resource)
    bare: dict[str, Any] = {}
    protection.lift(bare)
    assert bare == {}
