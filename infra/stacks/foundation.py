"""What everything else stands on: service APIs, one identity per workload, the image registry."""

from infra.bindings import (
    Key,
    KeyIamMember,
    KeyRing,
    KeyVersions,
    Lifecycle,
    ProjectIamMember,
    ProjectService,
    Registry,
    RegistryDocker,
    RegistryIamMember,
    RegistryScanning,
    Secret,
    SecretEncryption,
    SecretIamMember,
    SecretPlaces,
    SecretReplica,
    SecretReplication,
    ServiceAccount,
    TerraformStack,
)
from infra.environment import Environment

APIS = (
    "artifactregistry.googleapis.com",
    "billingbudgets.googleapis.com",
    "binaryauthorization.googleapis.com",
    "certificatemanager.googleapis.com",
    "cloudkms.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "compute.googleapis.com",
    "container.googleapis.com",
    "containerscanning.googleapis.com",
    "dns.googleapis.com",
    "gkebackup.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "iap.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "servicenetworking.googleapis.com",
    "sqladmin.googleapis.com",
    "storage.googleapis.com",
    "sts.googleapis.com",
)

# Who encrypts with each key: Google's own accounts in the project. https://cloud.google.com/iam/docs/service-agents
# One that is not there yet is made by `gcloud beta services identity create`, which this provider version cannot.
SECRETS_KEY = {"cluster": "container-engine-robot"}
CUSTOMER_KEYS = {
    "backup": "gcp-sa-gkebackup",
    "database": "gcp-sa-cloud-sql",
    "images": "gcp-sa-artifactregistry",
    "run": "serverless-robot-prod",
    "secrets": "gcp-sa-secretmanager",
    "storage": "gs-project-accounts",
}


class FoundationStack(TerraformStack):
    """APIs, service accounts, keys, registry. The attributes are the accounts' e-mail addresses and the keys' ids."""

    scoring: str
    jobs: str
    mlflow: str
    migrator: str
    nodes: str
    migrator_password: str  # the secret's id
    keys: dict[str, str]  # by use; one that is missing is Google's

    def __init__(self, scope: object, id: str, *, env: Environment) -> None:
        super().__init__(scope, id)
        apis = [
            # Never switched off by a destroy: other things in the project may use the same API.
            ProjectService(self, api.partition(".")[0], project=env.project, service=api, disable_on_destroy=False)
            for api in APIS
        ]

        def account(workload: str, does: str) -> str:
            """A service account without keys: workloads get its tokens from the platform they run on."""
            account = ServiceAccount(
                self,
                workload,
                account_id=env.name(workload),
                display_name=f"Lead scoring: {workload} ({env.id})",
                description=does,
                depends_on=apis,
            )
            return str(account.email)

        self.scoring = account("scoring", "Answers requests for scores.")
        self.jobs = account("jobs", "Evaluates, watches for drift, retrains, scores in batches.")
        self.mlflow = account("mlflow", "Runs the MLflow server.")
        self.migrator = account("migrator", "Brings the schema of MLflow's database up to date.")
        self.nodes = account("nodes", "Runs the cluster's nodes: pulls images, writes their logs and metrics.")

        # Time series belong to a project: Cloud Monitoring has nothing narrower to grant on.
        ProjectIamMember(
            self,
            "jobs_metric_writer",
            project=env.project,
            role="roles/monitoring.metricWriter",
            member=f"serviceAccount:{self.jobs}",
        )

        # The least that nodes need, in Google's own words.
        # https://cloud.google.com/kubernetes-engine/docs/how-to/hardening-your-cluster#use_least_privilege_sa
        ProjectIamMember(
            self,
            "nodes_default",
            project=env.project,
            role="roles/container.defaultNodeServiceAccount",
            member=f"serviceAccount:{self.nodes}",
        )

        self.keys, granted = self._keys(env, apis)
        # Their values are added by hand or by the bootstrap, and never pass through a state.
        if env.pages:
            self._secret(env, "pagerduty-key", apis, granted)
        self.migrator_password = self._secret(env, "migrator-password", apis, granted)
        SecretIamMember(
            self,
            "migrator_password_read",
            secret_id=self.migrator_password,
            role="roles/secretmanager.secretAccessor",
            member=f"serviceAccount:{self.migrator}",
        )

        images = Registry(
            self,
            "images",
            repository_id=env.name("images"),
            location=env.region,
            format="DOCKER",
            mode="STANDARD_REPOSITORY",
            description="Container images of lead scoring; a tag, once pushed, stays what it is.",
            docker_config=RegistryDocker(immutable_tags=True),
            vulnerability_scanning_config=RegistryScanning(enablement_config="INHERITED"),
            kms_key_name=self.keys.get("images"),
            depends_on=[*apis, *granted],
            lifecycle=Lifecycle(prevent_destroy=True),
        )
        RegistryIamMember(
            self,
            "images_nodes_read",
            repository=images.repository_id,
            location=env.region,
            role="roles/artifactregistry.reader",
            member=f"serviceAccount:{self.nodes}",
        )

    def _secret(self, env: Environment, thing: str, apis: list[ProjectService], granted: list[KeyIamMember]) -> str:
        key = self.keys.get("secrets")
        secret = Secret(
            self,
            thing.replace("-", "_"),
            secret_id=env.name(thing),
            deletion_protection=True,
            version_destroy_ttl=f"{7 * 86_400}s",  # a destroyed version can come back for so long
            replication=SecretReplication(
                user_managed=SecretPlaces(
                    replicas=[
                        SecretReplica(
                            location=env.region,
                            customer_managed_encryption=SecretEncryption(kms_key_name=key) if key else None,
                        )
                    ]
                )
            ),
            depends_on=[*apis, *granted],
            lifecycle=Lifecycle(prevent_destroy=True),
        )
        return str(secret.id)

    def _keys(self, env: Environment, apis: list[ProjectService]) -> tuple[dict[str, str], list[KeyIamMember]]:
        """The keys' ids by use, and the grants without which nothing can be encrypted with them."""
        ring = KeyRing(
            self,
            "keys",
            name=env.name("keys"),
            location=env.region,
            depends_on=apis,
            lifecycle=Lifecycle(prevent_destroy=True),
        )
        keys, grants = {}, []
        for use, agent in (SECRETS_KEY | (CUSTOMER_KEYS if env.customer_keys else {})).items():
            key = Key(
                self,
                f"key_{use}",
                name=use,
                key_ring=ring.id,
                purpose="ENCRYPT_DECRYPT",
                rotation_period=f"{90 * 86_400}s",
                destroy_scheduled_duration=f"{30 * 86_400}s",  # the days in which a destroyed version can come back
                version_template=KeyVersions(algorithm="GOOGLE_SYMMETRIC_ENCRYPTION", protection_level="SOFTWARE"),
                lifecycle=Lifecycle(prevent_destroy=True),
            )
            keys[use] = str(key.id)
            grants.append(
                KeyIamMember(
                    self,
                    f"key_{use}_agent",
                    crypto_key_id=key.id,
                    role="roles/cloudkms.cryptoKeyEncrypterDecrypter",
                    member=f"serviceAccount:service-{env.project_number}@{agent}.iam.gserviceaccount.com",
                )
            )
        return keys, grants
