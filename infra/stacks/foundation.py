"""What everything else stands on: APIs, an identity for each workload, keys, secrets, logs, images, a budget."""

from collections.abc import Collection, Sequence
from typing import Any

from infra.bindings import (
    Budget,
    BudgetAmount,
    BudgetFilter,
    BudgetSum,
    BudgetThreshold,
    BudgetUpdates,
    Lifecycle,
    NotificationChannel,
    ProjectIamMember,
    ProjectService,
    Registry,
    RegistryCleanup,
    RegistryCondition,
    RegistryDocker,
    RegistryIamMember,
    RegistryNewest,
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
from infra.components.kms_keys import add_keys
from infra.components.logging import add_logs
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
    "containeranalysis.googleapis.com",
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


class FoundationStack(TerraformStack):
    """APIs, service accounts, keys, registry. The attributes are the accounts' e-mail addresses and the keys' ids."""

    scoring: str
    jobs: str
    mlflow: str
    migrator: str
    smoke: str
    nodes: str
    watcher: str | None  # where the environment pages
    migrator_password: str  # the secret's id
    heartbeat_address: str | None  # the secret's id, where the environment pages
    keys: dict[str, str]  # by use; one that is missing is Google's

    def __init__(self, scope: object, id: str, *, env: Environment, digests_in_use: Collection[str]) -> None:
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
        self.smoke = account("smoke", "Asks for one score after each deploy.")
        self.nodes = account("nodes", "Runs the cluster's nodes: pulls images, writes their logs and metrics.")

        # Time series belong to a project: Cloud Monitoring has nothing narrower to grant on.
        # The jobs write their figures and read how many records the service counted.
        for does, role in (("writer", "roles/monitoring.metricWriter"), ("viewer", "roles/monitoring.viewer")):
            ProjectIamMember(
                self, f"jobs_metric_{does}", project=env.project, role=role, member=f"serviceAccount:{self.jobs}"
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

        self.keys, granted = add_keys(self, env, after=apis)
        # Their values are added by hand or by the bootstrap, and never pass through a state.
        self.watcher = self.heartbeat_address = None
        if env.pages:
            self._secret(env, "pagerduty-key", [*apis, *granted])
            self.watcher = account("watcher", "Looks whether alerts work, and says so outside.")
            ProjectIamMember(
                self,
                "watcher_metric_viewer",
                project=env.project,
                role="roles/monitoring.viewer",
                member=f"serviceAccount:{self.watcher}",
            )
            self.heartbeat_address = self._secret(env, "heartbeat-address", [*apis, *granted])
            SecretIamMember(
                self,
                "heartbeat_address_read",
                secret_id=self.heartbeat_address,
                role="roles/secretmanager.secretAccessor",
                member=f"serviceAccount:{self.watcher}",
            )
        self.migrator_password = self._secret(env, "migrator-password", [*apis, *granted])
        SecretIamMember(
            self,
            "migrator_password_read",
            secret_id=self.migrator_password,
            role="roles/secretmanager.secretAccessor",
            member=f"serviceAccount:{self.migrator}",
        )

        self._images(env, digests_in_use, [*apis, *granted])
        add_logs(self, env, poller=self.scoring, after=apis)
        self._budget(env, apis)

    def _images(self, env: Environment, digests_in_use: Collection[str], after: Sequence[Any]) -> None:
        # A version that one policy keeps, no other deletes.
        # https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy-overview
        cleanup = [
            RegistryCleanup(
                id="untagged",
                action="DELETE",
                condition=RegistryCondition(tag_state="UNTAGGED", older_than=f"{30 * 86_400}s"),
            ),
            RegistryCleanup(id="newest", action="KEEP", most_recent_versions=RegistryNewest(keep_count=10)),
        ]
        if digests_in_use:
            in_use = RegistryCondition(tag_state="ANY", version_name_prefixes=sorted(digests_in_use))
            cleanup.append(RegistryCleanup(id="in-use", action="KEEP", condition=in_use))
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
            cleanup_policies=cleanup,
            cleanup_policy_dry_run=False,
            kms_key_name=self.keys.get("images"),
            depends_on=list(after),
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

    def _budget(self, env: Environment, apis: list[ProjectService]) -> None:
        """Sends mail at parts of the monthly budget; it stops nothing."""
        mail = NotificationChannel(
            self,
            "costs_mail",
            type="email",
            display_name=f"Lead scoring costs ({env.id})",
            labels={"email_address": env.ticket_email},
            enabled=True,
            force_delete=False,
            depends_on=apis,
        )
        spent, foreseen = "CURRENT_SPEND", "FORECASTED_SPEND"
        Budget(
            self,
            "budget",
            billing_account=env.billing_account,
            display_name=f"Lead scoring ({env.id})",
            amount=BudgetAmount(specified_amount=BudgetSum(currency_code=env.currency, units=str(env.monthly_budget))),
            budget_filter=BudgetFilter(
                projects=[f"projects/{env.project_number}"],
                calendar_period="MONTH",
                credit_types_treatment="INCLUDE_ALL_CREDITS",
            ),
            threshold_rules=[
                BudgetThreshold(threshold_percent=part, spend_basis=basis)
                for part, basis in ((0.5, spent), (0.9, spent), (1.0, spent), (1.0, foreseen))
            ],
            all_updates_rule=BudgetUpdates(
                monitoring_notification_channels=[mail.name], disable_default_iam_recipients=False
            ),
            depends_on=apis,
        )

    def _secret(self, env: Environment, thing: str, after: Sequence[Any]) -> str:
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
            depends_on=list(after),
            lifecycle=Lifecycle(prevent_destroy=True),
        )
        return str(secret.id)
