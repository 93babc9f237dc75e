from ipaddress import IPv4Network
from typing import Any

import pytest

from infra.environments import DEV, ENVIRONMENTS, PROD
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.terraform import Terraform
from infra.synthesize import synthesize
from service.settings import Settings
from tests.infra.conftest import Plans, Stacks, planned


def rules(plans: Plans, env: str = "prod") -> dict[str, dict[str, Any]]:
    return planned(plans(env)["network"], "google_compute_firewall")


def allowed(rule: dict[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    return [(each["protocol"], tuple(each["ports"] or ())) for each in rule["allow"]]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_everything_is_denied_and_logged_but_what_a_rule_names(plans: Plans, env: str) -> None:
    for direction, field in (("INGRESS", "source_ranges"), ("EGRESS", "destination_ranges")):
        deny = rules(plans, env)[f"deny-{direction.lower()}"]
        assert (deny["direction"], deny[field], deny["allow"]) == (direction, ["0.0.0.0/0"], [])
        assert [each["protocol"] for each in deny["deny"]] == ["all"]
        assert deny["log_config"] == [{"metadata": "INCLUDE_ALL_METADATA"}]
        others = [rule for name, rule in rules(plans, env).items() if not name.startswith("deny")]
        assert all(rule["priority"] < deny["priority"] for rule in others)


def test_only_googles_health_checks_come_in_and_only_to_the_pods_port(plans: Plans) -> None:
    (rule,) = (rule for rule in rules(plans).values() if rule["direction"] == "INGRESS" and rule["allow"])
    assert set(rule["source_ranges"]) == {"35.191.0.0/16", "130.211.0.0/22"}
    assert rule["destination_ranges"] == [PROD.pods_cidr]
    assert allowed(rule) == [("tcp", (str(Settings.model_fields["port"].default),))]


def test_nothing_goes_out_but_to_the_cluster_googles_apis_and_the_database(plans: Plans) -> None:
    out = {
        name: (set(rule["destination_ranges"]), allowed(rule), rule["target_tags"])
        for name, rule in rules(plans).items()
        if rule["direction"] == "EGRESS" and rule["allow"]
    }
    assert out == {
        "allow-egress-cluster": ({PROD.nodes_cidr, PROD.pods_cidr}, [("all", ())], None),
        "allow-egress-google-apis": ({"199.36.153.8/30"}, [("tcp", ("443",))], None),
        "allow-egress-database": ({PROD.peering_cidr}, [("tcp", ("5432",))], ["acme-leads-prod-database-client"]),
    }


@pytest.mark.slow
def test_a_named_range_of_the_internet_can_be_opened_over_https_alone(engine: Terraform) -> None:
    env = DEV.model_copy(update={"internet_cidrs": ("8.8.8.0/24",)})
    stacks = [stack for stack in synthesize(env) if stack.name in {"dev-foundation", "dev-network"}]
    _, network = rehearse(stacks, engine)
    rule = planned(network.plan, "google_compute_firewall")["allow-egress-internet"]
    assert (rule["destination_ranges"], allowed(rule)) == (["8.8.8.0/24"], [("tcp", ("443",))])


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_subnets_are_private_log_their_flows_and_reach_googles_apis(plans: Plans, env: str) -> None:
    subnets = planned(plans(env)["network"], "google_compute_subnetwork")
    assert {name: subnet["ip_cidr_range"] for name, subnet in subnets.items()} == {
        "nodes": ENVIRONMENTS[env].nodes_cidr,
        "run": ENVIRONMENTS[env].run_cidr,
    }
    for subnet in subnets.values():
        assert subnet["private_ip_google_access"] is True
        assert subnet["log_config"][0]["flow_sampling"] == ENVIRONMENTS[env].flow_log_sampling
    ranges = {range_["range_name"]: range_["ip_cidr_range"] for range_ in subnets["nodes"]["secondary_ip_range"]}
    assert ranges == {"pods": ENVIRONMENTS[env].pods_cidr, "services": ENVIRONMENTS[env].services_cidr}


def test_the_network_has_no_subnet_that_nobody_planned(plans: Plans) -> None:
    assert planned(plans("prod")["network"], "google_compute_network")["network"]["auto_create_subnetworks"] is False


def test_names_of_googles_apis_lead_to_the_private_address(plans: Plans) -> None:
    zones = planned(plans("prod")["network"], "google_dns_managed_zone")
    records = planned(plans("prod")["network"], "google_dns_record_set").values()
    assert {zone["visibility"] for zone in zones.values()} == {"private"}
    leads_to = {record["name"]: record["rrdatas"] for record in records}
    for zone in zones.values():
        (name,) = leads_to[f"*.{zone['dns_name']}"]
        assert all(IPv4Network(address).subnet_of(IPv4Network("199.36.153.8/30")) for address in leads_to[name])


def test_what_leaves_for_the_internet_has_one_constant_address(plans: Plans) -> None:
    nat = planned(plans("prod")["network"], "google_compute_router_nat")["nat"]
    assert nat["nat_ip_allocate_option"] == "MANUAL_ONLY"
    assert nat["source_subnetwork_ip_ranges_to_nat"] == "LIST_OF_SUBNETWORKS"


def test_the_databases_range_is_the_one_that_the_environment_names(plans: Plans) -> None:
    range_ = planned(plans("prod")["network"], "google_compute_global_address")["peering_range"]
    assert f"{range_['address']}/{range_['prefix_length']}" == PROD.peering_cidr
    assert (range_["purpose"], range_["address_type"]) == ("VPC_PEERING", "INTERNAL")


def test_network_subnets_addresses_peering_and_zones_cannot_be_destroyed_by_mistake(stacks: Stacks) -> None:
    (stack,) = (stack for stack in stacks("prod") if stack.name == "prod-network")
    for type_name in (
        "google_compute_network",
        "google_compute_subnetwork",
        "google_compute_address",
        "google_compute_global_address",
        "google_service_networking_connection",
        "google_dns_managed_zone",
    ):
        for resource in stack.config["resource"][type_name].values():
            assert resource["lifecycle"] == {"prevent_destroy": True}
