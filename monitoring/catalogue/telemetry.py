"""The watching itself: metrics that stopped coming look like a quiet night to every other alert.

`vector(1) unless on () count(x)` is true where x has no series. Not absent(): whether Cloud Monitoring evaluates
it as Prometheus does could not be confirmed.
"""

from datetime import timedelta
from functools import partial

from monitoring.alerts import Alert, Severity
from monitoring.catalogue.front_door import DOWN

ticket = partial(Alert, severity=Severity.TICKET, runbook="telemetry.md", panel="Series that are there")
page = partial(Alert, severity=Severity.PAGE, runbook="telemetry.md", panel="Series that are there")
MINUTE = timedelta(minutes=1)
SCORED = 'leadscoring_requests_total{route="/v1/score"}'


def none_of(series: str) -> str:
    """True where no such series is there."""
    return f"vector(1) unless on () count({series})"


ALERTS = (
    page(
        name="ServiceMetricsAbsent",
        # Of pods that are gone with the way to them FrontDoorDown tells sooner.
        expr=f"{none_of(SCORED)}\nunless on ()\n{DOWN}",
        hold=10 * MINUTE,
        summary="No pod's metrics arrive: either nothing scores, or nobody would see it if callers got no scores.",
    ),
    ticket(
        name="JobFiguresAbsent",
        expr=none_of("last_over_time(leadscoring_job_last_start_timestamp_seconds[25h])"),
        hold=10 * MINUTE,
        summary="No job has written a figure for a day: nobody would see the model get worse.",
    ),
    ticket(
        name="PodMetricsAbsent",
        expr=none_of('kube_deployment_spec_replicas{deployment="scoring"}'),
        hold=30 * MINUTE,
        summary="The cluster reports no state of its pods: nobody would see them crash.",
    ),
    ticket(
        name="UptimeCheckAbsent",
        expr=none_of(
            'last_over_time(monitoring_googleapis_com:uptime_check_check_passed{monitored_resource="uptime_url"}[15m])'
        ),
        hold=30 * MINUTE,
        summary="The check from outside reports nothing: nobody would see that callers cannot reach the service.",
    ),
    ticket(
        name="DatabaseMetricsAbsent",
        expr=none_of(
            'last_over_time(cloudsql_googleapis_com:database_cpu_utilization{monitored_resource="cloudsql_database"}[15m])'
        ),
        hold=30 * MINUTE,
        summary="MLflow's database reports nothing: nobody would see it stop.",
    ),
)
