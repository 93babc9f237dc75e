"""Which model gives the scores."""

from collections.abc import Sequence

from monitoring.catalogue.model import moment
from monitoring.dashboards.panel import Dashboard, Line, Panel, Unit
from monitoring.platform import Job


def dashboard(jobs: Sequence[Job]) -> Dashboard:
    """The dashboard of an environment with these jobs."""
    return Dashboard(
        "serving",
        "Lead scoring: model in service",
        "Does every pod serve the promoted model, and is it not too old?",
        (
            Panel("Age of the pointer's last reading", Unit.SECONDS),
            Panel("Share of time with a stale pointer", Unit.RATIO),
            Panel("Slices with a stale pointer"),
            Panel(
                "Pods by model version",
                lines=(Line("${version}", "count by (version) (leadscoring_model_info == 1)"),),
                stacked=True,
            ),
            Panel("Pods with a model"),
            Panel("Different models in service"),
            Panel(
                "Time since promotion and loading",
                Unit.SECONDS,
                (
                    Line("loaded, by the slowest pod", "time() - min(leadscoring_model_loaded_timestamp_seconds > 0)"),
                    Line(
                        "promoted",
                        f"time() - {moment('promoted', jobs)}",
                        limit=True,
                    ),
                ),
            ),
            Panel("Age of the model", Unit.SECONDS),
            Panel("Bundles refused"),
        ),
    )
