"""Stories of the jobs. In the cloud a figure is a sample a run; scraped from a file it stays."""

from datetime import timedelta

from monitoring.platform import Job, Platform
from monitoring.proof.cases import MINUTE, Case, Firing, Series, Value, counter, fires, gauge, stays_silent

TEN, HALF_HOUR, DAY = timedelta(minutes=10), timedelta(minutes=30), timedelta(days=1)
JOBS = Platform().jobs


def when(what: str, job: str, before: Value, *after: tuple[int, Value]) -> Series:
    """The time of the last start, success or failure."""
    return gauge(f'leadscoring_job_last_{what}_timestamp_seconds{{job="{job}"}}', before, *after)


def others(job: str) -> tuple[Series, ...]:
    """All other jobs end well every minute."""
    name = "leadscoring_job_last_success_timestamp_seconds"
    return tuple(counter(f'{name}{{job="{other.name}"}}', 60) for other in JOBS if other.name != job)


def duration(job: str, *after: tuple[int, float]) -> Series:
    """Seconds that the last run took."""
    return gauge(f'leadscoring_job_duration_seconds{{job="{job}"}}', 60, *after)


def executions(job: str, result: str, *after: tuple[int, float]) -> Series:
    """Executions a minute."""
    labels = f'monitored_resource="cloud_run_job",job_name="acme-prod-{job}",result="{result}"'
    return counter(f"run_googleapis_com:job_completed_execution_count{{{labels}}}", 0, *after)


def late(job: Job) -> tuple[Case, ...]:
    """The last success is older than the deadline. Minutes count from that success."""
    alert, rest = f"{job.name.capitalize()}Late", others(job.name)
    deadline = job.deadline // MINUTE
    return (
        fires(
            alert,
            f"{job.name} ends well once",
            when("success", job.name, None, (10, 0), (deadline + 40, None), (10, (deadline + 50) * 60), (10, None)),
            *rest,
            history=0,
            step=TEN,
            after=deadline + 10,
            until=deadline + 50,
        ),
        fires(
            alert,
            f"{job.name} ended well once, as its file says",
            when("success", job.name, None, (deadline + 50, 0), (10, (deadline + 50) * 60)),
            *rest,
            history=0,
            step=TEN,
            after=deadline + 10,
            until=deadline + 50,
        ),
        stays_silent(
            alert,
            f"{job.name} ends well just in time",
            when("success", job.name, None, (deadline - 10, 0), (deadline - 10, (deadline - 10) * 60)),
            *rest,
            history=0,
            step=TEN,
            lasts=deadline + 60,  # by then the success before would be too old
        ),
    )


def failing(job: Job) -> tuple[Case, ...]:
    """An attempt failed and none since succeeded."""
    name, rest = job.name.capitalize(), others(job.name)
    return (
        fires(
            f"{name}Failing",
            f"{job.name} fails for an hour",
            when("success", job.name, 1000, (60, 1000), (1, 7200)),
            when("failure", job.name, None, (1, 3600)),
            *rest,
            after=30,
            until=60,
        ),
        fires(
            f"{name}Failing",
            f"{job.name} has never ended well",
            when("failure", job.name, None, (60, 600)),
            *rest,
            history=0,
            after=30,
            until=61,
            lasts=60,
            others={f"{name}Late": Firing(after=10, until=61)},
        ),
        stays_silent(
            f"{name}Failing",
            f"{job.name}'s second attempt ends well",
            when("success", job.name, 1000, (30, 1000), (1, 5400)),
            when("failure", job.name, None, (1, 3600)),
            *rest,
            lasts=90,
        ),
    )


def overrunning(job: Job) -> tuple[Case, ...]:
    """A run has neither succeeded nor failed within its timeout."""
    name, rest = job.name.capitalize(), others(job.name)
    timeout = job.timeout // MINUTE
    other = next(candidate.name for candidate in JOBS if candidate.name != job.name)
    return (
        fires(
            f"{name}Overrunning",
            f"{job.name} hangs, and ends well when it is run again",
            when("start", job.name, None, (timeout + 50, 3600), (1, (timeout + 110) * 60)),
            when("success", job.name, 3300, (timeout + 60, 3300), (1, (timeout + 120) * 60)),
            when("failure", job.name, 900),
            when("failure", other, None, (2, None), (1, 3660)),  # and was mended since
            *rest,
            after=timeout + 11,
            until=timeout + 50,
            lasts=timeout + 80,
        ),
        fires(
            f"{name}Overrunning",
            f"{job.name} was killed in its very first run",
            when("start", job.name, None, (timeout + 60, 60)),
            when("success", job.name, None, (timeout + 60, None), (1, (timeout + 60) * 60)),
            *rest,
            history=0,
            after=timeout + 12,
            until=timeout + 60,
            others={f"{name}Late": Firing(after=10, until=timeout + 60)},
        ),
        stays_silent(
            f"{name}Overrunning",
            f"{job.name} ends well just in time",
            when("start", job.name, None, (1, 3600)),
            when("success", job.name, 1800, (timeout + 5, 1800), (1, (timeout + 65) * 60)),
            *rest,
            lasts=timeout + 60,
        ),
        stays_silent(
            f"{name}Overrunning",
            f"{job.name} is stopped just in time and says so",
            when("start", job.name, None, (1, 3600)),
            when("success", job.name, 1800),
            when("failure", job.name, None, (timeout + 5, None), (1, (timeout + 65) * 60)),
            *rest,
            lasts=timeout + 30,
        ),
    )


