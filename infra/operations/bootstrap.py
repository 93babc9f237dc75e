"""What must be there before the first deploy: the bucket of the Terraform states, roles, billing, quotas, policies.

`python -m infra.operations.bootstrap ENV`, which people type as `scripts/bootstrap`. It can be run again at any time:
it puts right what is not as it should be, and touches nothing else.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import google.auth
import requests
from google.auth.exceptions import DefaultCredentialsError
from google.auth.transport.requests import AuthorizedSession
from google.cloud import storage
from google.cloud.exceptions import GoogleCloudError

from infra.environment import Environment
from infra.environments import ENVIRONMENTS
from infra.operations.credentials import of_a_person
from infra.operations.prerequisites import FIRST_APIS, quotas
from infra.operations.programs import Failed
from infra.operations.refusals import check_own_values

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
NONCURRENT_DAYS = 90  # an older version of a state is for undoing, not for history
EXAMPLES = """\
examples:
  scripts/bootstrap dev --dry-run     say what it would look at and make; asks Google nothing
  scripts/bootstrap dev --owner       print what the project's owner runs once: APIs, Google's own accounts, roles
  scripts/bootstrap dev               check DEV's project, and make the bucket of its Terraform states

exit status: 0 done, 1 a check failed, 2 wrong use"""

# One permission for each kind of thing that the stacks make; who lacks one cannot deploy the environment. All that are
# needed: infra/permissions.
# https://cloud.google.com/iam/docs/permissions-reference
PERMISSIONS = (
    "artifactregistry.repositories.create",
    "cloudkms.keyRings.create",
    "cloudsql.instances.create",
    "compute.networks.create",
    "container.clusters.create",
    "iam.serviceAccounts.create",
    "monitoring.alertPolicies.create",
    "monitoring.dashboards.create",
    "resourcemanager.projects.setIamPolicy",
    "run.services.create",
    "secretmanager.secrets.create",
    "serviceusage.services.enable",
    "storage.buckets.create",
)
BUDGET = "billing.budgets.create"  # on the billing account
SHARING = "iam.allowedPolicyMemberDomains"  # domain-restricted sharing


@dataclass(frozen=True, slots=True)
class Google:
    """The APIs that are asked, over HTTP."""

    session: requests.Session
    resource_manager: str = "https://cloudresourcemanager.googleapis.com"
    billing: str = "https://cloudbilling.googleapis.com"
    compute: str = "https://compute.googleapis.com"

    def ask(self, method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer as JSON. CheckError when it is an error."""
        try:
            answer = self.session.request(method, url, json=body, timeout=30)
        except requests.RequestException as error:
            raise CheckError(f"{url} does not answer: {error}") from error
        if answer.status_code != 200:
            if service := _disabled(answer):
                raise CheckError(
                    f"{service} is off: gcloud services enable {' '.join(FIRST_APIS)} (it takes minutes to count)"
                )
            raise CheckError(f"{url} answers {answer.status_code}: {answer.text.strip()[:300]}")
        return dict(answer.json())


def _disabled(answer: requests.Response) -> str | None:
    """The API that is off, where an answer says so. https://cloud.google.com/apis/design/errors#error_info"""
    try:
        details = answer.json()["error"]["details"]
        return next(str(each["metadata"]["service"]) for each in details if each.get("reason") == "SERVICE_DISABLED")
    except (ValueError, KeyError, TypeError, StopIteration):
        return None


class CheckError(Exception):
    """A check could not be made."""


def faults(env: Environment, apis: Google) -> Iterator[str]:
    """What stands in the way of a first deploy."""
    for check in (_roles, _billing, _quotas, _usage_logs):
        try:
            yield from check(env, apis)
        except CheckError as error:
            yield str(error)


def _roles(env: Environment, apis: Google) -> Iterator[str]:
    # https://cloud.google.com/resource-manager/reference/rest/v3/projects/testIamPermissions
    url = f"{apis.resource_manager}/v3/projects/{env.project}:testIamPermissions"
    held = apis.ask("POST", url, {"permissions": list(PERMISSIONS)}).get("permissions", [])
    if missing := sorted(set(PERMISSIONS) - set(held)):
        yield f"you have no permission for {', '.join(missing)} on {env.project}"


def _billing(env: Environment, apis: Google) -> Iterator[str]:
    # https://cloud.google.com/billing/docs/reference/rest/v1/projects/getBillingInfo
    if not apis.ask("GET", f"{apis.billing}/v1/projects/{env.project}/billingInfo").get("billingEnabled"):
        yield f"{env.project} has no billing account: link one"
    # https://cloud.google.com/billing/docs/reference/rest/v1/billingAccounts/testIamPermissions
    url = f"{apis.billing}/v1/billingAccounts/{env.billing_account}:testIamPermissions"
    if not apis.ask("POST", url, {"permissions": [BUDGET]}).get("permissions"):
        yield f"you have no permission for {BUDGET} on {env.billing_account}: roles/billing.costsManager there has it"


def _quotas(env: Environment, apis: Google) -> Iterator[str]:
    # https://cloud.google.com/compute/docs/reference/rest/v1/regions/get
    url = f"{apis.compute}/compute/v1/projects/{env.project}/regions/{env.region}"
    found = {quota["metric"]: quota for quota in apis.ask("GET", url).get("quotas", [])}
    for metric, need in quotas(env).items():
        quota = found.get(metric, {"limit": 0, "usage": 0})
        if quota["limit"] - quota["usage"] < need:
            yield (
                f"quota {metric} in {env.region}: {quota['usage']:g} of {quota['limit']:g} used, {need} more are needed"
            )


