"""Real Terraform on configurations that are broken, and on those that are not."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.rehearsal import isolation, protections
from infra.rehearsal.masking import MASK
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.steps import Planned, StackError
from infra.rehearsal.terraform import Terraform
from tests.infra.conftest import PLANTED_KEY, Plans, Rehearsal, Stacks, planned, stack

ACCOUNT = {"account_id": "some-account"}


def bucket(**values: Any) -> dict[str, Any]:
    return {"google_storage_bucket": {"b": {"name": "some-bucket", "location": "EU", **values}}}


def registry(**values: Any) -> dict[str, Any]:
    return {"google_artifact_registry_repository": {"r": {"repository_id": "r", "format": "DOCKER", **values}}}


def reading(output: str) -> dict[str, Any]:
    """The JSON of a stack that reads an output of a stack called `first`."""
    state = {"backend": "gcs", "config": {"bucket": "states", "prefix": "first"}}
    value = f"${{data.terraform_remote_state.first.outputs.{output}}}"
    return {"data": {"terraform_remote_state": {"first": state}}, "resource": bucket(labels={"from": value})}


FIRST = stack(
    name="first",
    resource={"google_service_account": {"a": ACCOUNT}},
    output={"email": {"value": "${google_service_account.a.email}"}},
)


def test_an_output_crosses_stacks(engine: Terraform) -> None:
    _, second = rehearse([FIRST, stack(name="second", **reading("email"))], engine)
    labels = planned(second.plan, "google_storage_bucket")["b"]["labels"]
    assert labels == {"from": "some-account@some-project.iam.gserviceaccount.com"}


def test_an_output_that_the_other_stack_does_not_have_fails(engine: Terraform) -> None:
    with pytest.raises(StackError, match='does not have an attribute named "mail"') as failed:
        rehearse([FIRST, stack(name="second", **reading("mail"))], engine)
    assert (failed.value.stack, failed.value.doing) == ("second", "plan")


def test_a_stack_that_is_deployed_before_what_it_reads_fails(engine: Terraform) -> None:
    with pytest.raises(StackError, match="Unable to find remote state"):
        rehearse([stack(name="second", **reading("email")), FIRST], engine)


def test_a_data_source_is_answered_with_made_up_values(engine: Terraform) -> None:
    data: dict[str, Any] = {"google_storage_project_service_account": {"gcs": {}}}
    labels = {"agent": "${data.google_storage_project_service_account.gcs.email_address}"}
    (result,) = rehearse([stack(data=data, resource=bucket(labels=labels))], engine)
    assert planned(result.plan, "google_storage_bucket")["b"]["labels"]["agent"].startswith("rehearsed-")


def test_a_documented_default_is_planned(engine: Terraform) -> None:
    (result,) = rehearse([stack(resource=registry())], engine)
    assert planned(result.plan, "google_artifact_registry_repository")["r"]["mode"] == "STANDARD_REPOSITORY"


def database(**settings: Any) -> dict[str, Any]:
    values = {"name": "d", "database_version": "POSTGRES_17", "deletion_protection": True}
    return {"google_sql_database_instance": {"d": values | {"settings": {"tier": "db-f1-micro", **settings}}}}


@pytest.mark.parametrize(
    "resource",
    [
        database(disk_size=10),
        {"google_container_cluster": {"c": {"name": "c", "enable_autopilot": True, "deletion_protection": True}}},
    ],
)
def test_a_replacement_after_what_google_changes_by_itself_fails_the_second_plan(
    resource: dict[str, Any], engine: Terraform
) -> None:
    with pytest.raises(StackError, match="must be replaced") as failed:
        rehearse([stack(resource=resource)], engine)
    assert failed.value.doing == "second plan"


def test_a_disk_without_a_size_or_without_autoresize_passes(engine: Terraform) -> None:
    rehearse([stack(resource=database())], engine)
    rehearse([stack(resource=database(disk_size=10, disk_autoresize=False))], engine)


def test_every_stack_goes_through_every_step_and_is_destroyed_in_reverse(
    stacks: Stacks, rehearsal: Callable[[str], Rehearsal]
) -> None:
    done = rehearsal("prod").steps
    for each in stacks("prod"):
        steps = [doing for name, doing in done if name == each.name]
        again = ["deploy again"] if protections.kept(each.config) else []
        assert steps == ["init", "validate", "plan", "apply", "second plan", "destroy", *again]
        for needed in each.needs:
            assert done.index((needed, "second plan")) < done.index((each.name, "init"))
            assert done.index((each.name, "destroy")) < done.index((needed, "destroy"))
    applied = [done.index((each.name, "second plan")) for each in stacks("prod")]
    assert max(applied) < min(done.index((each.name, "destroy")) for each in stacks("prod"))
    assert {name for name, doing in done if doing == "deploy again"} == {
        "prod-foundation",
        "prod-delivery",
        "prod-network",
    }


def test_what_is_protected_cannot_be_destroyed_by_a_bare_destroy(
    engine: Terraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "unprotected", lambda config: config)
    with pytest.raises(StackError, match="Instance cannot be destroyed") as failed:
        rehearse([stack(resource=bucket(lifecycle={"prevent_destroy": True}))], engine)
    assert failed.value.doing == "destroy"


def test_the_bindings_must_be_of_the_version_that_the_stacks_ask_for(engine: Terraform) -> None:
    other = stack(resource=bucket())
    other.config["terraform"]["required_providers"]["google"]["version"] = "7.0.0"
    with pytest.raises(StackError, match=r"the stacks ask for 7\.0\.0, the installed bindings are of 6\.50\.0"):
        rehearse([other], engine)


def test_a_provider_without_a_stand_in_is_not_fetched_from_anywhere(engine: Terraform) -> None:
    other = stack(resource={"random_pet": {"p": {}}})
    other.config["terraform"]["required_providers"]["random"] = {"source": "hashicorp/random", "version": "3.7.2"}
    with pytest.raises(StackError) as failed:
        rehearse([other], engine)
    said = " ".join(failed.value.said.split())
    assert failed.value.doing == "init"
    assert "hashicorp/random was not found in any of the search locations" in said
    assert "no-other-providers" in said


def test_a_rehearsal_locks_no_provider_and_leaves_nothing_behind(rehearsal: Callable[[str], Rehearsal]) -> None:
    seen = rehearsal("prod")
    assert "prod-storage.tfstate" in seen.states
    assert (seen.locks, seen.providers, seen.left) == (set(), set(), [])


def test_the_key_of_pagerduty_reaches_terraform_and_no_plan_that_leaves_the_rehearsal(
    rehearsal: Callable[[str], Rehearsal],
) -> None:
    seen = rehearsal("prod")
    assert seen.with_key == ["prod-alerting.tfstate"]
    assert PLANTED_KEY not in json.dumps([result.plan for result in seen.planned])


def test_the_key_is_masked_where_the_plan_would_show_it(
    rehearsed: Callable[[str], list[Planned]], plans: Plans
) -> None:
    channel = planned(plans("prod")["alerting"], "google_monitoring_notification_channel")["pagerduty"]
    assert channel["sensitive_labels"][0]["service_key"] == MASK
    assert plans("prod")["alerting"]["variables"]["pagerduty_key"]["value"] == MASK
    assert PLANTED_KEY not in json.dumps([result.plan for result in rehearsed("prod")])
