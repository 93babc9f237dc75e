"""The review sheet of a change that real Terraform has planned."""

import copy
from typing import Any

import pytest

from infra.rehearsal.rehearse import rehearse_change
from infra.rehearsal.steps import Planned
from infra.rehearsal.terraform import Terraform
from infra.review import access, costs, sheet
from infra.review.guard import Finding
from tests.facts import states
from tests.infra.conftest import stack


def policy(threshold: str, severity: str = "WARNING") -> dict[str, Any]:
    query = {"query": f'sum(rate(errors{{code=~"5.."}}[5m])) > {threshold}', "duration": "60s"}
    condition = {"display_name": "c", "condition_prometheus_query_language": query}
    return {"display_name": "p", "combiner": "OR", "severity": severity, "conditions": [condition]}


def grant(role: str, member: str) -> dict[str, Any]:
    return {"bucket": "b", "role": role, "member": member}


BASE = stack(
    name="s",
    resource={
        "google_storage_bucket": {
            "b": {"name": "b", "location": "EU", "public_access_prevention": "enforced"},
            "old": {"name": "old", "location": "EU", "public_access_prevention": "enforced"},
        },
        "google_storage_bucket_iam_member": {
            "reads": grant("roles/storage.objectViewer", "user:one@example.org"),
        },
        "google_monitoring_alert_policy": {"Slow": policy("0.01"), "Same": policy("3")},
        "google_compute_global_forwarding_rule": {
            "r": {"name": "r", "target": "t", "port_range": "80", "load_balancing_scheme": "EXTERNAL_MANAGED"}
        },
    },
)
HEAD = copy.deepcopy(BASE)
HEAD.config["resource"] = {
    "google_storage_bucket": {
        "b": {"name": "b", "location": "US", "public_access_prevention": "inherited"},
    },
    "google_storage_bucket_iam_member": {
        "reads": grant("roles/storage.objectViewer", "${google_service_account.a.member}"),
    },
    "google_service_account": {"a": {"account_id": "some-account"}},
    "google_monitoring_alert_policy": {
        "Slow": policy("0.05", "CRITICAL"),
        "Same": policy("3"),
        "New": policy("0.5"),
    },
}


@pytest.fixture(scope="module")
def change(engine: Terraform) -> list[Planned]:
    return rehearse_change([BASE], [HEAD], engine)


@pytest.fixture(scope="module")
def text(change: list[Planned]) -> str:
    found = [Finding("s/google_storage_bucket.b", "would be replaced"), Finding("s/x.y", "would be destroyed")]
    allowed = {"s/x.y": "copied elsewhere"}
    return sheet.render("prod", change, against="main", found=found, allowed=allowed, policies="All passed.")


def section(text: str, title: str) -> str:
    return text.partition(f"## {title}\n\n")[2].partition("\n\n## ")[0].strip()


def test_what_is_added_changed_replaced_and_destroyed_is_counted_by_stack(text: str) -> None:
    assert text.startswith("# Review of prod, against `main`\n")
    shown = section(text, "Resources")
    assert "| s | 2 | 1 | 2 | 2 |" in shown
    assert "- s: replace `google_storage_bucket.b`" in shown
    assert "- s: replace `google_storage_bucket_iam_member.reads`" in shown
    assert "- s: destroy `google_storage_bucket.old`" in shown


def test_what_becomes_of_stateful_resources_is_said_with_the_reason_of_an_override(text: str) -> None:
    replaced, destroyed = section(text, "Stateful resources").splitlines()
    states(replaced, "s/google_storage_bucket.b", "replaced", "refused")
    states(destroyed, "s/x.y", "destroyed", "allowed", "copied elsewhere")


def test_identities_and_grants_gained_and_lost_are_named(text: str) -> None:
    assert section(text, "Identities") == "- gained: service account some-account"
    gained, lost = section(text, "Grants").splitlines()
    states(gained, "gained", "google_service_account.a.member", "roles/storage.objectViewer", "storage bucket b")
    states(lost, "lost", "user:one@example.org", "roles/storage.objectViewer", "storage bucket b")


def test_exposure_to_the_internet_gained_and_lost_is_named(text: str) -> None:
    gained, lost = section(text, "Exposure to the internet").splitlines()
    states(gained, "gained", "google_storage_bucket.b", "public")
    states(lost, "lost", "google_compute_global_forwarding_rule.r", "internet", "port 80")


