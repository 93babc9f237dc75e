"""Where models, leads, predictions, artifacts and access logs lie, and who may do what with them.

What roles permit: https://cloud.google.com/storage/docs/access-control/iam-roles
"""

from infra.bindings import (
    Bucket,
    BucketAction,
    BucketCondition,
    BucketEncryption,
    BucketIamCondition,
    BucketIamMember,
    BucketLogging,
    BucketRule,
    BucketSoftDelete,
    BucketVersioning,
    Lifecycle,
    TerraformStack,
)
from infra.components.logging import copy_application_logs
from infra.components.spark_batches import STAGING
from infra.environment import Environment

READ = "roles/storage.objectViewer"
CREATE = "roles/storage.objectCreator"  # new objects only: it can neither replace nor delete
CHANGE = "roles/storage.objectUser"

POINTER = "champion.json"  # names the model that serves; service.model.bundle moves it
RULES = "contact_rules/"  # from which score leads are contacted; service.model.stored_rule
LEASES = "leases/"  # which job is at work; service.lifecycle.promotion.lease takes and renews them
RAW = "predictions/"  # records as the service and batch wrote them; service.records
COMPACTED = "records/"  # the same as tables, with their manifests; service.lifecycle.compaction
FIGURES = "figures/"  # what a job published last, below its name; service.lifecycle.runtime.job_gauges
REPORTS = "reports/"  # the weekly ones; service.lifecycle.report
BATCHES = "batch/"  # where the batch job puts its output
QUARANTINE = "quarantine/"  # rows that a job could not use; service.lifecycle.data.quarantine
STAGING_DAYS = 7  # longer than any batch runs; its result is read at once


