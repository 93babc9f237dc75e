from typing import Any

from infra.environments import ENVIRONMENTS, PROD
from infra.rehearsal.masking import Plan
from infra.stacks.delivery import VIEWERS
from tests.infra.conftest import Plans, planned

POOL = f"projects/{PROD.project_number}/locations/global/workloadIdentityPools/acme-leads-prod-ci"


def provider(plan: Plan) -> dict[str, Any]:
    (found,) = planned(plan, "google_iam_workload_identity_pool_provider").values()
    return found


def holder(plan: Plan, type_name: str, name: str, argument: str = "member") -> str:
    """The account that a grant is for, by its name within the stack."""
    (resource,) = (
        resource
        for resource in plan["configuration"]["root_module"]["resources"]
        if (resource["type"], resource["name"]) == (type_name, name)
    )
    return str(resource["expressions"][argument]["references"][-1]).removeprefix("google_service_account.")


def test_only_githubs_own_tokens_for_the_one_branch_of_the_one_repository_are_taken(plans: Plans) -> None:
    for env in ENVIRONMENTS.values():
        found = provider(plans(env.id)["delivery"])
        assert found["attribute_condition"] == (
            f"assertion.repository_id == '{env.github_repository_id}' "
            f"&& assertion.repository_owner_id == '{env.github_owner_id}' "
            f"&& assertion.ref == 'refs/heads/{env.github_branch}'"
        )
        assert found["disabled"] is False
        (oidc,) = found["oidc"]
        assert oidc["issuer_uri"] == "https://token.actions.githubusercontent.com"
        assert oidc["allowed_audiences"][0].startswith("https://iam.googleapis.com/projects/")


def test_a_job_without_an_environment_is_no_error(plans: Plans) -> None:
    mapping = provider(plans("prod")["delivery"])["attribute_mapping"]
    assert mapping["attribute.event_environment"] == (
        "assertion.event_name + ':' + (has(assertion.environment) ? assertion.environment : 'none')"
    )


def test_each_account_is_lent_to_named_events_and_the_deployer_to_the_protected_environment(plans: Plans) -> None:
    plan = plans("prod")["delivery"]
    lent = planned(plan, "google_service_account_iam_member")
    signs = lent.pop("deployer_smoke")
    callers = f"principalSet://iam.googleapis.com/{POOL}/attribute.event_environment"
    assert {name: grant["member"] for name, grant in lent.items()} == {
        "planner_ci_push": f"{callers}/push:none",
        "planner_ci_schedule": f"{callers}/schedule:none",
        "planner_ci_workflow_dispatch": f"{callers}/workflow_dispatch:none",
        "deployer_ci_push": f"{callers}/push:prod",
    }
    assert {grant["role"] for grant in lent.values()} == {"roles/iam.workloadIdentityUser"}
    for name in lent:
        account = holder(plan, "google_service_account_iam_member", name, "service_account_id")
        assert account == name.partition("_")[0]
    # The deployer signs as the account of the smoke test and as no other.
    assert signs["role"] == "roles/iam.serviceAccountTokenCreator"
    assert signs["service_account_id"].endswith("/acme-leads-prod-smoke@acme-leads-prod.iam.gserviceaccount.com")
    assert holder(plan, "google_service_account_iam_member", "deployer_smoke") == "deployer"


def test_the_planner_can_look_at_everything_and_change_nothing(plans: Plans) -> None:
    plan = plans("prod")["delivery"]
    grants = planned(plan, "google_project_iam_member")
    assert {grant["role"] for grant in grants.values()} == set(VIEWERS)
    assert all(holder(plan, "google_project_iam_member", name) == "planner" for name in grants)
    readers = ("iewer", "eader", "securityReviewer")
    assert all(role.endswith(readers) for role in VIEWERS)
    assert {"roles/iam.securityReviewer", "roles/container.viewer"} <= set(VIEWERS)


def test_nobody_reads_secrets_or_what_is_in_the_buckets(plans: Plans) -> None:
    assert not any("secretAccessor" in role or role.startswith("roles/storage.object") for role in VIEWERS)
    grants = planned(plans("prod")["delivery"], "google_storage_bucket_iam_member")
    assert {grant["bucket"] for grant in grants.values()} == {"acme-leads-prod-state"}


def test_the_planner_reads_states_and_takes_no_lock(plans: Plans) -> None:
    plan = plans("prod")["delivery"]
    grants = planned(plan, "google_storage_bucket_iam_member")
    assert {name: grant["role"] for name, grant in grants.items()} == {
        "planner_states": "roles/storage.objectViewer",
        "deployer_states": "roles/storage.objectUser",
    }
    for name in grants:
        assert holder(plan, "google_storage_bucket_iam_member", name) == name.removesuffix("_states")


def test_the_state_that_holds_the_pagerduty_key_is_the_deployers_alone(plans: Plans) -> None:
    assert PROD.pages
    for env in ENVIRONMENTS.values():
        grant = planned(plans(env.id)["delivery"], "google_storage_bucket_iam_member")["planner_states"]
        kept = f"projects/_/buckets/acme-leads-{env.id}-state/objects/{env.id}-alerting/"
        expressions = [condition["expression"] for condition in grant["condition"]]
        assert expressions == ([f'!resource.name.startsWith("{kept}")'] if env.pages else [])


def test_the_deployer_raises_nobodys_rights_not_even_its_own(plans: Plans) -> None:
    plan = plans("prod")["delivery"]
    assert not [name for name in planned(plan, "google_project_iam_member") if "planner" not in name or "dmin" in name]