def test_alert_thresholds_are_shown_old_and_new_where_they_change(text: str) -> None:
    assert section(text, "Alert thresholds").splitlines()[2:] == [
        "| New | none | 0.5 for 60s, WARNING |",
        "| Slow | 0.01 for 60s, WARNING | 0.05 for 60s, CRITICAL |",
    ]


def test_what_the_policies_say_stands_in_the_sheet(text: str) -> None:
    assert section(text, "Policies") == "All passed."


def test_costs_are_estimated_as_far_as_prices_are_known_and_say_what_is_missing(text: str) -> None:
    shown = section(text, "Cost a month")
    assert "18.25 before, **0.00** after" in " ".join(text.split())
    assert "1: 18.25 | none" in text
    assert "2: price missing | 1: price missing" in text
    states(text.splitlines(), "No price", "buckets, alert policies")
    assert f"read on {costs.READ}" in shown


def test_without_a_change_the_sheet_says_so(engine: Terraform) -> None:
    planned = rehearse_change([BASE], [BASE], engine)
    shown = sheet.render("dev", planned, against="main", policies="")
    for title in ("Identities", "Grants", "Exposure to the internet", "Alert thresholds"):
        assert section(shown, title) == "No change."
    states(section(shown, "Stateful resources"), "None")


EXTERNAL = {"load_balancing_scheme": "EXTERNAL_MANAGED"}


@pytest.mark.parametrize(
    ("type_name", "values", "exposed"),
    [
        ("google_storage_bucket_iam_member", grant("roles/storage.objectViewer", "allUsers"), 1),
        ("google_compute_firewall", {"direction": "INGRESS", "allow": [{}], "source_ranges": ["0.0.0.0/0"]}, 1),
        ("google_compute_firewall", {"direction": "INGRESS", "deny": [{}], "source_ranges": ["0.0.0.0/0"]}, 0),
        ("google_compute_firewall", {"direction": "EGRESS", "allow": [{}], "source_ranges": ["0.0.0.0/0"]}, 0),
        ("google_compute_backend_service", EXTERNAL, 2),
        ("google_compute_backend_service", EXTERNAL | {"iap": [{"enabled": True}], "security_policy": "p"}, 0),
        ("google_cloud_run_v2_service", {"ingress": "INGRESS_TRAFFIC_ALL"}, 1),
        ("google_cloud_run_v2_service", {"ingress": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"}, 0),
        ("google_cloud_run_v2_service", {"ingress": None, "invoker_iam_disabled": True}, 2),
        ("google_container_cluster", {}, 2),
        (
            "google_container_cluster",
            {
                "private_cluster_config": [{"enable_private_nodes": True}],
                "control_plane_endpoints_config": [
                    {
                        "dns_endpoint_config": [{"allow_external_traffic": True}],
                        "ip_endpoints_config": [{"enabled": False}],
                    }
                ],
            },
            1,
        ),
        ("google_sql_database_instance", {"settings": [{"ip_configuration": [{"ipv4_enabled": False}]}]}, 0),
        (
            "google_sql_database_instance",
            {"settings": [{"ip_configuration": [{"authorized_networks": [{"value": "0.0.0.0/0"}]}]}]},
            2,
        ),
        ("google_service_account", {"account_id": "a"}, 0),
    ],
)
def test_what_the_internet_reaches_is_known(type_name: str, values: dict[str, Any], exposed: int) -> None:
    side = access.Access()
    side.add(type_name, "n", values)
    assert len(side.exposure) == exposed


def test_the_first_forwarding_rules_cost_as_much_together() -> None:
    rules = ["google_compute_global_forwarding_rule"]
    (line,) = costs.estimate(rules * 2, rules * 7)
    assert (line.usd_before, line.usd_after) == (18.25, 18.25 + 2 * 7.30)
    assert costs.estimate([], []) == []


def test_one_resource_can_have_a_price_of_its_own() -> None:
    (line,) = costs.estimate(["google_compute_subnetwork.run"], ["google_compute_subnetwork.spark"])
    assert (line.before, line.after, line.usd_after) == (0, 1, 0.0)
    assert "DCU" in line.leaves_out
    assert costs.unpriced(["google_compute_subnetwork.spark"]) == []


def test_a_missing_price_is_no_price() -> None:
    (line,) = costs.estimate([], ["google_sql_database_instance"])
    assert (line.usd_before, line.usd_after) == (0.0, None)
    assert costs.unpriced(["google_sql_database_instance", "google_service_account"]) == ["google_service_account"]
