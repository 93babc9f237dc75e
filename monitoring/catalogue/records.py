"""The prediction records: without them no lead can be evaluated, explained or forgotten."""

from datetime import timedelta
from functools import partial

from monitoring.alerts import Alert, Severity
from monitoring.platform import HOUR, enough

ticket = partial(Alert, severity=Severity.TICKET, runbook="records.md")
page = partial(Alert, severity=Severity.PAGE, runbook="records.md")
MINUTE = timedelta(minutes=1)
SPOOL_BYTES = 256_000_000  # at which the service answers 503: Settings.spool_max_bytes
SCORED = "sum(increase(leadscoring_leads_scored_total[1h]))"
WRITTEN = "sum(increase(leadscoring_records_written_total[1h]))"

AT_ANY_VOLUME = (
    page(
        name="SpoolHalfFull",
        expr=f"max(leadscoring_spool_bytes) > {SPOOL_BYTES // 2}",
        hold=5 * MINUTE,
        summary="Records wait in half of a pod's spool; when it is full callers get 503 instead of scores.",
        panel="Spool",
    ),
    ticket(
        name="SpoolNotDraining",
        expr=(
            "sum(increase(leadscoring_records_uploaded_total[15m])) == 0\n"
            "and\nsum(increase(leadscoring_records_written_total[15m])) > 0"
        ),
        hold=10 * MINUTE,
        summary="Leads are scored and no record of them reaches the bucket: a lost pod would lose them.",
        panel="Records in 15 minutes",
    ),
    ticket(
        name="RecordUploadsFailing",
        expr="sum(increase(leadscoring_upload_failures_total[30m])) > 10",
        hold=10 * MINUTE,
        summary="Uploads of prediction records fail again and again: the predictions bucket refuses or is away.",
        panel="Failed uploads",
    ),
    ticket(
        name="RecordsMissingInBucket",
        expr='max(last_over_time(leadscoring_evaluation_records_missing_ratio{job="evaluate"}[25h])) > 0.01',
        hold=0 * MINUTE,
        summary="Records of more than one scored lead in a hundred are not in the bucket, so evaluations are biased.",
        panel="Share of records missing in the bucket",
    ),
)


def alerts(leads_per_day: int) -> tuple[Alert, ...]:
    """All alerts, of an environment that declares so many leads."""
    return (
        *AT_ANY_VOLUME,
        ticket(
            name="RecordsNotWritten",
            expr=f"1 - {WRITTEN} / {SCORED} > 0.01\nand\n{SCORED} >= {enough(leads_per_day, HOUR, 500)}",
            hold=15 * MINUTE,
            summary="More than one lead in a hundred was scored without a record, which must never be.",
            panel="Share scored without a record",
        ),
    )
