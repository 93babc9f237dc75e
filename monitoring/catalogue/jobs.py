"""The jobs of the closed loop: absent, failing, running out of time. Deadlines come from their cron lines."""

from collections.abc import Iterable
from datetime import timedelta
from functools import partial

from monitoring.alerts import Alert, Severity
from monitoring.platform import Job
from monitoring.promql.text import duration

ticket = partial(Alert, severity=Severity.TICKET, runbook="jobs.md")
MINUTE = timedelta(minutes=1)
USES = {
    "evaluate": "nobody knows how good the served model is",
    "drift": "changes of the leads go unnoticed",
    "retrain": "the model grows old",
    "batch": "the night's leads have no scores",
    "report": "sales and whoever pays have no report of the week",
    "compact": "records pile up as small objects and every job that reads them takes longer",
}
EXECUTIONS = 'run_googleapis_com:job_completed_execution_count{monitored_resource="cloud_run_job",result="failed"}'


def alerts(jobs: Iterable[Job]) -> tuple[Alert, ...]:
    """Four alerts for each job, and one that also sees a job die before it can say anything."""
    return (
        *(alert for job in jobs for alert in _of(job)),
        ticket(
            name="JobExecutionFailed",
            expr=f"sum by (job_name) (increase({EXECUTIONS}[1h])) > 0",
            hold=0 * MINUTE,
            summary="A job's execution failed after all its attempts; what it should have made is not there.",
            panel="Executions that failed",
        ),
    )


def _of(job: Job) -> tuple[Alert, ...]:
    def last(what: str, back: timedelta) -> str:
        labels = f'{{job="{job.name}"}}'
        return f"max(max_over_time(leadscoring_job_last_{what}_timestamp_seconds{labels}[{duration(back)}]))"

    name, harm, back = job.name.capitalize(), USES.get(job.name, "its work is missing"), job.lookback
    limit = 0.8 * job.timeout.total_seconds()
    return (
        ticket(
            name=f"{name}Late",
            # Not absent(): whether Cloud Monitoring evaluates it as Prometheus does could not be confirmed.
            expr=(
                f"vector(1) unless on () {last('success', job.deadline)} > time() - {job.deadline.total_seconds():.0f}"
            ),
            hold=10 * MINUTE,
            summary=f"The job {job.name} has not ended well for {duration(job.deadline)}: {harm}.",
            panel="Age of the jobs' last success",
        ),
        ticket(
            name=f"{name}Failing",
            expr=f"{last('failure', back)} > ({last('success', back)} or vector(0))",
            hold=30 * MINUTE,  # the time in which a second attempt may mend it
            summary=f"The job {job.name} failed and no attempt since ended well: {harm}.",
            panel="Last failure and last success",
        ),
        ticket(
            name=f"{name}Overrunning",
            # The last start has no end: newer than every success and failure, and older than an attempt may be.
            expr=(
                f"({last('start', back)} < time() - {job.timeout.total_seconds():.0f})\n"
                f"> ({last('success', back)} or vector(0))\n"
                f"> ({last('failure', back)} or vector(0))"
            ),
            hold=10 * MINUTE,  # in which a job that is stopped still says so
            summary=f"The job {job.name} started and has not ended in the time it is given: it hangs or was killed.",
            panel="Last start and last end",
        ),
        ticket(
            name=f"{name}NearTimeout",
            expr=(
                f'max(last_over_time(leadscoring_job_duration_seconds{{job="{job.name}"}}[{duration(back)}]))'
                f" > {limit:.0f}"
            ),
            hold=0 * MINUTE,
            summary=f"The job {job.name} took more than 80 % of the time it is given and will soon be cut off.",
            panel="Duration of the jobs",
        ),
    )
