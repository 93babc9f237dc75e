"""Every dashboard, and on each the alerts that people see coming there.

`python -m monitoring.dashboards` draws them from simulated data, as the documentation shows them.
"""

from monitoring import catalogue
from monitoring.alerts import Alert
from monitoring.dashboards import business, front_door, jobs, mlflow, model, records, service
from monitoring.dashboards.panel import Dashboard, placed

# Conditions that are drawn apart from their alert's first one, for they have another unit, by their place.
ELSEWHERE = {
    **{(f"ScoringAvailability{end}", 2): service.BAD for end in ("BurnFast", "BurnSlow", "BurnSteady")},
    **{(f"ScoringLatency{end}", 2): service.BAD for end in ("BurnFast", "BurnSlow", "BurnSteady")},
    ("ModelFreshnessBurnSteady", 2): "Slices with a stale pointer",
    **{(f"MlflowAvailability{end}", 2): "MLflow's failed requests" for end in ("BurnSlow", "BurnSteady")},
    **{("ScoringFailuresAmongFew", place): service.FEW for place in (1, 2, 3)},
    ("ScoringOutOfMemory", 1): "Restarts",
    ("ScoringRequestsShed", 1): "Requests shed",
    ("FrontDoorFailsBeforePods", 1): "Share of 5xx at the load balancer",
    ("CallersRefusedByPods", 1): "Callers refused by pods",
    ("CallersRefusedAtFrontDoor", 1): "Callers refused at the front door",
    ("FrontDoorSlow", 1): "Requests at the load balancer",
    ("PodsUnknownToLoadBalancer", 1): "Requests at the pods",
    ("CallersBlocked", 1): "Share of callers blocked",
    ("RecordsNotWritten", 1): "Leads scored in an hour",
    ("ScoresShifted", 1): "Drift found",
    ("MlflowSlow", 1): "MLflow's requests",
}


def dashboards(alerts: tuple[Alert, ...] | None = None) -> tuple[Dashboard, ...]:
    """All dashboards, with every condition of these alerts on its panel."""
    alerts = catalogue.alerts() if alerts is None else alerts
    return placed(
        (
            service.DASHBOARD,
            front_door.DASHBOARD,
            model.DASHBOARD,
            business.DASHBOARD,
            records.DASHBOARD,
            jobs.dashboard(alerts),
            mlflow.DASHBOARD,
        ),
        alerts,
        ELSEWHERE,
    )
