"""Broken configurations: where each is caught and what is said, and what nothing here can catch."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from infra.bindings import App, GcsBackend, GoogleProvider, ServiceAccount, TerraformStack
from infra.environment import Environment
from infra.environments import DEV
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.steps import StackError
from infra.rehearsal.terraform import Terraform
from tests.infra.conftest import stack

ACCOUNT = {"account_id": "some-account"}


def bucket(**values: Any) -> dict[str, Any]:
    return {"google_storage_bucket": {"b": {"name": "some-bucket", "location": "EU", **values}}}


def rule(action: dict[str, Any], condition: dict[str, Any]) -> dict[str, Any]:
    return bucket(lifecycle_rule=[{"action": action, "condition": condition}])


def policy(**values: Any) -> dict[str, Any]:
    condition = {"display_name": "c", "condition_prometheus_query_language": {"query": "up == 0"}}
    base = {"display_name": "p", "combiner": "OR", "conditions": [condition]}
    return {"google_monitoring_alert_policy": {"p": base | values}}


def registry(**values: Any) -> dict[str, Any]:
    return {"google_artifact_registry_repository": {"r": {"repository_id": "r", "format": "DOCKER", **values}}}


def cluster(**values: Any) -> dict[str, Any]:
    return {"google_container_cluster": {"c": {"name": "c", "enable_autopilot": True, **values}}}


def job(**variable: Any) -> dict[str, Any]:
    """A Cloud Run job whose container has one variable."""
    task = {"containers": [{"image": "i", "env": [variable]}]}
    return {"google_cloud_run_v2_job": {"j": {"name": "j", "location": "l", "template": {"template": task}}}}


def subnet(cidr: str) -> dict[str, Any]:
    return {"name": "s", "network": "n", "ip_cidr_range": cidr}


# What is broken, where in the rehearsal it is caught, and what is said.
BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "an argument missing": (
        {"google_storage_bucket": {"b": {"name": "some-bucket"}}},
        "validate",
        'The argument "location" is required',
    ),
    "an argument missing deep down": (rule({}, {"age": 1}), "validate", 'The argument "type" is required'),
    "an argument misspelt": (bucket(versionning={"enabled": True}), "validate", 'named "versionning"'),
    "an argument misspelt deep down": (
        rule({"type": "Delete"}, {"agee": 1}),
        "validate",
        'No argument or block type is named "agee"',
    ),
    "a value of the wrong type": (bucket(force_destroy="perhaps"), "validate", "a bool is required"),
    "a value of the wrong type deep down": (
        rule({"type": "Delete"}, {"age": "old"}),
        "validate",
        'Inappropriate value for attribute "age": a number is required',
    ),
    "an alert without conditions": (policy(conditions=[]), "validate", "Insufficient conditions blocks"),
    "a block too many": (
        bucket(versioning=[{"enabled": True}, {"enabled": False}]),
        "validate",
        "Too many versioning blocks",
    ),
    "a reference to nothing": (
        bucket(project="${google_project.none.project_id}"),
        "validate",
        "Reference to undeclared resource",
    ),
    "a reference to an attribute that is not there": (
        {"google_service_account": {"a": ACCOUNT}, **bucket(labels={"a": "${google_service_account.a.emial}"})},
        "validate",
        'no argument, nested block, or exported attribute named "emial"',
    ),
    "a variable that is not declared": (
        bucket(project="${var.project}"),
        "validate",
        "Reference to undeclared input variable",
    ),
    "a cycle": (
        {
            "google_service_account": {
                "a": {"account_id": "${google_service_account.b.account_id}"},
                "b": {"account_id": "${google_service_account.a.account_id}"},
            }
        },
        "validate",
        "Cycle: google_service_account",
    ),
    "a value that is not listed": (policy(combiner="XOR"), "validate", "expected combiner to be one of"),
    "a value that is not listed, deep down": (
        registry(cleanup_policies=[{"id": "old", "condition": {"tag_state": "STALE"}}]),
        "validate",
        "expected cleanup_policies.condition.tag_state to be one of",
    ),
    "a computed value set": (
        {"google_service_account": {"a": ACCOUNT | {"email": "a@b.c"}}},
        "validate",
        "Can't configure a value for 'email'",
    ),
    "a computed value set deep down": (
        registry(vulnerability_scanning_config={"enablement_state": "ON"}),
        "validate",
        "Can't configure a value for 'enablement_state'",
    ),
    "a type that the provider does not have": (
        {"google_storage_bukket": {"b": {}}},
        "validate",
        'does not support resource type "google_storage_bukket"',
    ),
    "a value that changes with every plan": (
        bucket(labels={"now": "${timestamp()}"}),
        "second plan",
        "1 to change",
    ),
    "an argument missing six blocks deep": (
        job(name="KEY", value_source={"secret_key_ref": {"version": "1"}}),
        "validate",
        'The argument "secret" is required',
    ),
    "an argument misspelt six blocks deep": (
        job(name="KEY", value_source={"secret_key_ref": {"secret": "s", "version": "1", "vershun": "1"}}),
        "validate",
        'No argument or block type is named "vershun"',
    ),
    "a list where a text belongs": (bucket(name=["a", "b"]), "validate", "string required"),
    "a text where a block belongs": (bucket(versioning="on"), "validate", "JSON object or a JSON array is required"),
    "two blocks where one is enough, deep down": (
        job(name="KEY", value_source=[{"secret_key_ref": {"secret": "s", "version": "1"}}] * 2),
        "validate",
        "Too many value_source blocks",
    ),
    "nothing where a required argument belongs": (
        bucket(location=None),
        "validate",
        'The argument "location" is required',
    ),
    "an alert without a query": (
        policy(conditions=[{"display_name": "c", "condition_prometheus_query_language": {}}]),
        "validate",
        'The argument "query" is required',
    ),
    "a function that there is not": (
        bucket(labels={"a": '${lowercase("A")}'}),
        "validate",
        'no function named "lowercase"',
    ),
    "a reference to another stack's resource as depends_on": (
        bucket(depends_on=["google_project_service.storage"]),
        "validate",
        "Reference to undeclared resource",
    ),
    "Autopilot with nodes of one's own": (
        cluster(node_pool={"node_count": 1}),
        "validate",
        '"node_pool": conflicts with enable_autopilot',
    ),
    "Autopilot with shielded nodes asked for": (
        cluster(enable_shielded_nodes=True),
        "validate",
        '"enable_shielded_nodes": conflicts with enable_autopilot',
    ),
    "Autopilot with the old Binary Authorization": (
        cluster(binary_authorization={"enabled": True}),
        "validate",
        '"binary_authorization.enabled": conflicts with enable_autopilot',
    ),
}

# The environment's values are judged before a stack is made of them.
BROKEN_VALUES: dict[str, tuple[dict[str, Any], str]] = {
    "a range that is none": ({"nodes_cidr": "10.0.0.0/33"}, "nodes_cidr"),
    "a range with host bits": ({"pods_cidr": "10.0.0.1/16"}, "has host bits set"),
    "a range without length": ({"services_cidr": "10.0.0.0"}, "give a range: address/length"),
    "a public range for nodes": ({"nodes_cidr": "8.8.8.0/22"}, "not within 10.0.0.0/8"),
    "ranges that overlap": ({"peering_cidr": DEV.run_cidr}, "overlaps peering_cidr"),
    "a range within another": ({"pods_cidr": DEV.nodes_cidr.partition("/")[0] + "/20"}, "overlaps pods_cidr"),
    "a range too small to grow": ({"pods_cidr": "192.168.0.0/24"}, "is smaller than /20"),
    "a bad project id": ({"project": "Acme_Leads"}, "project"),
    "a bad prefix": ({"prefix": "acme leads"}, "prefix"),
    "an id too long for the names made of it": ({"id": "development"}, "id"),
    "a bad region": ({"region": "europe"}, "region"),
    "a mail address that is none": ({"ticket_email": "nobody"}, "ticket_email"),
    "a schedule that is none": ({"evaluate_schedule": "every day"}, "evaluate_schedule"),
    "a field that there is not": ({"pager": True}, "Extra inputs are not permitted"),
}

NOT_CAUGHT: dict[str, dict[str, Any]] = {
    "a name against a pattern in the provider's code": bucket(name="Not_A_Bucket's Name"),
    "a name that somebody else in the world has": bucket(name="test"),
    "a role that there is not, for nobody": {
        "google_project_iam_member": {"m": {"project": "p", "role": "roles/none", "member": "somebody"}}
    },
    "a label against a rule of the API": policy(user_labels={"Upper": "Case"}),
    "an expression that is no PromQL": policy(
        conditions=[{"display_name": "c", "condition_prometheus_query_language": {"query": "up up"}}]
    ),
    "a range that is none, written past the environment": {"google_compute_subnetwork": {"s": subnet("10.0.0.0/33")}},
    "ranges that overlap, written past the environment": {
        "google_compute_subnetwork": {"s": subnet("10.0.0.0/24"), "t": subnet("10.0.0.0/16")}
    },
    "a place that Google does not have": bucket(location="MOON"),
    "an image that is nowhere": job(name="KEY", value="v"),
    "a schedule that is none": {
        "google_cloud_scheduler_job": {"s": {"name": "s", "schedule": "every day", "http_target": {"uri": "https://a"}}}
    },
    "a number beyond a limit of the API": rule({"type": "Delete"}, {"age": -1}),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_configuration_fails_where_it_should_and_says_why(fault: str, engine: Terraform) -> None:
    resource, doing, message = BROKEN[fault]
    with pytest.raises(StackError) as failed:
        rehearse([stack(resource=resource)], engine)
    assert (failed.value.stack, failed.value.doing) == ("broken", doing)
    assert message in " ".join(failed.value.said.replace("│", " ").split())


@pytest.mark.parametrize("fault", BROKEN_VALUES)
def test_a_broken_value_of_an_environment_fails_and_says_why(fault: str) -> None:
    values, message = BROKEN_VALUES[fault]
    with pytest.raises(ValidationError) as refused:
        Environment(**{**DEV.model_dump(), **values})
    assert message in str(refused.value)


def test_a_cycle_over_two_stacks_is_refused_before_there_is_anything_to_plan(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path))
    one, other = TerraformStack(app, "one"), TerraformStack(app, "other")
    for each in (one, other):
        GoogleProvider(each, "google", project="some-project")
        GcsBackend(each, bucket="states", prefix=each.node.id)
    first = ServiceAccount(one, "first", account_id="first-account")
    second = ServiceAccount(other, "second", account_id="second-account", description=first.email)
    ServiceAccount(one, "third", account_id="third-account", description=second.email)
    with pytest.raises(RuntimeError, match="circular dependency"):
        app.synth()


@pytest.mark.parametrize("fault", NOT_CAUGHT)
def test_what_only_google_knows_is_not_caught(fault: str, engine: Terraform) -> None:
    assert rehearse([stack(resource=NOT_CAUGHT[fault])], engine)
