import copy
from typing import Any

import pytest

from infra.environments import ENVIRONMENTS, PROD
from infra.rehearsal.rehearse import rehearse_change
from infra.rehearsal.terraform import Terraform
from tests.infra.conftest import Plans, Stacks, alone, planned


def cluster(plans: Plans, env: str = "prod") -> dict[str, Any]:
    return planned(plans(env)["cluster"], "google_container_cluster")["cluster"]


def only(block: list[dict[str, Any]]) -> dict[str, Any]:
    (one,) = block
    return one


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_control_plane_has_one_door_which_iam_guards(plans: Plans, env: str) -> None:
    doors = only(cluster(plans, env)["control_plane_endpoints_config"])
    assert only(doors["dns_endpoint_config"])["allow_external_traffic"] is True
    assert only(doors["ip_endpoints_config"])["enabled"] is False
    private = only(cluster(plans, env)["private_cluster_config"])
    assert (private["enable_private_nodes"], private["enable_private_endpoint"]) == (True, True)
    assert only(cluster(plans, env)["master_authorized_networks_config"])["cidr_blocks"] == []


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_it_is_a_regional_autopilot_on_the_environments_own_network(plans: Plans, env: str) -> None:
    made = cluster(plans, env)
    assert (made["enable_autopilot"], made["location"]) == (True, ENVIRONMENTS[env].region)
    name = f"projects/{ENVIRONMENTS[env].project}/global/networks/{ENVIRONMENTS[env].name('network')}"
    assert made["network"] == name
    ranges = only(made["ip_allocation_policy"])
    assert (ranges["cluster_secondary_range_name"], ranges["services_secondary_range_name"]) == ("pods", "services")


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_only_images_of_the_environments_own_registry_run(plans: Plans, env: str) -> None:
    policy = planned(plans(env)["cluster"], "google_binary_authorization_policy")["admission"]
    chosen = ENVIRONMENTS[env]
    path = f"{chosen.region}-docker.pkg.dev/{chosen.project}/{chosen.name('images')}/**"
    assert [pattern["name_pattern"] for pattern in policy["admission_whitelist_patterns"]] == [path]
    rule = only(policy["default_admission_rule"])
    assert (rule["evaluation_mode"], rule["enforcement_mode"]) == ("ALWAYS_DENY", "ENFORCED_BLOCK_AND_AUDIT_LOG")
    assert policy["global_policy_evaluation_mode"] == "ENABLE"
    mode = only(cluster(plans, env)["binary_authorization"])["evaluation_mode"]
    assert mode == "PROJECT_SINGLETON_POLICY_ENFORCE"


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_kubernetes_secrets_are_encrypted_with_a_key_of_ours(plans: Plans, env: str) -> None:
    secrets = only(cluster(plans, env)["database_encryption"])
    chosen = ENVIRONMENTS[env]
    ring = f"projects/{chosen.project}/locations/{chosen.region}/keyRings/{chosen.name('keys')}"
    assert (secrets["state"], secrets["key_name"]) == ("ENCRYPTED", f"{ring}/cryptoKeys/cluster")


def test_nodes_run_as_an_account_of_their_own(plans: Plans) -> None:
    nodes = only(only(cluster(plans)["cluster_autoscaling"])["auto_provisioning_defaults"])
    assert nodes["service_account"] == "acme-leads-prod-nodes@acme-leads-prod.iam.gserviceaccount.com"
    kubelet = only(only(cluster(plans)["node_pool_auto_config"])["node_kubelet_config"])
    assert kubelet["insecure_kubelet_readonly_port_enabled"] == "FALSE"


def test_what_the_alerts_read_is_measured(plans: Plans) -> None:
    monitoring = only(cluster(plans)["monitoring_config"])
    assert {"POD", "DEPLOYMENT", "HPA"} <= set(monitoring["enable_components"])
    assert only(monitoring["managed_prometheus"])["enabled"] is True


def test_upgrades_come_from_a_channel_in_a_window(plans: Plans) -> None:
    assert only(cluster(plans)["release_channel"])["channel"] == PROD.release_channel
    window = only(only(cluster(plans)["maintenance_policy"])["recurring_window"])
    assert window["recurrence"] == "FREQ=WEEKLY;BYDAY=SA,SU"


def test_subsetting_that_gke_turned_on_by_itself_keeps_the_cluster(stacks: Stacks, engine: Terraform) -> None:
    (cluster,) = (stack for stack in stacks("prod") if stack.name == "prod-cluster")
    deployed = alone(cluster, "google_container_cluster")
    before = copy.deepcopy(deployed)
    before.config["resource"]["google_container_cluster"]["cluster"].pop("enable_l4_ilb_subsetting", None)
    (result,) = rehearse_change([before], [deployed], engine)
    (change,) = result.plan["resource_changes"]
    assert change["change"]["before"]["enable_l4_ilb_subsetting"] is True
    assert change["change"]["actions"] == ["no-op"]


def test_nobody_gets_in_without_an_identity(plans: Plans) -> None:
    made = cluster(plans)
    assert made["enable_legacy_abac"] is False
    assert only(made["anonymous_authentication_config"])["mode"] == "LIMITED"
    assert only(only(made["master_auth"])["client_certificate_config"])["issue_client_certificate"] is False
    assert set(only(made["rbac_binding_config"]).values()) == {False}


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_it_is_backed_up_every_day_under_the_environments_own_key_where_it_asks_for_one(plans: Plans, env: str) -> None:
    plan = planned(plans(env)["cluster"], "google_gke_backup_backup_plan")["backup"]
    assert only(plan["retention_policy"])["backup_retain_days"] == ENVIRONMENTS[env].backup_days
    config = only(plan["backup_config"])
    assert (config["all_namespaces"], config["include_secrets"]) == (True, True)
    keys = [key["gcp_kms_encryption_key"].rpartition("/")[2] for key in config["encryption_key"]]
    assert keys == (["backup"] if ENVIRONMENTS[env].customer_keys else [])


def test_cluster_and_backups_are_protected_from_destruction(stacks: Stacks) -> None:
    (stack,) = (stack for stack in stacks("prod") if stack.name == "prod-cluster")
    for type_name in ("google_container_cluster", "google_gke_backup_backup_plan"):
        (resource,) = stack.config["resource"][type_name].values()
        assert resource["lifecycle"]["prevent_destroy"] is True
    (made,) = stack.config["resource"]["google_container_cluster"].values()
    assert made["deletion_protection"] is True