def _usage_logs(env: Environment, apis: Google) -> Iterator[str]:
    """Domain-restricted sharing refuses the group of Google's that delivers the buckets' usage logs.

    Organizations can restrict grants in other ways too (iam.managed.allowedPolicyMembers, custom constraints), which
    this does not see. https://cloud.google.com/resource-manager/docs/organization-policy/domain-restricted-sharing
    """
    if not env.usage_logs:
        return
    # https://cloud.google.com/resource-manager/reference/rest/v1/projects/getEffectiveOrgPolicy
    url = f"{apis.resource_manager}/v1/projects/{env.project}:getEffectiveOrgPolicy"
    policy = apis.ask("POST", url, {"constraint": f"constraints/{SHARING}"}).get("listPolicy", {})
    if policy.get("allowedValues") or policy.get("allValues") == "DENY":
        yield (
            f"the policy {SHARING} of your organization refuses the group that delivers usage logs: set "
            f"usage_logs=False for {env.id} in infra/environments.py (audit logs still say who read and wrote what), "
            f"or have {SHARING} lifted for {env.project} while the storage stack is deployed"
        )


def notes(env: Environment, apis: Google) -> Iterator[str]:
    """What does not stand in the way, and has to be known before anything is made."""
    # https://cloud.google.com/resource-manager/reference/rest/v3/projects/get
    if not apis.ask("GET", f"{apis.resource_manager}/v3/projects/{env.project}").get("parent"):
        yield (
            f"{env.project} is in no organization: the identity-aware proxy lets people in only with an OAuth client "
            "of your own. infra/README.md says how: A project without an organization"
        )


def state_bucket(env: Environment, client: storage.Client) -> list[str]:
    """Make the state bucket, or put right what is not as it should be; returns what was done."""
    bucket = client.lookup_bucket(env.state_bucket)
    done = []
    if bucket is None:
        bucket = client.bucket(env.state_bucket)
        _lock_down(bucket)
        client.create_bucket(bucket, project=env.project, location=env.region)
        done.append(f"made gs://{env.state_bucket} in {env.region}")
    elif wrong := _wrong(bucket):
        _lock_down(bucket)
        bucket.patch()
        done.append(f"put right: {', '.join(wrong)}")
    return done


def _lock_down(bucket: storage.Bucket) -> None:
    bucket.versioning_enabled = True
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.iam_configuration.public_access_prevention = "enforced"
    bucket.lifecycle_rules = [
        {"action": {"type": "Delete"}, "condition": {"daysSinceNoncurrentTime": NONCURRENT_DAYS, "isLive": False}}
    ]


def _wrong(bucket: storage.Bucket) -> list[str]:
    facts = {
        "versioning": bucket.versioning_enabled is True,
        "uniform access": bucket.iam_configuration.uniform_bucket_level_access_enabled is True,
        "public access prevention": bucket.iam_configuration.public_access_prevention == "enforced",
        "life of old versions": bool(list(bucket.lifecycle_rules)),
    }
    return [name for name, right in facts.items() if not right]


def plan(env: Environment) -> list[str]:
    """What a run looks at and makes."""
    return [
        f"check {len(PERMISSIONS)} permissions of yours on {env.project}: {', '.join(PERMISSIONS)}",
        f"check that {env.project} has a billing account, and {BUDGET} on {env.billing_account}",
        f"check quotas in {env.region}: {', '.join(f'{n} more {metric}' for metric, n in quotas(env).items())}",
        f"check that {SHARING} does not refuse usage logs, and whether {env.project} is in an organization",
        f"make gs://{env.state_bucket} in {env.region}, or put it right: versioned, uniform access, public access "
        f"prevented, versions of {NONCURRENT_DAYS} days ago deleted",
    ]


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bootstrap",
        description="Prepare a Google Cloud project for the first deploy.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("env", metavar="ENV", choices=list(ENVIRONMENTS), help=", ".join(ENVIRONMENTS))
    parser.add_argument("--dry-run", action="store_true", help="only say what it would do")
    parser.add_argument("--owner", action="store_true", help="only print the commands of the project's owner")
    options = parser.parse_args(arguments)
    env = ENVIRONMENTS[options.env]
    if options.owner:
        from infra.operations import owner  # it brings the bindings, which take seconds

        print("\n".join(owner.commands(env)))
        return 0
    if options.dry_run:
        print("\n".join(f"would {step}" for step in plan(env)))
        return 0
    try:
        check_own_values(env, os.environ)
    except Failed as error:
        print(f"bootstrap: {error}\nWhat to do: {error.remedy}", file=sys.stderr)
        return 1
    try:
        # Without one, a person's requests count against a project of Google's, where most APIs are off.
        quota_project = env.project if of_a_person(os.environ) else None
        credentials, _ = google.auth.default(scopes=[SCOPE], quota_project_id=quota_project)
    except DefaultCredentialsError:
        print("bootstrap: no credentials; log in: gcloud auth application-default login", file=sys.stderr)
        return 1
    return run(env, Google(AuthorizedSession(credentials)), storage.Client(env.project, credentials))


def run(env: Environment, apis: Google, client: storage.Client) -> int:
    """Check, then make; returns the exit status. Nothing is made when a check fails."""
    if found := list(dict.fromkeys(faults(env, apis))):
        print("\n".join(f"bootstrap: {fault}" for fault in found), file=sys.stderr)
        return 1
    try:
        for note in notes(env, apis):
            print(f"NOTE: {note}")
    except CheckError as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    print(f"{env.project}: permissions, billing, quotas and policies are as they must be")
    try:
        done = state_bucket(env, client)
    except GoogleCloudError as error:
        print(f"bootstrap: gs://{env.state_bucket}: {error}", file=sys.stderr)
        return 1
    print("\n".join(done) or f"gs://{env.state_bucket} is as it must be")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
