"""What must be there before the first deploy: the bucket of the Terraform states, roles, billing, quotas.

`python -m infra.operations.bootstrap ENV`, which people type as `scripts/bootstrap`. It can be run again at any time:
it puts right what is not as it should be, and touches nothing else.
"""

import argparse
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

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
NONCURRENT_DAYS = 90  # an older version of a state is for undoing, not for history
EXAMPLES = """\
examples:
  scripts/bootstrap dev --dry-run     say what it would look at and make; asks Google nothing
  scripts/bootstrap dev --owner       print what the project's owner runs once: roles, Google's own accounts
  scripts/bootstrap dev               check DEV's project, and make the bucket of its Terraform states

exit status: 0 done, 1 a check failed, 2 wrong use"""

# One permission for each thing that the stacks make; who has them all can deploy the environment.
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
# Compute Engine's quotas of a region, and the room that we ask for in each: a choice with some to spare.
QUOTAS = {"CPUS": 8, "IN_USE_ADDRESSES": 1, "STATIC_ADDRESSES": 1}


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
            raise CheckError(f"{url} answers {answer.status_code}: {answer.text.strip()[:300]}")
        return dict(answer.json())


class CheckError(Exception):
    """A check could not be made."""


def faults(env: Environment, apis: Google) -> Iterator[str]:
    """What stands in the way of a first deploy."""
    for check in (_roles, _billing, _quotas):
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


def _quotas(env: Environment, apis: Google) -> Iterator[str]:
    # https://cloud.google.com/compute/docs/reference/rest/v1/regions/get
    url = f"{apis.compute}/compute/v1/projects/{env.project}/regions/{env.region}"
    quotas = {quota["metric"]: quota for quota in apis.ask("GET", url).get("quotas", [])}
    for metric, need in QUOTAS.items():
        quota = quotas.get(metric, {"limit": 0, "usage": 0})
        if quota["limit"] - quota["usage"] < need:
            yield (
                f"quota {metric} in {env.region}: {quota['usage']:g} of {quota['limit']:g} used, {need} more are needed"
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
        f"check that {env.project} has a billing account",
        f"check quotas in {env.region}: {', '.join(f'{n} more {metric}' for metric, n in QUOTAS.items())}",
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
        credentials, _ = google.auth.default(scopes=[SCOPE])
    except DefaultCredentialsError:
        print("bootstrap: no credentials; log in: gcloud auth application-default login", file=sys.stderr)
        return 1
    return run(env, Google(AuthorizedSession(credentials)), storage.Client(env.project, credentials))


def run(env: Environment, apis: Google, client: storage.Client) -> int:
    """Check, then make; returns the exit status. Nothing is made when a check fails."""
    if found := list(faults(env, apis)):
        print("\n".join(f"bootstrap: {fault}" for fault in found), file=sys.stderr)
        return 1
    print(f"{env.project}: permissions, billing and quotas are as they must be")
    try:
        done = state_bucket(env, client)
    except GoogleCloudError as error:
        print(f"bootstrap: gs://{env.state_bucket}: {error}", file=sys.stderr)
        return 1
    print("\n".join(done) or f"gs://{env.state_bucket} is as it must be")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
