"""The prediction records: without them no lead can be evaluated, explained or forgotten."""

from datetime import timedelta
from functools import partial

from monitoring.alerts import Alert, Severity
from monitoring.platform import HOUR, enough
from monitoring.promql.text import duration

ticket = partial(Alert, severity=Severity.TICKET, runbook="records.md")
page = partial(Alert, severity=Severity.PAGE, runbook="records.md")
MINUTE = timedelta(minutes=1)
SPOOL_BYTES = 256_000_000  # at which the service answers 503: Settings.spool_max_bytes
SURE = 400  # leads in the mean of an hour from which a share of an hour's is no chance

RECORD_BYTES = 4_000  # that a record holds of the spool, at most

AT_ANY_VOLUME = (
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


def spool(leads_per_day: int) -> Alert:
    """The page before a spool is full: nine tenths, at the growth of the last minutes, are less than an hour away.

    Where the declared leads would fill it within an hour, one pod taking them all, two minutes of growth are enough and
    nothing is held. The time ahead is then twice that to the full spool, so that the records of one interval between
    uploads, four times the mean in the busiest minute, do not look like growth.
    """
    fills = timedelta(seconds=SPOOL_BYTES / (leads_per_day / 86_400 * RECORD_BYTES))
    # Half an hour of growth: that of ten minutes swings so much that one outage would page twice.
    window, hold = (30 * MINUTE, 5 * MINUTE) if fills >= HOUR else (2 * MINUTE, 0 * MINUTE)
    windows = max(1, round(min(HOUR, 2 * fills) / window))
    return page(
        name="SpoolFillsUp",
        expr=(
            f"max(leadscoring_spool_bytes + {windows} * delta(leadscoring_spool_bytes[{duration(window)}]))"
            f" > {SPOOL_BYTES // 10 * 9}"
        ),
        hold=hold,
        summary=f"A pod's spool is full within {duration(windows * window)}; then callers get 503 instead of scores.",
        panel="Spool",
    )


def alerts(leads_per_day: int) -> tuple[Alert, ...]:
    """All alerts, of an environment that declares so many leads."""
    return (
        spool(leads_per_day),
        *AT_ANY_VOLUME,
        _not_written(leads_per_day),
    )


def _not_written(leads_per_day: int) -> Alert:
    """A share of an hour's leads; of fewer leads three of a day, for one may lie between the two counters' samples."""
    window = "1h" if leads_per_day / 24 >= SURE else "1d"
    scored = f"sum(increase(leadscoring_leads_scored_total[{window}]))"
    written = f"sum(increase(leadscoring_records_written_total[{window}]))"
    guard = f"{scored} >= {enough(leads_per_day, HOUR, 500)}" if window == "1h" else f"{scored} - {written} > 2.5"
    return ticket(
        name="RecordsNotWritten",
        expr=f"1 - {written} / {scored} > 0.01\nand\n{guard}",
        hold=15 * MINUTE,
        summary="More than one lead in a hundred was scored without a record, which must never be.",
        panel="Share scored without a record",
    )
