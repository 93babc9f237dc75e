"""MLflow and its database."""

from monitoring.catalogue.tracking import REVISION, database, distribution, requests
from monitoring.dashboards.panel import Dashboard, Line, Panel, Unit

REQUESTS = f"run_googleapis_com:request_count{{{REVISION}}}"

DASHBOARD = Dashboard(
    "mlflow",
    "Lead scoring: MLflow",
    "Can jobs and people record and read runs? Serving never depends on it.",
    (
        Panel(
            "MLflow's answers",
            Unit.PER_SECOND,
            (Line("${response_code_class}", f"sum by (response_code_class) (rate({REQUESTS}[5m]))"),),
            stacked=True,
        ),
        Panel(
            "MLflow's requests",
            lines=tuple(Line(f"{status} in half an hour", requests(status)) for status in ("2xx", "5xx")),
        ),
        Panel("MLflow's failed requests"),
        Panel("Share of MLflow's failed requests", Unit.RATIO),
        Panel(
            "MLflow's latency",
            Unit.MILLISECONDS,
            tuple(
                Line(f"{p} %", f"histogram_quantile({p / 100}, {distribution('request_latencies')})") for p in (50, 95)
            ),
        ),
        Panel("MLflow's memory", Unit.RATIO),
        Panel("The database runs"),
        Panel("The database's connections"),
        Panel(
            "The database's machine",
            Unit.RATIO,
            (
                Line("CPU", database("cpu", 30)),
                Line("memory", database("memory", 30)),
                Line("disk, which grows", database("disk", 15)),
            ),
        ),
        Panel("The database's disk", Unit.BYTES),
    ),
)
