"""What is left of the error budgets."""

from monitoring.alerts import Alert
from monitoring.budgets import ErrorBudget
from monitoring.catalogue import promises
from monitoring.dashboards.panel import Dashboard, Line, Panel, Unit
from monitoring.promql.conditions import conditions

COUNTED = "Bad requests in four weeks"
NAMES = {promises.AVAILABILITY: "failed", promises.LATENCY: "slow", promises.MLFLOW: "MLflow failed"}


def dashboard(alerts: tuple[Alert, ...]) -> Dashboard:
    """A panel for each budget that an alert reports, and the requests that spent them."""
    left = {alert.panel: conditions(alert)[0].measured for alert in alerts if alert.name.endswith("BudgetSpent")}
    return Dashboard(
        "budgets",
        "Lead scoring: error budgets",
        "What is left of what each promise allows in 28 days? 100 % is all, 0 % none; no line: nothing went wrong.",
        (
            *(Panel(title, Unit.RATIO, (Line("left", expr),)) for title, expr in left.items()),
            Panel(COUNTED, lines=tuple(Line(name, ErrorBudget(slo).bad) for slo, name in NAMES.items())),
        ),
    )
