"""Prediction records on their way to the bucket, and whether metrics come at all."""

from monitoring.catalogue.cluster import backups
from monitoring.dashboards.panel import Dashboard, Line, Panel, Unit


def moved(name: str) -> str:
    """A quarter of an hour of one of the records' counters."""
    return f"sum(increase(leadscoring_{name}_total[15m]))"


DASHBOARD = Dashboard(
    "records",
    "Lead scoring: records and telemetry",
    "Does every score leave a record, and would we see it if anything stopped?",
    (
        Panel("Spool", Unit.BYTES, (Line("${instance}", "max by (instance) (leadscoring_spool_bytes)"),)),
        Panel(
            "Records in 15 minutes",
            lines=(Line("written", moved("records_written")), Line("uploaded", moved("records_uploaded"))),
        ),
        Panel(
            "Failed uploads", lines=(Line("in half an hour", "sum(increase(leadscoring_upload_failures_total[30m]))"),)
        ),
        Panel("Share scored without a record", Unit.RATIO),
        Panel("Leads scored in an hour"),
        Panel("Share of records missing in the bucket", Unit.RATIO),
        Panel("Wait of the oldest records that are not compacted", Unit.SECONDS),
        Panel("Objects that compaction cannot read"),
        Panel("Series that are there"),
        Panel("Backups of the cluster", lines=(Line("failed", backups("FAILED")), Line("good", backups("SUCCEEDED")))),
    ),
)
