"""What Google changes by itself: the old configurations that a second plan could not accept, and Google's own types."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from google.cloud import monitoring_dashboard_v1
from google.protobuf.json_format import MessageToDict, ParseDict

from infra.rehearsal import changes
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.steps import StackError
from infra.rehearsal.terraform import Terraform
from tests.infra.conftest import Stacks, stack

DASHBOARD = changes.DASHBOARD


def board(**tile: Any) -> dict[str, Any]:
    tiles = [{"width": 4, "height": 4, "widget": {"text": {"content": "x"}}, **tile}]
    return {"dashboard_json": json.dumps({"displayName": "d", "mosaicLayout": {"columns": 12, "tiles": tiles}})}


def service(name: str, **values: Any) -> dict[str, Any]:
    template = {"scaling": {"max_instance_count": 1}, "containers": {"image": "i"}}
    return {"name": name, "location": "l", "template": template, **values}


def cluster(name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, "enable_l4_ilb_subsetting": True, **values}


def alert(condition: dict[str, Any], **strategy: Any) -> dict[str, Any]:
    conditions = {"display_name": "c", **condition}
    return {"display_name": "a", "combiner": "OR", "conditions": conditions, "alert_strategy": strategy}


SCALED = {"min_instance_count": 1}  # comes back as it is written
LIMITED = {
    "scaling": {"max_instance_count": 1},
    "containers": {"image": "i", "resources": {"limits": {"memory": "1Gi"}}},
}
LEAST = {"scaling": {"min_instance_count": 1}, "containers": {"image": "i"}}
SCHEDULED = {"uri": "https://a.example", "oauth_token": {"service_account_email": "a@b.example"}}
# Each is what it was before, as the least that shows it; its name says what Google does to it.
OLD: dict[str, dict[str, dict[str, Any]]] = {
    "google_cloud_run_v2_service": {
        "scaling_comes_back": service("a"),
        "scaling_of_defaults_goes": service("b", scaling={"min_instance_count": 0}),
        "most_instances_come_back": service("c", scaling=SCALED, template=LEAST),
        "cpu_limit_comes_back": service("d", scaling=SCALED, template=LIMITED),
    },
    "google_cloud_scheduler_job": {"header_is_added": {"name": "j", "http_target": SCHEDULED}},
    "google_compute_backend_service": {"client_is_a_blank": {"name": "b", "iap": {"enabled": True}}},
    "google_compute_security_policy": {"adaptive_protection_is_off": {"name": "p"}},
    "google_container_cluster": {
        "state_has_a_second_name": cluster("a", database_encryption={"state": "ENCRYPTED", "key_name": "k"}),
        "components_are_put_in_order": cluster("b", monitoring_config={"enable_components": ["POD", "HPA"]}),
        "logs_are_put_in_order": cluster("c", logging_config={"enable_components": ["WORKLOADS", "SYSTEM_COMPONENTS"]}),
        "endpoint_is_the_apis": cluster(
            "d",
            control_plane_endpoints_config={"ip_endpoints_config": {"enabled": False}},
            private_cluster_config={"enable_private_endpoint": True},
        ),
        "subsetting_is_turned_on": {"name": "e"},
    },
    "google_monitoring_alert_policy": {
        "prompts_come_back": alert({"condition_prometheus_query_language": {"query": "up"}}, auto_close="1800s"),
        "log_entries_have_no_end": alert(
            {"condition_matched_log": {"filter": "f"}}, notification_prompts=["OPENED", "CLOSED"]
        ),
    },
    "google_service_networking_connection": {
        "ranges_come_in_another_order": {"network": "n", "service": "s", "reserved_peering_ranges": ["a", "b"]}
    },
    DASHBOARD: {
        "a_zero_is_left_out": board(xPos=0),
        "an_empty_list_is_left_out": board(widget={"xyChart": {"thresholds": []}}),
    },
}
# As they are now: the second plan must not name them.
NEW: dict[str, dict[str, dict[str, Any]]] = {
    "google_compute_security_policy": {
        "rules_come_in_another_order": {
            "name": "q",
            "rule": [{"action": "allow", "priority": n, "match": {"expr": {"expression": "true"}}} for n in (1, 2)],
            "lifecycle": {"ignore_changes": ["adaptive_protection_config"]},
        }
    },
    DASHBOARD: {"without_zeros": board(xPos=4)},
}


def test_the_second_plan_names_every_value_that_google_changes_and_nothing_else(engine: Terraform) -> None:
    resource = {type_name: OLD.get(type_name, {}) | NEW.get(type_name, {}) for type_name in OLD | NEW}
    with pytest.raises(StackError) as failed:
        rehearse([stack(resource=resource)], engine)
    assert failed.value.doing == "second plan"
    named = set(re.findall(r"# (\S+) (?:will be updated|must be replaced)", failed.value.said))
    assert named == {f"{type_name}.{name}" for type_name, names in OLD.items() for name in names}


def test_every_fact_is_of_a_type_in_use_and_has_a_source(stacks: Stacks) -> None:
    used = {type_name for one in stacks("prod") for type_name in one.config.get("resource", {})}
    assert {fact.type for fact in changes.FACTS} <= used
    assert all(fact.source for fact in changes.FACTS)


def dashboards(stacks: Stacks) -> Iterator[dict[str, Any]]:
    for one in stacks("prod"):
        for resource in one.config.get("resource", {}).get(DASHBOARD, {}).values():
            yield json.loads(resource["dashboard_json"].replace("$${", "${").replace("%%{", "%{"))


def test_our_dashboards_come_back_from_googles_own_types_as_they_are(stacks: Stacks) -> None:
    assert len(list(dashboards(stacks))) > 5
    for shown in dashboards(stacks):
        message = ParseDict(shown, monitoring_dashboard_v1.Dashboard.pb(monitoring_dashboard_v1.Dashboard()))
        back = MessageToDict(message)
        assert back == shown
        state = changes.reported(DASHBOARD, {"dashboard_json": json.dumps(shown)})
        assert {k: v for k, v in json.loads(state["dashboard_json"]).items() if k not in ("name", "etag")} == shown
