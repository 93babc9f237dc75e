"""Every dashboard, and on each the alerts that people see coming there.

`python -m monitoring.dashboards` draws them from simulated data, as the documentation shows them.
"""

from collections.abc import Sequence

from monitoring import catalogue
from monitoring.alerts import Alert
from monitoring.dashboards import budgets, business, front_door, jobs, mlflow, model, records, service, serving
from monitoring.dashboards.panel import Dashboard, placed
from monitoring.platform import Job

# Conditions that are drawn apart from their alert's first one, for they have another unit, by their place.
ELSEWHERE = {
    **{
        (f"Scoring{what}{end}", place): service.BAD
        for what in ("Availability", "Latency")
        for end in ("BurnFast", "BurnSlow", "BurnSteady")
        for place in (2, 3)
    },
    **{(f"Scoring{what}BurnSlow", 4): service.FAST for what in ("Availability", "Latency")},
    **{("ModelFreshnessBurnSteady", place): "Slices with a stale pointer" for place in (2, 3)},
    **{
        (f"MlflowAvailability{end}", place): "MLflow's failed requests"
        for end in ("BurnSlow", "BurnSteady")
        for place in (2, 3)
    },
    **{(f"{slo.name}{end}", 1): budgets.COUNTED for slo in budgets.NAMES for end in ("BudgetHalfSpent", "BudgetSpent")},
    **{("ScoringFailuresAmongFew", place): service.FEW for place in (1, 2, 3)},
    ("ScoringOutOfMemory", 1): "Restarts",
    ("ScoringRequestsShed", 1): "Requests shed",
    ("FrontDoorFailsBeforePods", 1): "Share of 5xx at the load balancer",
    ("FrontDoorFailsBeforePods", 2): "Regions that cannot reach it",
    ("ServiceMetricsAbsent", 1): "Regions that cannot reach it",
    ("CallersRefusedByPods", 1): "Callers refused by pods",
    ("CallersRefusedAtFrontDoor", 1): "Callers refused at the front door",
    ("FrontDoorSlow", 1): "Requests at the load balancer",
    ("PodsUnknownToLoadBalancer", 1): "Pods with a model",
    ("PodsUnknownToLoadBalancer", 2): "Requests at the pods",
    ("NobodyIsScored", 1): "Scores given in 20 minutes",
    ("NobodyIsScored", 2): "Series that are there",
    ("NobodyIsScored", 3): service.FAST,
    ("NobodyIsScored", 4): "Regions that cannot reach it",
    ("ClusterBackupMissing", 1): "Series that are there",
    ("CallersBlocked", 1): "Share of callers blocked",
    ("RecordsNotWritten", 1): "Leads scored in an hour",
    ("ScoresShifted", 1): "Drift found",
    ("MlflowSlow", 1): "MLflow's requests",
}


def dashboards(
    alerts: tuple[Alert, ...] | None = None, scheduled: Sequence[Job] = catalogue.DEFAULT.jobs
) -> tuple[Dashboard, ...]:
    """All dashboards, with every condition of these alerts on its panel, of an environment with these jobs."""
    alerts = catalogue.alerts() if alerts is None else alerts
    return placed(
        (
            service.DASHBOARD,
            budgets.dashboard(alerts),
            front_door.DASHBOARD,
            model.dashboard(scheduled),
            business.dashboard(scheduled),
            serving.dashboard(scheduled),
            records.DASHBOARD,
            jobs.dashboard(alerts),
            mlflow.DASHBOARD,
        ),
        alerts,
        ELSEWHERE,
    )
