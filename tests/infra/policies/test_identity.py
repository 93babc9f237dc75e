"""Which callers of the identity pool the policies refuse."""

from typing import Any

import pytest

from infra.policies import identity
from infra.policies.plan import Plan, Resource
from infra.stacks.delivery import CLAIMS

POOL = "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci"
ACCOUNT, PROVIDER = "google_service_account_iam_member", "google_iam_workload_identity_pool_provider"
REPOSITORY = "assertion.repository_id == '1' && assertion.repository_owner_id == '2'"


def resource(type_name: str, **values: Any) -> Resource:
    return Resource(f"{type_name}.r", type_name, values, {}, {}, Plan("delivery", []))


@pytest.mark.parametrize(
    ("condition", "refused"),
    [
        (f"{REPOSITORY} && assertion.ref == 'refs/heads/main'", False),
        (f"{REPOSITORY} && assertion.actor != 'somebody'", False),
        ("assertion.repository_id == '1'", True),
        (f"{REPOSITORY} || assertion.repository == 'acme/other'", True),
        (f"!({REPOSITORY})", True),
        (f"{REPOSITORY} ? true : true", True),
    ],
)
def test_a_provider_that_takes_another_repository_is_refused(condition: str, refused: bool) -> None:
    found = identity.federation_narrow(resource(PROVIDER, attribute_condition=condition))
    assert bool(found) is refused


@pytest.mark.parametrize(
    ("condition", "refused"),
    [
        (f"{REPOSITORY} && assertion.ref == 'refs/heads/main'", False),
        (REPOSITORY, True),
        (f"{REPOSITORY} && assertion.ref == 'refs/tags/v1'", True),
        (f"{REPOSITORY} && assertion.base_ref == 'refs/heads/main'", True),
    ],
)
def test_a_provider_that_takes_any_branch_is_refused(condition: str, refused: bool) -> None:
    found = identity.federation_ref(resource(PROVIDER, attribute_condition=condition))
    assert bool(found) is refused


@pytest.mark.parametrize(
    ("caller", "refused"),
    [
        ("attribute.event_environment/push:prod", False),
        ("attribute.event_environment/schedule:none", False),
        ("attribute.event_environment/pull_request_target:none", True),
        ("attribute.event_environment/pull_request:prod", True),
        ("attribute.event_environment/push", True),
        ("attribute.environment/prod", True),
        ("attribute.ref/refs/heads/main", True),
        ("*", True),
    ],
)
def test_an_account_that_is_lent_to_any_event_is_refused(caller: str, refused: bool) -> None:
    found = identity.federation_event(resource(ACCOUNT, member=f"{POOL}/{caller}"))
    assert bool(found) is refused


def test_an_account_that_is_lent_to_a_subject_whatever_the_event_is_refused() -> None:
    caller = POOL.replace("principalSet:", "principal:") + "/subject/repo:acme/leads:environment:prod"
    assert identity.federation_event(resource(ACCOUNT, member=caller))


def test_an_account_of_our_own_needs_no_event() -> None:
    assert identity.federation_event(resource(ACCOUNT, member="serviceAccount:a@b.iam.gserviceaccount.com")) is None


def test_a_provider_that_maps_no_event_is_refused() -> None:
    assert identity.federation_event(resource(PROVIDER, attribute_mapping=CLAIMS)) is None
    without = CLAIMS | {identity.EVENT: "has(assertion.environment) ? assertion.environment : 'none'"}
    assert identity.federation_event(resource(PROVIDER, attribute_mapping=without))
    assert identity.federation_event(resource(PROVIDER))
