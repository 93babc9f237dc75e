import re

from infra.environments import ENVIRONMENTS, PROD
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.synthesis import synthesize
from infra.rehearsal.terraform import Terraform
from tests.infra.conftest import Plans, Stacks, planned


def test_apis_stay_on_when_the_stack_is_destroyed(plans: Plans) -> None:
    services = planned(plans("prod")["foundation"], "google_project_service")
    assert "storage.googleapis.com" in {service["service"] for service in services.values()}
    assert all(service["disable_on_destroy"] is False for service in services.values())


def test_each_workload_has_an_identity_of_its_own(plans: Plans) -> None:
    accounts = planned(plans("prod")["foundation"], "google_service_account")
    assert {name: account["account_id"] for name, account in accounts.items()} == {
        workload: f"acme-leads-prod-{workload}" for workload in ("scoring", "jobs", "mlflow")
    }


def test_nobody_gets_a_basic_role_an_administrators_role_or_a_key_and_the_public_gets_nothing(plans: Plans) -> None:
    for env in ENVIRONMENTS:
        for plan in plans(env).values():
            for resource in plan["resource_changes"]:
                assert not resource["type"].endswith(("_iam_policy", "_iam_binding", "_account_key")), resource["type"]
                values = resource["change"]["after"]
                role, member = values.get("role") or "", values.get("member") or ""
                assert role not in {"roles/owner", "roles/editor", "roles/viewer"}
                assert not role.endswith(("dmin", "wner", "ditor")), role
                assert not member.startswith(("allUsers", "allAuthenticatedUsers", "domain:", "user:")), member


def test_the_whole_project_is_opened_to_nothing_but_the_jobs_time_series(plans: Plans) -> None:
    for env in ENVIRONMENTS:
        grants = [
            (stack, name, grant["role"])
            for stack, plan in plans(env).items()
            for name, grant in planned(plan, "google_project_iam_member").items()
        ]
        assert grants == [("foundation", "jobs_metric_writer", "roles/monitoring.metricWriter")]


def test_a_pushed_image_tag_never_moves(plans: Plans) -> None:
    (registry,) = planned(plans("prod")["foundation"], "google_artifact_registry_repository").values()
    assert registry["docker_config"] == [{"immutable_tags": True}]
    assert registry["location"] == PROD.region


def test_the_registry_cannot_be_destroyed_by_mistake(stacks: Stacks) -> None:
    (registry,) = stacks("prod")[0].config["resource"]["google_artifact_registry_repository"].values()
    assert registry["lifecycle"] == {"prevent_destroy": True}


def test_names_fit_the_clouds_limits_for_the_longest_prefix_and_id(engine: Terraform) -> None:
    env = PROD.model_copy(update={"prefix": "a" * 12, "id": "b" * 8})
    type(env).model_validate(env.model_dump())
    results = rehearse(synthesize(env), engine)
    for result in results:
        for account in planned(result.plan, "google_service_account").values():
            assert re.fullmatch(r"[a-z][-a-z0-9]{4,28}[a-z0-9]", account["account_id"])
        for bucket in planned(result.plan, "google_storage_bucket").values():
            assert re.fullmatch(r"[a-z0-9][-a-z0-9]{1,61}[a-z0-9]", bucket["name"])
