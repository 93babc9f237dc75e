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
    ServiceAccountIamMember,
    TerraformStack,
)
from infra.components.kms_keys import add_keys
from infra.components.logging import add_logs
from infra.components.spark_batches import API, add_spark_account
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
    compact: str
    reporter: str
    mlflow: str
    migrator: str
    smoke: str
    nodes: str
    spark: str | None  # where record_engine is "spark"
    probe: str | None  # where the front door is probed
    watcher: str | None  # where the environment pages
    migrator_password: str  # the secret's id
    heartbeat_address: str | None  # the secret's id, where the environment pages
    keys: dict[str, str]  # by use; one that is missing is Google's

    def __init__(self, scope: object, id: str, *, env: Environment, digests_in_use: Collection[str]) -> None:
        super().__init__(scope, id)
        apis = [
            # Never switched off by a destroy: other things in the project may use the same API.
            ProjectService(self, api.partition(".")[0], project=env.project, service=api, disable_on_destroy=False)
            for api in (*APIS, *((API,) if env.record_engine == "spark" else ()))
        ]

        self.scoring = self._account(env, "scoring", "Answers requests for scores.", apis)
        self.jobs = self._account(env, "jobs", "Evaluates, watches for drift, retrains, scores in batches.", apis)
        self.compact = self._account(env, "compact", "Turns finished hours of prediction records into tables.", apis)
        self.reporter = self._account(env, "reporter", "Writes the weekly report.", apis)
        self.mlflow = self._account(env, "mlflow", "Runs the MLflow server.", apis)
        self.migrator = self._account(env, "migrator", "Brings the schema of MLflow's database up to date.", apis)
        self.smoke = self._account(env, "smoke", "Asks for one score after each deploy.", apis)
        self.probe = None
        if env.probe:
            self.probe = self._account(env, "probe", "Asks for a score every few minutes, as callers do.", apis)
        self.nodes = self._account(
            env, "nodes", "Runs the cluster's nodes: pulls images, writes their logs and metrics.", apis
        )

        # Time series belong to a project: Cloud Monitoring has nothing narrower to grant on.
        # The jobs write their figures and read how many records the service counted.
        self._grant(env, "jobs_metric_writer", self.jobs, "roles/monitoring.metricWriter")
        self._grant(env, "compact_metric_writer", self.compact, "roles/monitoring.metricWriter")
        self._grant(env, "reporter_metric_writer", self.reporter, "roles/monitoring.metricWriter")
        if self.probe:
            self._grant(env, "probe_metric_writer", self.probe, "roles/monitoring.metricWriter")
            # It signs its own tokens for the proxy, and can become nobody else.
            ServiceAccountIamMember(
                self,
                "probe_signs",
                service_account_id=f"projects/{env.project}/serviceAccounts/{self.probe}",
                role="roles/iam.serviceAccountTokenCreator",
                member=f"serviceAccount:{self.probe}",
            )
        self._grant(env, "jobs_metric_viewer", self.jobs, "roles/monitoring.viewer")
        self.spark = None
        if env.record_engine == "spark":
            self.spark = add_spark_account(self, env, jobs=self.jobs, after=apis)
        # The least that nodes need, in Google's own words.
        # https://cloud.google.com/kubernetes-engine/docs/how-to/hardening-your-cluster#use_least_privilege_sa
        self._grant(env, "nodes_default", self.nodes, "roles/container.defaultNodeServiceAccount")

        self.keys, granted = add_keys(self, env, after=apis)
        ready = [*apis, *granted]
        # The secrets' values are added by hand or by the bootstrap, and never pass through a state.
        self.watcher = self.heartbeat_address = None
        if env.pages:
            # The token makes PagerDuty's services; the key is of one that was made by hand.
            self._secret(env, "pagerduty-token" if env.on_call else "pagerduty-key", ready)
            self.watcher = self._account(env, "watcher", "Looks whether alerts work, and says so outside.", apis)
            self._grant(env, "watcher_metric_viewer", self.watcher, "roles/monitoring.viewer")
            self.heartbeat_address = self._secret(env, "heartbeat-address", ready, reader=self.watcher)
        self.migrator_password = self._secret(env, "migrator-password", ready, reader=self.migrator)

        self._images(env, digests_in_use, ready)
        add_logs(self, env, poller=self.scoring, after=apis)
        self._budget(env, apis)

    def _account(self, env: Environment, workload: str, does: str, after: Sequence[Any]) -> str:
        """A service account without keys: workloads get its tokens from the platform they run on."""
        account = ServiceAccount(
            self,
            workload,
            account_id=env.name(workload),
            display_name=f"Lead scoring: {workload} ({env.id})",
            description=does,
            depends_on=list(after),
        )
        return str(account.email)

    def _grant(self, env: Environment, id: str, account: str, role: str) -> None:
        ProjectIamMember(self, id, project=env.project, role=role, member=f"serviceAccount:{account}")

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

    def _secret(self, env: Environment, thing: str, after: Sequence[Any], *, reader: str | None = None) -> str:
        """A secret without a value, which the account `reader` may read. Returns its id."""
        name, key = thing.replace("-", "_"), self.keys.get("secrets")
        secret = Secret(
            self,
            name,
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
        if reader:
            SecretIamMember(
                self,
                f"{name}_read",
                secret_id=str(secret.id),
                role="roles/secretmanager.secretAccessor",
                member=f"serviceAccount:{reader}",
            )
        return str(secret.id)
