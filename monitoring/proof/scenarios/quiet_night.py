"""Eight hours of a healthy night: a request every ten minutes, and every metric that any alert reads."""

from datetime import timedelta

from monitoring.proof.cases import Case, Series, counter, gauge
from monitoring.proof.scenarios import (
    capacity,
    cluster,
    compaction,
    front_door,
    jobs,
    model,
    pods,
    probe,
    promises,
    quality,
    records,
    tracking,
)


def slowly(series: Series) -> Series:
    """A counter at a hundredth of the day's pace."""
    return Series(series.selector, None if series.before is None else series.before / 100, counts=True)


SERIES = (
    *(slowly(s) for s in promises.statuses(10, ())),
    *(slowly(s) for s in promises.durations(10, ())),
    *(slowly(s) for s in promises.mlflow(10, ())),
    *pods.rollout(),
    pods.waits("a", "ContainerCreating", (2, 1), (1, None)),
    pods.killed("python"),
    pods.unhandled("uvicorn.error"),
    cluster.backups("SUCCEEDED", (10, 0.1), (1430, 0), (10, 0.1), (10, 0)),
    cluster.backups("FAILED"),
    *(pods.restarts(pod) for pod in "ab"),
    *(pods.memory(pod) for pod in "ab"),
    *(pods.cpu(pod) for pod in "ab"),
    pods.unschedulable(),
    *pods.replicas(),
    *capacity.shed(0)[2:],
    *(capacity.closed(pod) for pod in "ab"),
    *front_door.checks(down=0),
    *(slowly(s) for s in front_door.answers(10)),
    *(slowly(s) for s in front_door.latencies(10, 0, 0)),
    *(slowly(front_door.pod(pod, 5)) for pod in "ab"),
    *(slowly(s) for s in front_door.scores(10)),
    front_door.probes(5),
    *(front_door.refusals(pod) for pod in "ab"),
    *(slowly(s) for s in front_door.blocked(10)),
    front_door.days_left(),
    probe.probe(),
    front_door.nat(),
    *(model.pointer(pod) for pod in "ab"),
    *(model.loaded(pod, 1000) for pod in "ab"),
    model.promoted(),
    model.refused("tampered"),
    model.trained(0),
    *(model.serves(pod, "v1", 1) for pod in "ab"),
    *(records.spool(pod) for pod in "ab"),
    *(slowly(records.moved(name, 10)) for name in ("leads_scored", "records_written", "records_uploaded")),
    records.moved("upload_failures", 0),
    records.missing(),
    compaction.waiting(0),
    compaction.unreadable(0),
    quality.auc("evaluation_benchmark", "evaluate", 0.75),
    quality.agreed("figure_high", 1_200),
    quality.agreed("benchmark", 1_100),
    quality.agreement("owners", 0),
    quality.figure(quality.RARER, "evaluate", 0.1),
    quality.auc("expected_figure_high", "drift", 0.8),
    quality.error("evaluation_figure_low", 0.02),
    quality.error("evaluation_benchmark", 0.04),
    *(
        quality.figure(name, job, value)
        for name, job, value in (
            ("evaluation_leads", "evaluate", 200),
            ("evaluation_contacted_only_seconds", "evaluate", 0),
            ("business_roi_ratio", "evaluate", 0.5),
            ("drift_found", "drift", 0),
            ("drift_score_distance", "drift", 0.05),
            ("drift_score_shifted", "drift", 0),
            ("challenger_refused_in_a_row", "retrain", 0),
        )
    ),
    *(
        quality.figure(name, "drift", 0, feature="age")
        for name in ("feature_unseen_excess_ratio", "feature_missing_excess_ratio")
    ),
    *jobs.others(""),
    *(jobs.duration(job.name) for job in jobs.JOBS),
    *(jobs.when(what, job.name, 0) for job in jobs.JOBS for what in ("start", "failure")),
    jobs.executions("drift", "failed"),
    tracking.running(),
    tracking.connections("mlflow", 5),
    tracking.disk(95e9),
    *tracking.buckets("request_latencies", 0.1, {"1000": 0, "5000": 0, "10000": 0}),
    *tracking.buckets("container_memory_utilizations", 1, {"0.5": 0, "0.9": 0, "1": 0}),
    *(
        gauge(f"cloudsql_googleapis_com:database_{name}_utilization{{{tracking.DATABASE}}}", 0.3)
        for name in ("cpu", "memory", "disk")
    ),
)
CASES = (
    Case(
        story="a quiet night",
        # What alerts watch for being there comes from the stories of telemetry only where nothing else brings it.
        series=(*SERIES, counter('leadscoring_requests_total{route="other",method="GET",status="404"}', 5)),
        history=1500,  # a day and an hour, for what reads a day back
        lasts=480,
        settling=120,
        step=timedelta(minutes=5),
        everything=True,
    ),
)