class StorageStack(TerraformStack):
    """Private buckets, granted on each bucket: five; one more where the environment copies its logs, or uses Spark."""

    def __init__(
        self,
        scope: object,
        id: str,
        *,
        env: Environment,
        scoring: str,
        jobs: str,
        compact: str,
        reporter: str,
        mlflow: str,
        spark: str | None,
        namespace: str,
        key: str | None,
    ) -> None:
        """`scoring`, `jobs`, `compact`, `reporter`, `mlflow` and `spark` are e-mail addresses of service accounts,
        `namespace` is that of the pods, `key` a Cloud KMS key's id."""
        super().__init__(scope, id)
        self._key = key
        logs = self._bucket(env, "access-logs", _delete_after(env.access_log_days))
        if env.usage_logs:
            # Cloud Storage itself writes the usage logs, as this group.
            # https://cloud.google.com/storage/docs/access-logs#delivery
            self._grant("access_logs_delivery", logs, "group:cloud-storage-analytics@google.com", CREATE)

        personal_data = _delete_after(env.live_days)
        models = self._bucket(env, "models", logs=logs)
        leads = self._bucket(env, "leads", personal_data, logs=logs)
        predictions = self._bucket(env, "predictions", personal_data, logs=logs)
        artifacts = self._bucket(env, "artifacts", logs=logs)

        if env.application_log_days:
            copied = self._bucket(env, "logs", _delete_after(env.application_log_days), logs=logs)
            copy_application_logs(self, env, bucket=copied, namespace=namespace)

        self._grant("models_scoring_read", models, f"serviceAccount:{scoring}", READ)
        self._grant("predictions_scoring_create", predictions, f"serviceAccount:{scoring}", CREATE)

        self._grant_jobs(models, leads, predictions, f"serviceAccount:{jobs}")
        self._grant_compaction(models, leads, predictions, f"serviceAccount:{compact}")
        self._grant_reports(env, models, f"serviceAccount:{reporter}")

        # MLflow's clients read and write artifacts themselves: a large one never passes through the server.
        self._grant("artifacts_jobs_change", artifacts, f"serviceAccount:{jobs}", CHANGE)
        self._grant("artifacts_mlflow_change", artifacts, f"serviceAccount:{mlflow}", CHANGE)

        if spark:
            # A job puts a batch's program and tables there, outcomes too, and reads its result; the batches' own right
            # to it is with their role.
            staging = self._bucket(env, STAGING, _delete_after(STAGING_DAYS), logs=logs)
            self._grant("spark_jobs_change", staging, f"serviceAccount:{jobs}", CHANGE)
            self._grant("predictions_spark_read", predictions, f"serviceAccount:{spark}", READ)

    def _grant_jobs(self, models: str, leads: str, predictions: str, jobs: str) -> None:
        # A published model or an audit record can be added, never altered; only the pointer moves, contact rules are
        # refreshed, and leases change hands.
        pointer = BucketIamCondition(
            title="pointer_only",
            expression=f'resource.name == "projects/_/buckets/{models}/objects/{POINTER}"',
        )
        self._grant("models_jobs_read", models, jobs, READ)
        self._grant("models_jobs_create", models, jobs, CREATE)
        self._grant("models_jobs_point", models, jobs, CHANGE, pointer)
        self._grant("models_jobs_rule", models, jobs, CHANGE, _below(RULES, models, "contact_rules_only"))
        leases = _below(LEASES, models, "leases_only")
        self._grant("models_jobs_lease", models, jobs, CHANGE, leases)
        # Of what runs on schedule, `compact` alone may delete records, and nothing may delete leads. To have a lead
        # forgotten, a person runs that job with an identity of their own, which is granted CHANGE on both buckets for
        # the hour.
        self._grant("leads_jobs_read", leads, jobs, READ)
        aside = _below(QUARANTINE, leads, "quarantine_only")
        self._grant("leads_jobs_set_aside", leads, jobs, CREATE, aside)
        self._grant("predictions_jobs_read", predictions, jobs, READ)

        # Batches of scores are added under a prefix of their own, and their records as new objects: those that are
        # there stay as they are.
        batches = _below(BATCHES, predictions, "batches_only")
        self._grant("predictions_jobs_batch", predictions, jobs, CHANGE, batches)
        self._grant("predictions_jobs_record", predictions, jobs, CREATE, _below(RAW, predictions, "raw_only"))

    def _grant_compaction(self, models: str, leads: str, predictions: str, compact: str) -> None:
        """It deletes what the service wrote once its own copy was verified, and keeps the figures that it published."""
        self._grant("predictions_compact_read", predictions, compact, READ)
        for id, prefix in (("raw", RAW), ("records", COMPACTED), ("lease", LEASES)):
            below = _below(prefix, predictions, f"{id}_only")
            self._grant(f"predictions_compact_{id}", predictions, compact, CHANGE, below)
        self._grant("models_compact_read", models, compact, READ)
        figures = _below(f"{FIGURES}compact/", models, "figures_only")
        self._grant("models_compact_figures", models, compact, CREATE, figures)
        aside = _below(QUARANTINE, leads, "quarantine_only")
        self._grant("leads_compact_set_aside", leads, compact, CREATE, aside)

    def _grant_reports(self, env: Environment, models: str, reporter: str) -> None:
        """The report is of the models' history: the job reads no lead, and who reads the report sees nothing else."""
        self._grant("models_reporter_read", models, reporter, READ)
        for id, prefix in (("figures", f"{FIGURES}report/"), ("reports", REPORTS)):
            self._grant(f"models_reporter_{id}", models, reporter, CREATE, _below(prefix, models, f"{id}_only"))
        for number, group in enumerate(env.report_readers):
            self._grant(f"reports_reader_{number}", models, group, READ, _below(REPORTS, models, "reports_only"))

    def _bucket(self, env: Environment, thing: str, *rules: BucketRule, logs: str | None = None) -> str:
        bucket = Bucket(
            self,
            thing.replace("-", "_"),
            name=env.name(thing),
            location=env.region,
            storage_class="STANDARD",
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            force_destroy=False,
            versioning=BucketVersioning(enabled=True),
            soft_delete_policy=BucketSoftDelete(retention_duration_seconds=env.soft_delete_days * 86_400),
            lifecycle_rule=[
                *rules,
                BucketRule(
                    action=BucketAction(type="Delete"),
                    condition=BucketCondition(with_state="ARCHIVED", days_since_noncurrent_time=env.noncurrent_days),
                ),
                BucketRule(
                    action=BucketAction(type="AbortIncompleteMultipartUpload"),
                    condition=BucketCondition(age=1),
                ),
            ],
            # Google's key for the access logs, which Cloud Storage itself delivers.
            encryption=BucketEncryption(default_kms_key_name=self._key) if self._key and logs else None,
            logging=BucketLogging(log_bucket=logs, log_object_prefix=thing) if logs and env.usage_logs else None,
            lifecycle=Lifecycle(prevent_destroy=True),
        )
        return str(bucket.name)

    def _grant(self, id: str, bucket: str, member: str, role: str, condition: BucketIamCondition | None = None) -> None:
        BucketIamMember(self, id, bucket=bucket, member=member, role=role, condition=condition)


def _delete_after(days: int) -> BucketRule:
    return BucketRule(action=BucketAction(type="Delete"), condition=BucketCondition(with_state="LIVE", age=days))


def _below(prefix: str, bucket: str, title: str) -> BucketIamCondition:
    """Only objects whose name starts so."""
    name = f"projects/_/buckets/{bucket}/objects/{prefix}"
    return BucketIamCondition(title=title, expression=f'resource.name.startsWith("{name}")')
