"""Prediction records that wait to become tables, or never can."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial

from monitoring.alerts import Alert, Severity
from monitoring.platform import HOUR, Job
from monitoring.promql.text import duration

ticket = partial(Alert, severity=Severity.TICKET, runbook="records.md")
JOB = "compact"
# The jobs have memory for a day of raw records: infra/sizing.py. Of an hourly job four hours make it a quarter.
AFTER_DEADLINE = 4 * HOUR


def alerts(jobs: Iterable[Job]) -> tuple[Alert, ...]:
    """The alerts of an environment whose jobs include the one that compacts."""
    return tuple(alert for job in jobs if job.name == JOB for alert in _of(job))


def waits_at_most(job: Job) -> timedelta:
    """How long after the end of its hour a record may wait to be compacted."""
    return job.deadline + AFTER_DEADLINE


def _of(job: Job) -> Iterator[Alert]:
    """A run says what waits when it ends well; since then it waits longer. Before the first run there is no figure."""
    limit = waits_at_most(job)
    back = duration(max(25 * HOUR, 2 * limit))

    def newest(name: str) -> str:
        return f'max(last_over_time(leadscoring_{name}{{job="{JOB}"}}[{back}]))'

    yield ticket(
        name="RecordsNotCompacted",
        expr=(
            f"{newest('compact_oldest_waiting_seconds')} + time()"
            f" - {newest('job_last_success_timestamp_seconds')} > {limit.total_seconds():.0f}"
        ),
        hold=timedelta(minutes=10),
        summary=(
            f"Records wait for {duration(limit)} to be compacted: after a day of them the jobs that read records lack "
            "memory."
        ),
        panel="Wait of the oldest records that are not compacted",
    )
    yield ticket(
        name="RecordsUnreadable",
        expr=f"{newest('compact_unreadable_objects')} > 0",
        hold=timedelta(0),
        summary="Objects in the bucket are no prediction records, or changed since: their leads are not evaluated.",
        panel="Objects that compaction cannot read",
    )
