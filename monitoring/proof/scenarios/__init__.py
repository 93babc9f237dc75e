"""Every story of every alert, and the quiet night in which none may say a word."""

from monitoring.alerts import Alert
from monitoring.proof.cases import Case
from monitoring.proof.decoys import among_others
from monitoring.proof.scenarios import (
    before,
    budgets,
    capacity,
    cluster,
    compaction,
    failures,
    front_door,
    jobs,
    low_traffic,
    model,
    pods,
    probe,
    promises,
    quality,
    quiet_night,
    records,
    runs,
    telemetry,
    tracking,
)


def cases(alerts: tuple[Alert, ...]) -> tuple[Case, ...]:
    """All cases for these alerts, each as it is told and among series of others."""
    scenarios = (
        *promises.CASES,
        *budgets.CASES,
        *low_traffic.CASES,
        *pods.CASES,
        *cluster.CASES,
        *capacity.CASES,
        *front_door.CASES,
        *probe.CASES,
        *model.CASES,
        *records.CASES,
        *compaction.CASES,
        *quality.CASES,
        *jobs.CASES,
        *tracking.CASES,
        *telemetry.CASES,
        *failures.CASES,
    )
    return (
        *(variant for case in scenarios for variant in (case, among_others(case, alerts))),
        *(among_others(case, alerts) for case in (*before.CASES, *runs.cases(alerts))),
        *quiet_night.CASES,
    )
