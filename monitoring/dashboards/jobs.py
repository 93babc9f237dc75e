"""The jobs of the closed loop."""

from monitoring.alerts import Alert
from monitoring.dashboards.panel import Dashboard, Line, Panel, Unit
from monitoring.promql.conditions import Condition, conditions


def dashboard(alerts: tuple[Alert, ...]) -> Dashboard:
    """The jobs' dashboard; the jobs are those that alerts are about."""
    late, failing, near, over = (_of(alerts, end) for end in ("Late", "Failing", "NearTimeout", "Overrunning"))
    return Dashboard(
        "jobs",
        "Lead scoring: jobs",
        "Did every job run, end well, and in time?",
        (
            Panel("Age of the jobs' last success", Unit.SECONDS, tuple(Line(job, of[0].measured) for job, of in late)),
            Panel(
                "Last failure and last success",
                Unit.SECONDS,
                tuple(
                    line
                    for job, (failed,) in failing
                    for line in (Line(f"{job} failed", failed.measured), Line(f"{job} ended well", failed.limit, True))
                ),
            ),
            Panel(
                "Last start and last end",
                Unit.SECONDS,
                tuple(
                    line
                    for job, (started, well, failed) in over
                    for line in (
                        Line(f"{job} started", started.measured),
                        Line(f"{job} ended well", well.limit, True),
                        Line(f"{job} failed", failed.limit, True),
                    )
                ),
            ),
            Panel("Duration of the jobs", Unit.SECONDS, tuple(Line(job, of[0].measured) for job, of in near)),
            Panel("Executions that failed"),
            Panel("Share of time without a result", Unit.RATIO),
        ),
    )


def _of(alerts: tuple[Alert, ...], end: str) -> list[tuple[str, tuple[Condition, ...]]]:
    """Each job, and the conditions of its alert of this kind."""
    found = [alert for alert in alerts if alert.runbook == "jobs.md" and alert.name.endswith(end)]
    return [(alert.name.removesuffix(end).lower(), conditions(alert)) for alert in found]
