"""How CI gets in without a key: GitHub's own identity tokens, of one branch of one repository, for two accounts.

The planner reads and changes nothing. The deployer is lent to jobs in the protected environment alone; what it may
change it is granted by the project's owner, once, for an account that raises its own rights has all of them.

The branch alone does not say whose code runs: a workflow on `pull_request_target` has the base branch as its ref. So
each account is lent to named events too.
https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines
https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#pull_request_target
"""

from collections.abc import Sequence

from infra.bindings import (
    BucketIamCondition,
    BucketIamMember,
    IdentityPool,
    IdentityProvider,
    IdentityProviderOidc,
    ProjectIamMember,
    ServiceAccount,
    ServiceAccountIamMember,
    TerraformOutput,
    TerraformStack,
)
from infra.environment import Environment

ISSUER = "https://token.actions.githubusercontent.com"
# What GitHub says of a job: https://docs.github.com/en/actions/reference/security/oidc#oidc-token-claims
# A principal set names one attribute, so event and environment are one: `push:prod`, or `schedule:none` of a job in no
# environment. No event's name holds a colon.
CLAIMS = {
    "google.subject": "assertion.sub",
    "attribute.event_environment": (
        "assertion.event_name + ':' + (has(assertion.environment) ? assertion.environment : 'none')"
    ),
}
# The events on which workflows log in as each account; a test compares them with .github/workflows.
PLANNER_EVENTS = ("push", "schedule", "workflow_dispatch")
DEPLOYER_EVENTS = ("push",)

# To compare the cloud with the state Terraform reads every resource, of each its settings and its grants. The budget is
# read with a role on the billing account, which no stack grants: infra/operations/owner.py. A rehearsal proves that
# these roles hold what the reads ask for: infra/permissions.
# https://cloud.google.com/iam/docs/roles-permissions
VIEWERS = (
    "roles/artifactregistry.reader",
    "roles/binaryauthorization.policyViewer",
    "roles/certificatemanager.viewer",
    "roles/cloudkms.viewer",
    "roles/cloudscheduler.viewer",
    "roles/cloudsql.viewer",
    "roles/compute.networkViewer",  # the peering: servicenetworking.services.get, which compute.viewer lacks
    "roles/compute.viewer",  # security policies, which compute.networkViewer lacks
    "roles/container.viewer",  # the cluster and its objects, Secrets not among them
    "roles/dns.reader",
    "roles/gkebackup.viewer",
    "roles/iam.securityReviewer",  # grants on every kind of resource, and the service accounts
    "roles/iam.workloadIdentityPoolViewer",
    "roles/logging.viewer",
    "roles/monitoring.viewer",
    "roles/run.viewer",
    "roles/secretmanager.viewer",  # that secrets are there, not what they are
    "roles/storage.bucketViewer",  # that buckets are there, not what is in them
)


class DeliveryStack(TerraformStack):
    """Identity pool, planner, deployer."""

    def __init__(self, scope: object, id: str, *, env: Environment, alerting: str, smoke: str) -> None:
        """`alerting` is the id of the stack whose state holds the PagerDuty key where the environment pages, `smoke`
        the e-mail address of the account that asks for a score after each deploy."""
        super().__init__(scope, id)
        path = f"projects/{env.project_number}/locations/global/workloadIdentityPools/{env.name('ci')}"
        callers = f"principalSet://iam.googleapis.com/{path}"
        self._provider(env, path)
        self._planner(env, callers, alerting)
        self._deployer(env, callers, smoke)

    def _provider(self, env: Environment, path: str) -> None:
        """The identity pool, whose resource name is `path`, and its provider, which accepts GitHub's tokens."""
        pool = IdentityPool(
            self,
            "ci",
            workload_identity_pool_id=env.name("ci"),
            display_name=f"Lead scoring CI ({env.id})",
            description="Jobs of the repository that this platform is deployed from.",
            disabled=False,
        )
        provider = IdentityProvider(
            self,
            "github",
            workload_identity_pool_id=pool.workload_identity_pool_id,
            workload_identity_pool_provider_id="github",
            display_name="GitHub Actions",
            disabled=False,
            attribute_mapping=CLAIMS,
            # By number: a name that is given up can be taken by somebody else.
            attribute_condition=f"assertion.repository_id == '{env.github_repository_id}' "
            f"&& assertion.repository_owner_id == '{env.github_owner_id}' "
            f"&& assertion.ref == 'refs/heads/{env.github_branch}'",
            oidc=IdentityProviderOidc(
                issuer_uri=ISSUER, allowed_audiences=[f"https://iam.googleapis.com/{path}/providers/github"]
            ),
        )
        TerraformOutput(self, "provider", value=provider.name, description="For google-github-actions/auth.")

    def _planner(self, env: Environment, callers: str, alerting: str) -> None:
        planner = self._account(env, "planner", "Compares what is deployed with what is configured.")
        self._lend(planner, "planner", callers, PLANNER_EVENTS, "none")
        for role in VIEWERS:
            ProjectIamMember(
                self,
                f"planner_{role.removeprefix('roles/').replace('.', '_')}",
                project=env.project,
                role=role,
                member=f"serviceAccount:{planner.email}",
            )
        # The state that holds the key is the deployer's alone.
        states = f"projects/_/buckets/{env.state_bucket}/objects/"
        keyless = BucketIamCondition(
            title="not_the_pagerduty_key", expression=f'!resource.name.startsWith("{states}{alerting}/")'
        )
        BucketIamMember(
            self,
            "planner_states",
            bucket=env.state_bucket,
            role="roles/storage.objectViewer",  # it plans with -lock=false, for a lock is an object
            member=f"serviceAccount:{planner.email}",
            condition=keyless if env.pages else None,
        )

    def _deployer(self, env: Environment, callers: str, smoke: str) -> None:
        deployer = self._account(env, "deployer", "Applies plans that have been reviewed.")
        self._lend(deployer, "deployer", callers, DEPLOYER_EVENTS, env.github_environment)
        BucketIamMember(
            self,
            "deployer_states",
            bucket=env.state_bucket,
            role="roles/storage.objectUser",
            member=f"serviceAccount:{deployer.email}",
        )
        # To sign the token that the smoke test shows at the front door; as that account alone, which can do no more.
        ServiceAccountIamMember(
            self,
            "deployer_smoke",
            service_account_id=f"projects/{env.project}/serviceAccounts/{smoke}",
            role="roles/iam.serviceAccountTokenCreator",
            member=f"serviceAccount:{deployer.email}",
        )

    def _account(self, env: Environment, name: str, does: str) -> ServiceAccount:
        return ServiceAccount(
            self,
            name,
            account_id=env.name(name),
            display_name=f"Lead scoring: {name} ({env.id})",
            description=does,
            disabled=False,
        )

    def _lend(self, account: ServiceAccount, name: str, callers: str, events: Sequence[str], environment: str) -> None:
        """Lend the account to jobs that run on one of `events` in this GitHub environment, or in `none`."""
        for event in events:
            ServiceAccountIamMember(
                self,
                f"{name}_ci_{event}",
                service_account_id=account.name,
                role="roles/iam.workloadIdentityUser",
                member=f"{callers}/attribute.event_environment/{event}:{environment}",
            )
