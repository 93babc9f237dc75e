"""What a grant reaches."""

import pytest

from infra.environments import PROD
from infra.permissions.grants import Grant, accounts, admits, granted
from tests.infra.conftest import Stacks, stack

LEASES = 'resource.name.startsWith("buckets/models/objects/leases/")'
POINTER = 'resource.name == "buckets/models/objects/champion.json"'
DATABASE = 'resource.name == "instances/mlflow" && resource.service == "sqladmin.googleapis.com"'

OWN_BUCKET = (
    'resource.service != "storage.googleapis.com" || resource.name == "buckets/spark"'
    ' || resource.name.startsWith("buckets/spark/")'
)


@pytest.mark.parametrize(
    ("condition", "on", "expected"),
    [
        ("", "buckets/models", True),
        (LEASES, "buckets/models/objects/leases/train", True),
        (LEASES, "buckets/models/objects/champion.json", False),
        (LEASES, "buckets/models", False),
        (f"!{LEASES}", "buckets/models/objects/leases/train", False),
        (f"!{LEASES}", "buckets/models/objects/champion.json", True),
        (POINTER, "buckets/models/objects/champion.json", True),
        (POINTER, "buckets/models/objects/champion.json.old", False),
        (DATABASE, "instances/mlflow", True),
        (DATABASE, "instances/other", False),
        (OWN_BUCKET, "project", True),
        (OWN_BUCKET, "buckets/spark", True),
        (OWN_BUCKET, "buckets/spark/objects/run.py", True),
        (OWN_BUCKET, "buckets/spark-2/objects/run.py", False),
        (OWN_BUCKET, "buckets/leads/objects/batch/a.csv", False),
        ("request.time < timestamp('2026-01-01T00:00:00Z')", "buckets/models", False),
    ],
)
def test_a_condition_admits_what_it_names(condition: str, on: str, expected: bool) -> None:
    assert admits(condition, on) is expected


@pytest.mark.parametrize(
    ("granted_on", "on", "expected"),
    [
        ("project", "buckets/models", True),
        ("project", "billing account", False),
        ("billing account", "billing account", True),
        ("billing account", "project", False),
        ("buckets/models", "buckets/models/objects/champion.json", True),
        ("buckets/models", "buckets/models-old/objects/champion.json", False),
        ("buckets/models", "project", False),
    ],
)
def test_a_grant_reaches_its_resource_and_what_is_within(granted_on: str, on: str, expected: bool) -> None:
    assert Grant("jobs", "roles/r", granted_on).covers(on) is expected


def test_grants_of_the_stacks_are_read_with_whom_and_on_what(stacks: Stacks) -> None:
    found = granted(PROD, stacks("prod"))
    assert Grant("jobs", "roles/storage.objectUser", "buckets/models", POINTER) in found
    assert Grant("jobs", "roles/run.invoker", "services/mlflow") in found
    assert Grant("planner", "roles/storage.objectViewer", "buckets/state", _not_the_key()) in found
    assert Grant("nodes", "roles/artifactregistry.reader", "repositories/images") in found
    assert Grant("mlflow", "roles/cloudsql.instanceUser", "project", DATABASE) in found
    assert Grant("deployer", "roles/iam.serviceAccountTokenCreator", "serviceAccounts/smoke") in found
    assert Grant("watcher", "roles/secretmanager.secretAccessor", "secrets/heartbeat-address") in found
    assert {"scoring", "jobs", "planner", "starter"} <= accounts(PROD, stacks("prod"))


def test_every_kind_of_grant_in_the_stacks_is_read(stacks: Stacks) -> None:
    written = [
        resource
        for each in stacks("prod")
        for type_name, resources in each.config.get("resource", {}).items()
        if type_name.endswith(("_iam_member", "_iam_binding", "_iam_policy"))
        for resource in resources
    ]
    assert len(granted(PROD, stacks("prod"))) == len(written)


def test_a_member_that_is_no_account_of_ours_keeps_its_name() -> None:
    agent = "serviceAccount:service-1@gcp-sa-x.iam.gserviceaccount.com"
    grant = {"project": PROD.project, "role": "roles/r", "member": agent}
    (found,) = granted(PROD, [stack(resource={"google_project_iam_member": {"a": grant}})])
    assert found.identity == agent


def _not_the_key() -> str:
    return '!resource.name.startsWith("buckets/state/objects/prod-alerting/")'
