"""What the project's owner runs once: APIs, Google's own accounts, the deployer's roles, roles on the billing account.

An account that could grant itself roles would have all of them; so no stack grants these. On a billing account only
its administrators grant roles (`billing.accounts.setIamPolicy`), and neither of CI's accounts is one.
https://cloud.google.com/iam/docs/roles-permissions
https://cloud.google.com/billing/docs/how-to/billing-access
"""

import shlex
from collections.abc import Iterator

from infra.components import kms_keys
from infra.environment import Environment
from infra.operations.prerequisites import FIRST_APIS
from infra.permissions import tables
from infra.permissions.grants import BILLING_ACCOUNT, Grant

DEPLOYER = (
    "roles/artifactregistry.admin",
    "roles/binaryauthorization.policyEditor",
    "roles/certificatemanager.owner",
    "roles/cloudkms.admin",
    "roles/cloudscheduler.admin",
    "roles/cloudsql.admin",
    # The load balancer too, and the peering: https://cloud.google.com/vpc/docs/configure-private-services-access
    "roles/compute.networkAdmin",
    "roles/compute.securityAdmin",
    "roles/container.admin",
    "roles/dns.admin",
    "roles/gkebackup.admin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser",  # to start jobs and services as the accounts that it makes
    "roles/iam.workloadIdentityPoolAdmin",
    "roles/iap.admin",
    "roles/logging.configWriter",
    "roles/monitoring.editor",
    "roles/resourcemanager.projectIamAdmin",
    "roles/run.admin",
    "roles/secretmanager.admin",  # makes secrets, and reads the two that it hands to Terraform
    "roles/serviceusage.serviceUsageAdmin",
    "roles/storage.admin",
)
# What a person who deploys from a laptop needs beside the deployer's roles: `scripts/deploy --build` reads what the
# registry's scanner found. CI builds nothing.
PERSON = ("roles/containeranalysis.occurrences.viewer",)
# On the billing account: the deployer makes the budget, the planner reads it.
BILLING = {"deployer": "roles/billing.costsManager", "planner": "roles/billing.viewer"}
# A person's requests count against the project (infra/operations/credentials.py), so these must be on before Terraform
# runs: it turns on all others through serviceusage, and reads the project through cloudresourcemanager. The others are
# what `scripts/bootstrap` asks, in a project where nothing is on yet.
APIS = FIRST_APIS
# Who encrypts with a key must exist before it is granted: by service, the account that Google makes.
SERVICES = {
    "container-engine-robot": "container.googleapis.com",
    "dataproc-accounts": "dataproc.googleapis.com",
    "gcp-sa-artifactregistry": "artifactregistry.googleapis.com",
    "gcp-sa-cloud-sql": "sqladmin.googleapis.com",
    "gcp-sa-gkebackup": "gkebackup.googleapis.com",
    "gcp-sa-secretmanager": "secretmanager.googleapis.com",
    "serverless-robot-prod": "run.googleapis.com",
}


def commands(env: Environment) -> list[str]:
    """The owner's commands. Each can be run again."""

    def member(account: str) -> str:
        return f"serviceAccount:{env.email(account)}"

    agents = [agent for users in kms_keys.agents(env).values() for agent in users]
    services = sorted(SERVICES[agent] for agent in agents if agent in SERVICES)
    return [
        "# Once, before the first deploy: APIs, and Google's own accounts, which encrypt with keys of yours",
        f"gcloud services enable {' '.join((*APIS, *services))} --project {env.project}",
        *(f"gcloud beta services identity create --service {each} --project {env.project}" for each in services),
        f"gcloud storage service-agent --project {env.project}",
        *(_own_roles(env) if env.record_engine == "spark" else ()),
        "# Once the delivery stack is there: what CI's deployer may do",
        *(
            f"gcloud projects add-iam-policy-binding {env.project} --member {member('deployer')} --role {role} "
            "--condition None"
            for role in DEPLOYER
        ),
        "# The same, by an administrator of the billing account: what CI's accounts may do there",
        *(
            f"gcloud billing accounts add-iam-policy-binding {env.billing_account} --member {member(account)} "
            f"--role {role}"
            for account, role in BILLING.items()
        ),
    ]


def _own_roles(env: Environment) -> Iterator[str]:
    """Make each role of the project's own, or give it its permissions again."""
    yield "# The roles of the project's own"
    for id, role in tables.read_own_roles().items():
        given = f"{id} --project {env.project} --permissions {','.join(sorted(role.permissions))} --stage GA --quiet"
        title = shlex.quote(role.title)
        yield f"gcloud iam roles create {given} --title {title} || gcloud iam roles update {given} --title {title}"


def grants() -> list[Grant]:
    """The roles that people are granted by hand: CI's accounts, and a person who deploys and tests by smoke."""
    return [
        *(Grant("deployer", role) for role in DEPLOYER),
        *(Grant("person", role) for role in (*DEPLOYER, *PERSON)),
        *(Grant(account, role, BILLING_ACCOUNT) for account, role in BILLING.items()),
        Grant("person", BILLING["deployer"], BILLING_ACCOUNT),
        Grant("person", "roles/iam.serviceAccountTokenCreator", "serviceAccounts/smoke"),
    ]
