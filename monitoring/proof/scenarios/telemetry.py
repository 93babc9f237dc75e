"""Stories of metrics that stop coming."""

from datetime import timedelta

from monitoring.proof.cases import Case, Firing, Series, Stretch, fires, gauge, stays_silent
from monitoring.proof.scenarios.front_door import checks

TEN = timedelta(minutes=10)
DATABASE = 'cloudsql_googleapis_com:database_cpu_utilization{monitored_resource="cloudsql_database"}'
COME = {
    "ServiceMetricsAbsent": 'leadscoring_requests_total{route="/v1/score",status="200"}',
    "JobFiguresAbsent": 'leadscoring_job_last_start_timestamp_seconds{job="drift"}',
    "PodMetricsAbsent": 'kube_deployment_spec_replicas{deployment="scoring"}',
    "UptimeCheckAbsent": 'monitoring_googleapis_com:uptime_check_check_passed{monitored_resource="uptime_url"}',
    "DatabaseMetricsAbsent": DATABASE,
}


def series(missing: str, *gap: Stretch) -> tuple[Series, ...]:
    """All come, but for one."""
    return tuple(gauge(each, 1, *(gap if alert == missing else ())) for alert, each in COME.items())


def absent(alert: str, gap: int, short: int, after: int, until: int) -> tuple[Case, Case]:
    """A gap of so many minutes is told; a short one is not."""
    return (
        fires(
            alert, f"{alert}: {gap} minutes of silence", *series(alert, (gap, None), (1, 1)), after=after, until=until
        ),
        stays_silent(
            alert, f"{alert}: {short} minutes of silence", *series(alert, (short, None), (1, 1)), lasts=short + 60
        ),
    )


CASES = (
    # The newest sample is from a minute before, and seen for five.
    *absent("ServiceMetricsAbsent", 30, 14, after=15, until=30),
    # One page is enough: of what nobody reaches from outside, FrontDoorDown tells.
    stays_silent(
        "ServiceMetricsAbsent",
        "pods are gone, and two places cannot reach the service",
        *series("ServiceMetricsAbsent", (30, None), (1, 1)),
        *checks((30, 0), (1, 1), down=2),
        lasts=60,
    ),
    fires(
        "ServiceMetricsAbsent",
        "pods' metrics do not arrive, and one place cannot reach the service",
        *series("ServiceMetricsAbsent", (30, None), (1, 1)),
        *checks((30, 0), (1, 1), down=1),
        after=15,
        until=30,
    ),
    fires(
        "ServiceMetricsAbsent",
        "pods are gone for an hour, and places cannot reach the service in the first half of it",
        *series("ServiceMetricsAbsent", (60, None), (1, 1)),
        *checks((30, 0), (1, 1), down=2),
        after=44,
        until=60,
        others={"FrontDoorDown": Firing(after=11, until=34)},
        named_only=True,
        lasts=90,
    ),
    fires(
        "JobFiguresAbsent",
        "no job has run for a day",
        *series("JobFiguresAbsent", (1600, None), (10, 1)),
        step=TEN,
        after=1510,
        until=1600,
        others={},
    ),
    stays_silent(
        "JobFiguresAbsent",
        "jobs run once a day",
        *series("JobFiguresAbsent", (1490, None), (10, 1)),
        step=TEN,
        lasts=1600,
    ),
    *absent("PodMetricsAbsent", 60, 34, after=35, until=60),
    *absent("UptimeCheckAbsent", 90, 44, after=49, until=94),
    *absent("DatabaseMetricsAbsent", 90, 44, after=48, until=93),
)
