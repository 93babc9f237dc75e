"""What the project's owner runs once, for nobody else may: the deployer's roles, and Google's own accounts.

An account that could grant itself roles would have all of them; so no stack grants these.
https://cloud.google.com/iam/docs/roles-permissions
"""

from infra.environment import Environment
from infra.keys import CUSTOMER_KEYS, SECRETS_KEY

DEPLOYER = (
    "roles/artifactregistry.admin",
    "roles/binaryauthorization.policyEditor",
    "roles/certificatemanager.owner",
    "roles/cloudkms.admin",
    "roles/cloudscheduler.admin",
    "roles/cloudsql.admin",
    "roles/compute.loadBalancerAdmin",
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
    "roles/monitoring.admin",
    "roles/resourcemanager.projectIamAdmin",
    "roles/run.admin",
    "roles/secretmanager.admin",  # makes secrets, and reads the two that it hands to Terraform
    "roles/servicenetworking.networksAdmin",
    "roles/serviceusage.serviceUsageAdmin",
    "roles/storage.admin",
)
# Who encrypts with a key must exist before it is granted: by service, the account that Google makes.
SERVICES = {
    "container-engine-robot": "container.googleapis.com",
    "gcp-sa-artifactregistry": "artifactregistry.googleapis.com",
    "gcp-sa-cloud-sql": "sqladmin.googleapis.com",
    "gcp-sa-gkebackup": "gkebackup.googleapis.com",
    "gcp-sa-secretmanager": "secretmanager.googleapis.com",
    "serverless-robot-prod": "run.googleapis.com",
}


def commands(env: Environment) -> list[str]:
    """The owner's commands. Each can be run again."""
    deployer = f"serviceAccount:{env.name('deployer')}@{env.project}.iam.gserviceaccount.com"
    agents = [*SECRETS_KEY.values(), *(CUSTOMER_KEYS.values() if env.customer_keys else ())]
    services = sorted(SERVICES[agent] for agent in agents if agent in SERVICES)
    return [
        "# Once, before the first deploy: Google's own accounts, which encrypt with keys of yours",
        f"gcloud services enable {' '.join(services)} --project {env.project}",
        *(f"gcloud beta services identity create --service {each} --project {env.project}" for each in services),
        f"gcloud storage service-agent --project {env.project}",
        "# Once the delivery stack is there: what CI's deployer may do",
        *(
            f"gcloud projects add-iam-policy-binding {env.project} --member {deployer} --role {role} --condition None"
            for role in DEPLOYER
        ),
        f"gcloud billing accounts add-iam-policy-binding {env.billing_account} --member {deployer} "
        "--role roles/billing.costsManager",
    ]
