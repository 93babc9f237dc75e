"""What is logged, for how long it is kept and what of it is counted.

Metrics count what comes in, kept or excluded: https://cloud.google.com/logging/docs/logs-based-metrics
"""

from collections.abc import Sequence
from typing import Any

from infra.bindings import (
    AuditConfig,
    AuditLog,
    BucketIamMember,
    Lifecycle,
    LogBucket,
    LogExclusion,
    LogMetric,
    LogMetricDescriptor,
    LogMetricLabel,
    LogSink,
    TerraformStack,
)
from infra.components.cloud_armor import HEALTH_PATH
from infra.environment import Environment

# Services whose reads and writes of data are on record; by default only changes of settings are.
AUDITED = ("cloudkms", "cloudsql", "secretmanager", "storage")
DATA_ACCESS = 'log_id("cloudaudit.googleapis.com/data_access")'

# Namespaces of GKE's own pods, as regular expressions; the second is Managed Service for Prometheus outside Autopilot.
# Each new feature of GKE brings another name that begins with gke-; tests list those that are known.
SYSTEM_NAMESPACES = ("kube-system", "gmp-system", "gke-.+")

# Not kept. Each is said elsewhere, or says that nothing is wrong.
EXCLUSIONS = {
    "data-access": (DATA_ACCESS, "Kept in the bucket for audits."),
    "probes": (
        f'resource.type="http_load_balancer" AND httpRequest.status=200 AND httpRequest.requestUrl:"{HEALTH_PATH}"',
        "Uptime checks that were answered.",
    ),
    "system-pods": (
        'resource.type="k8s_container" AND severity<WARNING'
        f' AND resource.labels.namespace_name=~"^({"|".join(SYSTEM_NAMESPACES)})$"',
        "What GKE's own pods say while all is well.",
    ),
}

# Name: filter, what it counts, label taken from the entry. In PromQL: logging_googleapis_com:user_<name>.
METRICS: dict[str, tuple[str, str, dict[str, str]]] = {
    "leadscoring_refused_bundles": (
        'resource.type="k8s_container" AND severity=ERROR AND jsonPayload.logger="service.api.watcher"'
        ' AND jsonPayload.message="bundle refused, the old model stays"',
        "Published models that the scoring service would not serve.",
        {"reason": "EXTRACT(jsonPayload.reason)"},
    ),
    "leadscoring_unhandled_errors": (
        'resource.type=("k8s_container" OR "cloud_run_job" OR "cloud_run_revision") AND severity>=ERROR'
        " AND jsonPayload.exception:*",
        "Errors that nobody expected: a log entry with a traceback.",
        {"logger": "EXTRACT(jsonPayload.logger)"},
    ),
    # GKE's node problem detector logs the kernel's "Killed process 42 (python) ..." as an event of the node:
    # https://github.com/kubernetes/node-problem-detector/blob/master/config/kernel-monitor.json
    "leadscoring_out_of_memory": (
        'resource.type="k8s_node" AND log_id("events") AND jsonPayload.reason="OOMKilling"',
        "Processes that a node's kernel killed for their memory.",
        {"process": r'REGEXP_EXTRACT(jsonPayload.message, "Killed process [0-9]+ [(]([^)]+)[)]")'},
    ),
    # Cloud Run itself says that an execution has failed, whatever the container managed to say.
    "leadscoring_failed_jobs": (
        'resource.type="cloud_run_job" AND log_id("cloudaudit.googleapis.com/system_event")'
        ' AND protoPayload.methodName="/Jobs.RunJob" AND severity>=ERROR',
        "Executions of jobs that failed after their retries.",
        {"job": "EXTRACT(resource.labels.job_name)"},
    ),
}


def add_logs(stack: TerraformStack, env: Environment, *, poller: str, after: Sequence[Any]) -> None:
    """Audit logs, buckets, exclusions and metrics. `poller` reads the models every few seconds: not on record."""
    _audit_logs(stack, env, poller, after)
    _buckets(stack, env, after)
    _exclusions(stack, env, after)
    _metrics(stack, after)


def _audit_logs(stack: TerraformStack, env: Environment, poller: str, after: Sequence[Any]) -> None:
    for service in AUDITED:
        AuditConfig(
            stack,
            f"audit_{service}",
            project=env.project,
            service=f"{service}.googleapis.com",
            audit_log_config=[
                AuditLog(log_type="ADMIN_READ"),
                AuditLog(
                    log_type="DATA_READ",
                    exempted_members=[f"serviceAccount:{poller}"] if service == "storage" else None,
                ),
                AuditLog(log_type="DATA_WRITE"),
            ],
            depends_on=list(after),
        )


def _buckets(stack: TerraformStack, env: Environment, after: Sequence[Any]) -> None:
    """The project's default bucket, and one for audits with the sink that fills it."""
    LogBucket(
        stack,
        "logs_default",
        project=env.project,
        location="global",
        bucket_id="_Default",
        retention_days=env.log_days,
        locked=False,
        enable_analytics=False,
        depends_on=list(after),
        lifecycle=Lifecycle(prevent_destroy=True),
    )
    audit = LogBucket(
        stack,
        "logs_audit",
        project=env.project,
        location=env.region,
        bucket_id=env.name("audit"),
        description="Who read and wrote data.",
        retention_days=env.audit_log_days,
        locked=False,
        enable_analytics=False,
        depends_on=list(after),
        lifecycle=Lifecycle(prevent_destroy=True),
    )
    LogSink(
        stack,
        "audit_sink",
        name=env.name("audit"),
        description="Data-access audit logs.",
        destination=f"logging.googleapis.com/{audit.id}",
        filter=DATA_ACCESS,
        disabled=False,
        unique_writer_identity=True,
    )


def copy_application_logs(stack: TerraformStack, env: Environment, *, bucket: str, namespace: str) -> None:
    """Copy what the pods of this namespace, the jobs and the services on Cloud Run log to a bucket of Cloud Storage.

    The sink writes as an account of Google's that only this project's sinks share; it may only add objects.
    https://cloud.google.com/logging/docs/export/configure_export_v2#dest-auth
    """
    sink = LogSink(
        stack,
        "application_logs",
        name=env.name("logs"),
        description="Logs of pods, jobs and services.",
        destination=f"storage.googleapis.com/{bucket}",
        filter='NOT logName:"cloudaudit.googleapis.com" AND (resource.type=("cloud_run_job" OR "cloud_run_revision")'
        f' OR (resource.type="k8s_container" AND resource.labels.namespace_name="{namespace}"))',
        disabled=False,
        unique_writer_identity=True,
    )
    BucketIamMember(
        stack,
        "logs_sink_create",
        bucket=bucket,
        role="roles/storage.objectCreator",
        member=sink.writer_identity,
    )


def _exclusions(stack: TerraformStack, env: Environment, after: Sequence[Any]) -> None:
    for name, (filter_, why) in EXCLUSIONS.items():
        LogExclusion(
            stack,
            f"exclude_{name}",
            name=env.name(name),
            description=why,
            filter=filter_,
            disabled=False,
            depends_on=list(after),
        )


def _metrics(stack: TerraformStack, after: Sequence[Any]) -> None:
    for name, (filter_, counts, labels) in METRICS.items():
        LogMetric(
            stack,
            name,
            name=name,
            description=counts,
            filter=filter_,
            disabled=False,
            label_extractors=labels,
            metric_descriptor=LogMetricDescriptor(
                metric_kind="DELTA",
                value_type="INT64",
                unit="1",
                labels=[LogMetricLabel(key=label, value_type="STRING") for label in labels],
            ),
            depends_on=list(after),
        )
