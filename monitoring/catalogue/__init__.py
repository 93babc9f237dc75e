"""Every SLO and every alert. Policies, rule files, dashboards and proofs are all made from this list."""

from monitoring.alerts import Alert
from monitoring.budgets import ErrorBudget
from monitoring.catalogue import (
    capacity,
    cluster,
    compaction,
    front_door,
    jobs,
    low_traffic,
    model,
    pods,
    probe,
    promises,
    quality,
    records,
    telemetry,
    tracking,
)
from monitoring.platform import Platform
from monitoring.promql import text

DEFAULT = Platform()


def alerts(platform: Platform = DEFAULT) -> tuple[Alert, ...]:
    """Every alert of an environment, in the order in which people read them."""
    return (
        *(alert for slo in promises.slos(platform) for alert in (*slo.alerts(), *ErrorBudget(slo).alerts())),
        *low_traffic.ALERTS,
        *pods.ALERTS,
        *cluster.ALERTS,
        *capacity.ALERTS,
        *front_door.alerts(platform.requests_per_day),
        *(probe.ALERTS if platform.probes else ()),
        *model.alerts(platform.jobs),
        *records.alerts(platform.leads_per_day),
        *compaction.alerts(platform.jobs),
        *quality.alerts(platform.jobs),
        *jobs.alerts(platform.jobs),
        *tracking.alerts(platform.database_connections, platform.database_disk_bytes),
        *telemetry.ALERTS,
    )


def metric_names(platform: Platform = DEFAULT) -> frozenset[str]:
    """Every metric that some alert reads: each must be exported by something that runs."""
    return frozenset(name for alert in alerts(platform) for name in text.metric_names(alert.expr))
