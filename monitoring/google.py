"""Google's own metrics that alerts and dashboards read: what they are, how often they come, how late, and the source.

The name in PromQL is the metric's own with `:` for its first `/` and `_` for every other special character; a
distribution is read by its `_bucket` or its `_count`: https://cloud.google.com/monitoring/promql#metric_names
DELTA and CUMULATIVE are counters to PromQL, a BOOL is 0 or 1.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

UPTIME_CHECK_LOCATIONS = (
    "usa-iowa",
    "usa-oregon",
    "usa-virginia",
    "eur-belgium",
    "sa-brazil-sao_paulo",
    "apac-singapore",
)
"""Values of the label checker_location, one for each place that asks."""


class Kind(StrEnum):
    """What a sample says, in the words of Cloud Monitoring's own lists."""

    GAUGE = "GAUGE"
    DELTA = "DELTA"
    CUMULATIVE = "CUMULATIVE"
    DISTRIBUTION = "DELTA, DISTRIBUTION"


class Read(StrEnum):
    """Where name, labels and times were read before they were written here."""

    LIST = "Google's list of metrics"
    USE = "alert policies that others run; check kind, labels and delay in a first project"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `delay` is how long after sampling a value may stay invisible, beyond which it would be late."""

    name: str  # in PromQL, without _bucket and _count
    kind: Kind
    labels: tuple[str, ...]  # of the metric, and of the resource those that alerts use
    sampling: timedelta
    delay: timedelta
    source: str
    read: Read = Read.LIST


KUBERNETES = "https://cloud.google.com/monitoring/api/metrics_kubernetes"
KUBE_STATE = "https://cloud.google.com/kubernetes-engine/docs/how-to/kube-state-metrics"
GCP = "https://cloud.google.com/monitoring/api/metrics_gcp"
LOAD_BALANCING = "https://cloud.google.com/load-balancing/docs/metrics"
SQL = "https://cloud.google.com/sql/docs/postgres/admin-api/metrics"
NAT = "https://cloud.google.com/nat/docs/monitoring"
BACKUP = "https://cloud.google.com/kubernetes-engine/docs/add-on/backup-for-gke/how-to/monitoring-metrics"
LOGS = "https://cloud.google.com/logging/docs/logs-based-metrics"


def _seconds(count: int) -> timedelta:
    return timedelta(seconds=count)


def _container(name: str, kind: Kind, delay: int, *labels: str, read: Read = Read.LIST) -> Metric:
    labels = ("monitored_resource", "container_name", "pod_name", *labels)
    return Metric(f"kubernetes_io:container_{name}", kind, labels, _seconds(60), _seconds(delay), KUBERNETES, read)


def _state(name: str, *labels: str, read: Read = Read.LIST) -> Metric:
    # No delay is given: these are scraped, as the service's own metrics are.
    return Metric(f"kube_{name}", Kind.GAUGE, labels, _seconds(30), _seconds(0), KUBE_STATE, read)


def _logged(name: str, *labels: str) -> Metric:
    # Counted by the metrics in infra/components/logging.py; Google names no delay for these.
    labels = ("monitored_resource", *labels)
    return Metric(
        f"logging_googleapis_com:user_{name}", Kind.DELTA, labels, _seconds(60), _seconds(120), LOGS, Read.USE
    )


def _sql(name: str, *labels: str, read: Read = Read.LIST) -> Metric:
    labels = ("monitored_resource", *labels)
    return Metric(
        f"cloudsql_googleapis_com:database_{name}", Kind.GAUGE, labels, _seconds(60), _seconds(165), SQL, read
    )


def _run(name: str, kind: Kind, *labels: str) -> Metric:
    labels = ("monitored_resource", *labels)
    return Metric(f"run_googleapis_com:{name}", kind, labels, _seconds(60), _seconds(120), GCP, Read.USE)


def _uptime(name: str, *labels: str) -> Metric:
    labels = ("monitored_resource", *labels)
    return Metric(
        f"monitoring_googleapis_com:uptime_check_{name}",
        Kind.GAUGE,
        labels,
        _seconds(60),
        _seconds(240),
        GCP,
        Read.USE,
    )


METRICS = (
    _container("restart_count", Kind.CUMULATIVE, 120),
    _container("memory_limit_utilization", Kind.GAUGE, 120, "memory_type"),
    _container("cpu_limit_utilization", Kind.GAUGE, 240),
    _container("memory_request_utilization", Kind.GAUGE, 120, "memory_type", read=Read.USE),
    _container("cpu_request_utilization", Kind.GAUGE, 240, read=Read.USE),
    _state("deployment_spec_replicas", "deployment"),
    _state("deployment_status_replicas_available", "deployment"),
    _state("deployment_status_replicas_updated", "deployment", read=Read.USE),
    _state("pod_container_status_waiting_reason", "container", "pod", "reason", "uid", read=Read.USE),
    _state("pod_status_unschedulable", "pod", "uid"),
    _state("horizontalpodautoscaler_spec_max_replicas", "horizontalpodautoscaler"),
    _state("horizontalpodautoscaler_status_current_replicas", "horizontalpodautoscaler"),
    Metric(
        "loadbalancing_googleapis_com:https_request_count",
        Kind.DELTA,
        ("monitored_resource", "matched_url_path_rule", "response_code", "response_code_class"),
        _seconds(60),
        _seconds(210),
        LOAD_BALANCING,
    ),
    Metric(
        "loadbalancing_googleapis_com:https_total_latencies",
        Kind.DISTRIBUTION,
        ("monitored_resource", "response_code_class", "le"),
        _seconds(60),
        _seconds(210),
        LOAD_BALANCING,
    ),
    Metric(
        "networksecurity_googleapis_com:https_request_count",
        Kind.DELTA,
        ("blocked",),
        _seconds(60),
        _seconds(240),
        GCP,
        Read.USE,
    ),
    Metric("router_googleapis_com:nat_nat_allocation_failed", Kind.GAUGE, (), _seconds(60), _seconds(120), NAT),
    _uptime("check_passed", "checker_location", "check_id"),
    _uptime("time_until_ssl_cert_expires", "checker_location", "check_id"),
    _run("request_count", Kind.DELTA, "response_code_class", "service_name"),
    _run("request_latencies", Kind.DISTRIBUTION, "response_code_class", "service_name", "le"),
    _run("container_memory_utilizations", Kind.DISTRIBUTION, "service_name", "le"),
    _run("job_completed_execution_count", Kind.DELTA, "job_name", "result"),
    _sql("instance_state", "state"),
    _sql("cpu_utilization"),
    _sql("memory_utilization"),
    _sql("disk_utilization"),
    _sql("disk_bytes_used", read=Read.USE),
    _sql("postgresql_num_backends", "database", read=Read.USE),
    # Its page names neither sampling nor delay.
    Metric(
        "gkebackup_googleapis_com:backup_completion_times",
        Kind.DISTRIBUTION,
        ("state",),
        _seconds(60),
        _seconds(240),
        BACKUP,
    ),
    _logged("leadscoring_out_of_memory", "process"),
    _logged("leadscoring_unhandled_errors", "logger"),
)
UNVERIFIED = tuple(metric for metric in METRICS if metric.read is not Read.LIST)


def of(series: str) -> Metric | None:
    """The metric that a series' name belongs to; None for one of ours."""
    return next((metric for metric in METRICS if series in (metric.name, *_parts(metric))), None)


def _parts(metric: Metric) -> tuple[str, ...]:
    """The series of a distribution."""
    return (f"{metric.name}_bucket", f"{metric.name}_count") if metric.kind is Kind.DISTRIBUTION else ()
