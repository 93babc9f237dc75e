"""Stories of failures that several alerts report, told from the resource that fails."""

from datetime import timedelta

from monitoring.platform import Platform
from monitoring.proof.cases import Case, Firing, Series, fires, run
from monitoring.proof.scenarios import front_door, jobs, model, pods, records, tracking

TEN = timedelta(minutes=10)
JOBS = Platform().jobs
STARTED = ("train", "heartbeat", *(job.name for job in JOBS))  # by hand, or by the scheduler
BUCKET_AWAY = "pods cannot reach the bucket: it is gone, its key is disabled, or its name does not resolve"
BUCKET_ERRS = "the bucket refuses every second upload, and a pod's reads of the pointer"
KEY_DISABLED = "the key of the bucket and of the database is disabled"
NO_WAY_OUT = "jobs reach nothing outside: their executions fail"
KILLED = "every job's execution is killed, for its memory or its time"
NO_IMAGE = "no image can be pulled: a pod does not come back, and a job's execution fails"
NOT_STARTED = "the scheduler starts no job any more"
UNREACHABLE = "nobody outside can connect: no answer, or a certificate that callers refuse"


def uploads(share_failing: float) -> tuple[Series, ...]:
    """An hour in which so many of a pod's uploads fail, one being tried each minute."""
    return (
        records.moved("upload_failures", 0, (60, share_failing), (1, 0)),
        records.moved("records_written", 50),
        records.moved("records_uploaded", 50, (60, 50 * (1 - share_failing)), (1, 50)),
    )


def late() -> dict[str, Firing]:
    """When each job is late, to the end: the last that is due, and an hour."""
    due = {job.name: job.deadline // timedelta(minutes=1) for job in JOBS}
    end = max(due.values()) + 60
    return {f"{name.capitalize()}Late": Firing(after=minutes + 10, until=end + 10) for name, minutes in due.items()}


LATE = late()
CASES = (
    fires(
        "RecordUploadsFailing",
        BUCKET_AWAY,
        *uploads(1),
        *(model.pointer(pod, 60) for pod in "ab"),
        after=20,
        until=79,
        lasts=120,
        named_only=True,
        others={"SpoolNotDraining": Firing(after=24, until=60), "ModelPointerUnread": Firing(after=16, until=64)},
    ),
    fires(
        "RecordUploadsFailing",
        BUCKET_ERRS,
        *uploads(0.5),
        model.pointer("a"),
        model.pointer("b", 60),
        after=30,
        until=69,
        lasts=120,
        named_only=True,
        others={"ModelPointerUnread": Firing(after=16, until=64)},
        stays_silent=("SpoolNotDraining",),
    ),
    fires(
        "RecordUploadsFailing",
        KEY_DISABLED,
        *uploads(1),
        tracking.running((60, 0), (1, 1)),
        after=20,
        until=79,
        lasts=120,
        named_only=True,
        others={"SpoolNotDraining": Firing(after=24, until=60), "DatabaseDown": Firing(after=18, until=63)},
    ),
    fires(
        "JobExecutionFailed",
        NO_WAY_OUT,
        *(jobs.executions(name, "failed", (1, 1), (1, 0)) for name in ("retrain", "batch", "train")),
        after=2,
        until=62,
        lasts=90,
        instances=3,
        named_only=True,
    ),
    fires(
        "JobExecutionFailed",
        KILLED,
        *(jobs.executions(name, "failed", (1, 1), (1, 0)) for name in STARTED),
        after=2,
        until=62,
        lasts=90,
        instances=len(STARTED),
        named_only=True,
    ),
    fires(
        "ScoringPodsNotReady",
        NO_IMAGE,
        *pods.available((40, 3), (1, 4)),
        jobs.executions("drift", "failed", (1, 1), (1, 0)),
        after=20,
        until=40,
        lasts=90,
        named_only=True,
        others={"JobExecutionFailed": Firing(after=2, until=62)},
    ),
    fires(
        "FrontDoorDown", UNREACHABLE, *front_door.checks((30, 0), (1, 1), down=6), after=11, until=34, named_only=True
    ),
    Case(
        story=NOT_STARTED,
        series=tuple(
            run(f'leadscoring_job_last_success_timestamp_seconds{{job="{job.name}"}}', job, None, (10, 0), (10, None))
            for job in JOBS
        ),
        history=0,
        step=TEN,
        lasts=max(firing.until for firing in LATE.values()) - 10,
        fires=LATE,
        named_only=True,
    ),
)
