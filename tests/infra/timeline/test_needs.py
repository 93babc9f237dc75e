"""What stacks need and make, on small stacks of one's own."""

from typing import Any

import pytest

from infra.rehearsal.synthesis import Stack
from infra.timeline.needs import UnknownTypeError, apis, stack_event, values_from_people
from tests.infra.conftest import stack

BUCKET, SERVICE = "google_storage_bucket", "google_project_service"
API = {"service": "storage.googleapis.com"}


def needs(made: Stack, *others: Stack) -> dict[str, str]:
    return dict(stack_event(made, [made, *others], pointer="p.json").needs)


def test_an_api_that_the_same_stack_turns_on_is_needed_unless_the_resource_waits_for_it() -> None:
    def built(**bucket: Any) -> Stack:
        return stack(resource={SERVICE: {"api": API}, BUCKET: {"b": {"name": "b", **bucket}}})

    found = needs(built())
    assert found["API storage.googleapis.com"] == f"{BUCKET}.b, which does not depend on {SERVICE}.api"
    assert "API storage.googleapis.com" not in needs(built(depends_on=[f"{SERVICE}.api"]))


def test_what_waits_through_another_resource_waits_too() -> None:
    account = {"account_id": "a", "depends_on": [f"{SERVICE}.api"]}
    bucket = {"name": "b", "labels": {"of": "${google_service_account.a.email}"}}
    made = stack(resource={SERVICE: {"api": API}, "google_service_account": {"a": account}, BUCKET: {"b": bucket}})
    assert "API storage.googleapis.com" not in needs(made)


def test_a_secret_is_found_behind_the_output_of_another_stack() -> None:
    output = {"it": {"value": "${google_secret_manager_secret.s.id}"}}
    first = stack(name="first", resource={"google_secret_manager_secret": {"s": {"secret_id": "pw"}}}, output=output)
    remote = {"r": {"backend": "gcs", "config": {"bucket": "states", "prefix": "first"}}}
    volume = {"secret": {"secret": "${data.terraform_remote_state.r.outputs.it}", "items": [{"version": "latest"}]}}
    job = {"name": "j", "volumes": [volume], "env": [{"value": "gs://leads/x"}], "label": "${var.key}"}
    second = stack(
        name="second", resource={"google_cloud_run_v2_job": {"j": job}}, data={"terraform_remote_state": remote}
    )
    event = stack_event(second, [first, second], pointer="p.json")
    assert {"value of secret pw", "state of first", "output first.it", "bucket leads", "bucket states"} <= {
        *event.needs
    }
    assert values_from_people(event) == (["pw"], ["key"])
    assert {"secret pw", "output first.it", "state of first"} <= stack_event(first, [first], pointer="").makes


def test_a_variable_with_a_default_needs_nobody() -> None:
    account = {"account_id": "${var.name}", "display_name": "${var.title}"}
    made = stack(
        resource={"google_service_account": {"a": account}}, variable={"name": {}, "title": {"default": "Robot"}}
    )
    assert values_from_people(stack_event(made, [made], pointer="")) == ([], ["name"])


def test_only_a_rollout_that_is_waited_for_needs_a_model() -> None:
    container = {"env": [{"name": "LEADSCORING_MODELS_URL", "value": "gs://models"}]}
    manifest = {"kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}, "spec": container}
    for wait, there in (({}, False), ({"wait": {"rollout": True}}, True)):
        made = stack(resource={"kubernetes_manifest": {"d": {"manifest": manifest, **wait}}})
        assert ("model gs://models/p.json" in needs(made)) is there


def test_a_type_without_an_entry_is_refused_and_the_longest_entry_counts() -> None:
    assert set(apis("google_sql_database_instance")) > set(apis("google_sql_database"))
    with pytest.raises(UnknownTypeError, match="google_pubsub_topic"):
        apis("google_pubsub_topic")