def near_timeout(job: Job) -> tuple[Case, ...]:
    """A run took more than 80 % of its timeout."""
    alert, rest = f"{job.name.capitalize()}NearTimeout", others(job.name)
    limit = job.timeout.total_seconds() * 0.8
    return (
        fires(
            alert,
            f"{job.name} takes long",
            duration(job.name, (30, 1.05 * limit), (1, 60)),
            when("success", job.name, 1000),
            *rest,
            after=0,
            until=30,
        ),
        stays_silent(
            alert,
            f"{job.name} takes less",
            duration(job.name, (30, 0.95 * limit), (1, 60)),
            when("success", job.name, 1000),
            *rest,
            lasts=60,
        ),
    )


def until_the_next_run(job: Job) -> tuple[Case, ...]:
    """One sample a run, a gap apart: what is wrong with a run stays open until the next one mends it."""
    name, rest, gap, timeout = job.name.capitalize(), others(job.name), job.gap // MINUTE, job.timeout // MINUTE

    def well(at: int) -> Series:
        """Ends well at the beginning, and then so many minutes later."""
        return when("success", job.name, None, (30, 0), (at - 30, None), (30, at * 60), (30, None))

    seconds = f'leadscoring_job_duration_seconds{{job="{job.name}"}}'
    slow = 0.9 * job.timeout.total_seconds()
    return (
        fires(
            f"{name}Failing",
            f"{job.name} fails once, and ends well at its next run",
            when("failure", job.name, None, (60, None), (30, 3600), (30, None)),
            well(gap),
            *rest,
            after=90,
            until=gap,
            lasts=gap + 120,
            history=0,
            step=HALF_HOUR,
        ),
        fires(
            f"{name}Overrunning",
            f"{job.name} is killed once, and is started again at its next hour",
            when("start", job.name, None, (60, None), (30, 3600), (gap - 90, None), (30, gap * 60), (30, None)),
            well(gap + 30),
            *rest,
            after=60 + timeout + 60,  # older than the time-out half an hour later, then the hold
            until=gap,
            lasts=gap + 120,
            history=0,
            step=HALF_HOUR,
        ),
        fires(
            f"{name}NearTimeout",
            f"{job.name} takes long once, and less at its next run",
            gauge(seconds, None, (60, None), (30, slow), (gap - 60, None), (30, 60), (30, None)),
            well(gap + 30),
            *rest,
            after=60,
            until=gap + 30,
            lasts=gap + 120,
            history=0,
            step=HALF_HOUR,
        ),
    )


def on_time(alert: str, job: str) -> tuple[Case, Case]:
    """41 of a day's 288 slices are over 14 %; a daily job of an hour is late 1,500 minutes after a success.

    Until the fault it ends well every minute, and then once more so many minutes later, as its file says.
    """
    name, rest = job.capitalize(), others(job)

    def again(after: int) -> Series:
        success = f'leadscoring_job_last_success_timestamp_seconds{{job="{job}"}}'
        return gauge(success, 86_400, (after, 86_400), (10, (1440 + after) * 60))

    return (
        fires(
            alert,
            f"{job} is late for five hours",
            again(1800),
            *rest,
            history=1440,
            step=TEN,
            after=1700,
            until=1910,
            lasts=2700,  # when it is half a deadline old once more
            others={f"{name}Late": Firing(after=1510, until=1800)},
        ),
        Case(
            story=f"{job} is late for three hours",
            series=(again(1680), *rest),
            history=1440,
            step=TEN,
            lasts=1920,
            stays_silent=(alert,),
            fires={f"{name}Late": Firing(after=1510, until=1680)},
        ),
    )


CASES = (
    *(case for job in JOBS for of_alert in (late, failing, overrunning, near_timeout) for case in of_alert(job)),
    *(case for job in JOBS if job.gap > DAY for case in until_the_next_run(job)),
    *on_time("EvaluationOnTimeBurnSteady", "evaluate"),
    *on_time("DriftOnTimeBurnSteady", "drift"),
    fires(
        "JobExecutionFailed",
        "two jobs fail for good",
        *(executions(job, "failed", (1, 1), (1, 0)) for job in ("drift", "batch")),
        *others(""),
        after=2,
        until=62,
        instances=2,
    ),
    stays_silent(
        "JobExecutionFailed",
        "executions succeed",
        executions("drift", "succeeded", (1, 1), (1, 0)),
        *others(""),
        lasts=90,
    ),
)
