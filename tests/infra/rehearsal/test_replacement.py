"""What the table and the conditions say of a change, and what real Terraform makes of it."""

import copy
from typing import Any

import pytest

from infra.rehearsal import replacement
from infra.rehearsal.rehearse import rehearse_change
from infra.rehearsal.replacement import CONDITIONS, replaces
from infra.rehearsal.rules import RULES
from infra.rehearsal.synthesis import Stack
from infra.rehearsal.terraform import Terraform
from infra.rehearsal.values import UNKNOWN
from tests.infra.conftest import stack

INSTANCE, CLUSTER, SUBNET = "google_sql_database_instance", "google_container_cluster", "google_compute_subnetwork"
SECRET, BUCKET = "google_secret_manager_secret", "google_storage_bucket"


def test_every_condition_of_the_table_is_written_and_no_other() -> None:
    assert {name for rules in RULES.values() for name in rules.replaces_if.values()} == CONDITIONS.keys()


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": None}, {"a": ""}, []),
        ({"a": []}, {"a": None}, []),
        ({"a": None}, {"a": False}, ["a"]),
        ({"a": [{"b": 1, "c": 1}]}, {"a": [{"b": 2, "c": 1}]}, ["a.b"]),
        ({"a": []}, {"a": [{"b": 1, "c": None}]}, ["a", "a.b"]),
        ({"a": [{"b": [{"c": 1}]}]}, {"a": []}, ["a", "a.b", "a.b.c"]),
        ({"a": {"k": "v"}}, {"a": {"k": "w"}}, ["a"]),
        ({"a": ["x", "y"]}, {"a": ["x"]}, ["a"]),
        ({"a": UNKNOWN}, {"a": [{"b": 1}]}, ["a", "a.b"]),
    ],
)
def test_what_changed_is_named_without_positions(before: Any, after: Any, paths: list[str]) -> None:
    assert replacement.changed(before, after) == paths


def nested(path: str, value: Any) -> dict[str, Any]:
    step, _, below = path.partition(".")
    return {step: [nested(below, value)] if below else value}


@pytest.mark.parametrize(
    ("type_name", "path", "before", "after", "replaced"),
    [
        (INSTANCE, "settings.collation", "a", "b", True),
        (INSTANCE, "settings.tier", "a", "b", False),
        (INSTANCE, "settings.time_zone", "a", "b", False),
        (INSTANCE, "settings.disk_size", 20, 10, True),
        (INSTANCE, "settings.disk_size", 10, 20, False),
        (INSTANCE, "settings.disk_size", 10, None, False),
        (INSTANCE, "settings.disk_size", 10, UNKNOWN, False),
        (INSTANCE, "settings.ip_configuration.private_network", "n", None, True),
        (INSTANCE, "settings.ip_configuration.private_network", None, "n", False),
        (INSTANCE, "settings.ip_configuration.private_network", "n", "m", False),
        (INSTANCE, "master_instance_name", None, "m", True),
        (CLUSTER, "enable_l4_ilb_subsetting", True, False, True),
        (CLUSTER, "enable_l4_ilb_subsetting", True, None, True),
        (CLUSTER, "enable_l4_ilb_subsetting", False, True, False),
        (CLUSTER, "enable_l4_ilb_subsetting", None, True, False),
        (CLUSTER, "enable_fqdn_network_policy", True, False, True),
        (CLUSTER, "enable_k8s_beta_apis.enabled_apis", ["a", "b"], ["a"], True),
        (CLUSTER, "enable_k8s_beta_apis.enabled_apis", ["a"], ["a", "b"], False),
        (CLUSTER, "dns_config.additive_vpc_scope_dns_domain", "a", "b", False),
        (CLUSTER, "resource_labels", {"a": "b"}, {"a": "c"}, False),
        (CLUSTER, "network", "a", "b", True),
        (SUBNET, "ip_cidr_range", "10.0.0.0/24", "10.0.0.0/25", True),
        (SUBNET, "ip_cidr_range", "10.0.0.0/24", "10.0.0.0/23", False),
        (SUBNET, "ip_cidr_range", "10.0.0.0/24", "10.1.0.0/24", True),
        (SUBNET, "ip_cidr_range", "10.0.0.0/24", UNKNOWN, False),
        (BUCKET, "retention_policy.is_locked", True, False, True),
        (BUCKET, "retention_policy.is_locked", False, True, False),
        (SECRET, "replication.auto", [], [{}], True),
        (SECRET, "replication.auto.customer_managed_encryption.kms_key_name", None, "k", False),
        ("google_project_iam_member", "role", "a", "b", True),
        ("kubernetes_manifest", "manifest", "a", "b", False),
    ],
)
def test_a_change_replaces_as_the_code_says(type_name: str, path: str, before: Any, after: Any, replaced: bool) -> None:
    assert replaces(type_name, nested(path, before), nested(path, after)) == ([path] if replaced else [])


def test_a_block_of_a_set_that_changes_is_another_block() -> None:
    labels = [[{"key": "k", "value_type": "STRING", "description": text}] for text in ("a", "b")]
    before, after = (nested("metric_descriptor.labels", blocks) for blocks in labels)
    replaced = ["metric_descriptor.labels.key", "metric_descriptor.labels.value_type"]
    assert replaces("google_logging_metric", before, after) == replaced


def test_of_an_autopilot_cluster_another_dns_domain_replaces() -> None:
    before, after = (nested("dns_config.additive_vpc_scope_dns_domain", value) for value in ("a", "b"))
    autopilot = {"enable_autopilot": True}
    assert replaces(CLUSTER, before | autopilot, after | autopilot) == ["dns_config.additive_vpc_scope_dns_domain"]


def test_a_primary_that_becomes_the_replica_of_its_replica_is_kept() -> None:
    before = {"instance_type": "CLOUD_SQL_INSTANCE", "replica_names": ["r"], "replica_configuration": []}
    after = {"instance_type": "READ_REPLICA_INSTANCE", "replica_names": [], "replica_configuration": [{}]}
    assert replaces(INSTANCE, before, after | {"master_instance_name": "r"}) == []
    assert replaces(INSTANCE, before, after | {"master_instance_name": "other"}) == ["master_instance_name"]


BEFORE = stack(
    name="s",
    resource={
        BUCKET: {"b": {"name": "b", "location": "EU", "storage_class": "STANDARD"}},
        "google_service_account": {"a": {"account_id": "some-account", "display_name": "A"}},
        INSTANCE: {
            "d": {
                "database_version": "POSTGRES_17",
                "settings": {"tier": "t", "disk_size": 20, "disk_autoresize": False},
            }
        },
    },
)


def test_terraform_replaces_what_the_table_and_the_conditions_say(engine: Terraform) -> None:
    after: Stack = copy.deepcopy(BEFORE)
    resources = after.config["resource"]
    resources[BUCKET]["b"]["hierarchical_namespace"] = {"enabled": True}
    resources["google_service_account"]["a"] |= {"account_id": "another-account"}
    resources[INSTANCE]["d"]["settings"] |= {"disk_size": 10}
    (result,) = rehearse_change([BEFORE], [after], engine)
    actions = {change["type"]: change["change"]["actions"] for change in result.plan["resource_changes"]}
    assert actions == {type_name: ["delete", "create"] for type_name in resources}


def test_terraform_changes_in_place_what_they_do_not_name(engine: Terraform) -> None:
    after: Stack = copy.deepcopy(BEFORE)
    resources = after.config["resource"]
    resources[BUCKET]["b"]["storage_class"] = "NEARLINE"
    resources["google_service_account"]["a"]["display_name"] = "B"
    resources[INSTANCE]["d"]["settings"] |= {"disk_size": 30}
    (result,) = rehearse_change([BEFORE], [after], engine)
    actions = {change["type"]: change["change"]["actions"] for change in result.plan["resource_changes"]}
    assert actions == {type_name: ["update"] for type_name in resources}
