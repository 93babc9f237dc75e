"""Stories of the jobs' figures as Cloud Monitoring has them: one sample a run, and the present is five minutes old.

A figure that a run finds must be known until the next run says otherwise, and no longer than the alert reads back. Each
story is told among others only: what changes it are windows.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial

from monitoring import limits
from monitoring.alerts import Alert
from monitoring.catalogue.compaction import waits_at_most
from monitoring.platform import Job, Platform
from monitoring.proof.cases import MINUTE, Case, Series, Value, fires, gauge, run, stays_silent

STEP = timedelta(minutes=30)
JOBS = {job.name: job for job in Platform().jobs}
DAY_S = 86_400.0
Figure = tuple[str, float, float]  # series, its value in a run that is well, and in one that is not

AUC, ERROR = 'job="evaluate",figure="roc_auc"', 'job="evaluate",figure="calibration_error"'
RARER = 'evaluation_benchmark_rarer_ratio{job="evaluate"}'  # share of the rarer outcome
PROFIT = 'job="evaluate",figure="profit",metric_reason="it pays",agreed_by="owners"'
FIGURES: dict[str, tuple[Figure, ...]] = {
    "AgreedMetricBelowBenchmark": (
        (f"agreed_figure_high{{{PROFIT}}}", 1_500, 1_000),
        (f"agreed_benchmark{{{PROFIT}}}", 1_400, 1_400),
    ),
    "AgreementTooOld": (('agreed_timestamp_seconds{job="evaluate",agreed_by="owners"}', 0, -400 * DAY_S),),
    "CalibrationBelowBenchmark": (
        (f"evaluation_figure_low{{{ERROR}}}", 0.02, 0.3),
        (f"evaluation_benchmark{{{ERROR}}}", 0.04, 0.04),
        (RARER, 0.1, 0.1),
    ),
    "ExpectedRankingBelowFloor": (
        ('expected_figure_high{job="drift",figure="roc_auc"}', 0.8, 0.6),
        (f"evaluation_benchmark{{{AUC}}}", 0.75, 0.75),
    ),
    "TooFewOutcomes": (('evaluation_leads{job="evaluate"}', 200, 10),),
    "FiguresOfContactedLeadsOnly": (('evaluation_contacted_only_seconds{job="evaluate"}', 0, 20 * DAY_S),),
    "ContactsCostMoreThanTheyEarn": (('business_roi_ratio{job="evaluate"}', 0.5, -0.2),),
    "LeadsDrifted": (('drift_found{job="drift"}', 0, 1),),
    "ScoresShifted": (
        ('drift_score_distance{job="drift"}', 0.05, 0.4),
        ('drift_score_shifted{job="drift"}', 0, 1),
    ),
    "ChallengersRefused": (('challenger_refused_in_a_row{job="retrain"}', 0, 3),),
    "RecordsMissingInBucket": (('evaluation_records_missing_ratio{job="evaluate"}', 0, 0.05),),
    "RecordsUnreadable": (('compact_unreadable_objects{job="compact"}', 0, 2),),
}


BENCHMARKED = {
    "AgreedMetricBelowBenchmark": (
        f"agreed_figure_high{{{PROFIT}}}",
        1_500,
        f"agreed_benchmark{{{PROFIT}}}",
        1_400,
        1_600,
    ),
    "CalibrationBelowBenchmark": (
        f"evaluation_figure_low{{{ERROR}}}",
        0.2,
        f"evaluation_benchmark{{{ERROR}}}",
        0.4,
        0.02,
    ),
    "ExpectedRankingBelowFloor": (
        'expected_figure_high{job="drift",figure="roc_auc"}',
        0.6,
        f"evaluation_benchmark{{{AUC}}}",
        0.6,
        0.75,
    ),
}
"""A figure, its value, its benchmark, the value of that in a run that is well, and in one that is not."""


def cases(alerts: Iterable[Alert]) -> Iterator[Case]:
    """The stories of those of these alerts that are about figures of jobs, and of the jobs' own."""
    named = {alert.name: alert for alert in alerts}
    for name in FIGURES.keys() & named.keys():
        yield from _figures(named[name], FIGURES[name])
    for name in BENCHMARKED.keys() & named.keys():
        yield _benchmarked(name)
    yield from _model(named)
    yield from _waiting(named["RecordsNotCompacted"])
    for job in JOBS.values():
        of = {what: named[f"{job.name.capitalize()}{what}"] for what in ("Failing", "Overrunning", "NearTimeout")}
        yield from _ends(job, of)
        yield from _attempts(job, of)


def back(alert: Alert) -> int:
    """For how many minutes the alert sees a run's figures."""
    return limits.lookback(alert.expr) // MINUTE


def _figures(alert: Alert, figures: tuple[Figure, ...]) -> Iterator[Case]:
    job = JOBS[figures[0][0].split('job="')[1].split('"')[0]]
    gap, seen = job.gap // MINUTE, back(alert)

    def found(figure: Figure, *, runs: int) -> Series:
        series, well, bad = figure
        return run(f"leadscoring_{series}", job, well, (runs * gap, bad), (1, None))

    told = [(f"{alert.name}: one run finds it, and none is after it", figures)]
    if len(figures) > 1:
        told += [(f"{alert.name}: later runs do not say {each[0]}", (each,)) for each in figures]
    for story, once in told:
        yield fires(
            alert.name,
            story,
            *(found(figure, runs=1 if figure in once else 4) for figure in figures),
            history=gap,
            step=STEP,
            after=0,
            until=seen + 30,
            lasts=seen + 2 * gap,
        )


def _benchmarked(name: str) -> Case:
    """Models follow each other, of which the middle one promised more: its own benchmark counts, and no other's."""
    figure, value, benchmark, well, bad = BENCHMARKED[name]
    job = JOBS["evaluate"]
    gap = job.gap // MINUTE
    return fires(
        name,
        f"{name}: a model promised more for a day",
        run(f"leadscoring_{figure}", job, value),
        run(f"leadscoring_{benchmark}", job, well, (gap, bad), (1, well)),
        run(f"leadscoring_{RARER}", job, 0.1),
        history=gap,
        step=STEP,
        after=0,
        until=gap,
        lasts=3 * gap,
    )


def _model(named: Mapping[str, Alert]) -> Iterator[Case]:
    """What the evaluation says of the model that should be served."""
    job = JOBS["evaluate"]
    gap = job.gap // MINUTE
    moved, old = named["ModelMovedNotLoaded"], named["ModelTooOld"]
    yield fires(
        moved.name,
        "one run says that a model was promoted, which a pod does not load",
        run('leadscoring_champion_promoted_timestamp_seconds{job="evaluate"}', job, 500, (gap, gap * 60.0), (1, None)),
        *(
            gauge(f'leadscoring_model_loaded_timestamp_seconds{{instance="{pod}"}}', at)
            for pod, at in (("a", gap * 60.0 + 60), ("b", 1000))
        ),
        history=gap,
        step=STEP,
        after=30,
        until=back(moved) + 30,
        lasts=back(moved) + 2 * gap,
    )
    trained = 'leadscoring_champion_trained_timestamp_seconds{job="evaluate"}'
    yield fires(
        old.name,
        "one run says that the model is old",
        run(trained, job, None, (gap, -4e6), (1, None)),
        history=gap,
        step=STEP,
        after=60,
        until=back(old) + 30,
        lasts=back(old) + 2 * gap,
    )
    yield fires(
        old.name,
        "one run says that the model is very old, and the next that it is new",
        run(trained, job, None, (gap, -1e7), (gap, 0), (1, None)),
        history=gap,
        step=STEP,
        after=60,
        until=gap,
        lasts=4 * gap,
    )


def _waiting(alert: Alert) -> Iterator[Case]:
    job = JOBS["compact"]
    gap, limit = job.gap // MINUTE, waits_at_most(job) // MINUTE
    for missing in ("compact_oldest_waiting_seconds", "job_last_success_timestamp_seconds"):
        later = {name: 2 if name == missing else 4 for name in ("compact_oldest_waiting_seconds", missing)}
        later.setdefault("job_last_success_timestamp_seconds", 4)
        yield fires(
            alert.name,
            f"compact is killed in each run after two, and no longer says its {missing}",
            *(
                run(f'leadscoring_{name}{{job="compact"}}', job, value, (runs * gap, value), (1, None))
                for name, runs in later.items()
                for value in [0.0 if "waiting" in name else gap * 60.0]
            ),
            history=gap,
            step=STEP,
            after=limit // 30 * 30 + 60,
            until=back(alert) + gap + 30,
            lasts=2 * back(alert) + 4 * gap,
        )


def _ends(job: Job, alerts: dict[str, Alert]) -> Iterator[Case]:
    """What a job says of its own runs; the run before the fault is the first."""
    gap, name = job.gap // MINUTE, job.name
    before = gap * 60.0  # seconds: when the run of the fault is
    tell = f'leadscoring_job_%s{{job="{name}"}}'

    def said(what: str, *after: tuple[int, Value]) -> Series:
        return run(tell % what, job, None, *after)

    failing, overrunning, near = alerts["Failing"], alerts["Overrunning"], alerts["NearTimeout"]
    limit, timeout = 0.8 * job.timeout.total_seconds(), job.timeout // MINUTE
    goes_off = partial(fires, history=gap, step=STEP)
    is_silent = partial(stays_silent, history=gap, step=STEP)
    yield goes_off(
        near.name,
        f"{name} takes long in one run, and is not run again",
        run(tell % "duration_seconds", job, 60, (gap, 1.05 * limit), (1, None)),
        after=0,
        until=back(near) + 30,
        lasts=back(near) + 2 * gap,
    )
    yield goes_off(
        failing.name,
        f"{name} fails in one run, and is not run again",
        said("last_failure_timestamp_seconds", (gap, before), (1, None)),
        said("last_success_timestamp_seconds", (gap, 60.0), (1, None)),
        after=30,
        until=back(failing) + 30,
        lasts=back(failing) + 2 * gap,
    )
    yield is_silent(
        failing.name,
        f"{name} fails once, ends well when it is run again, and is not run again",
        said("last_failure_timestamp_seconds", (gap, before), (1, None)),
        said("last_success_timestamp_seconds", (gap, before + 60), (1, None)),
        lasts=back(failing) + 2 * gap,
    )
    pending = (timeout // 30 + 1) * 30  # the first step at which it is later than the timeout
    yield goes_off(
        overrunning.name,
        f"{name} starts, says no more, and is not run again",
        said("last_start_timestamp_seconds", (gap, before), (1, None)),
        after=pending + 30,
        until=back(overrunning) + 30,
        lasts=back(overrunning) + 2 * gap,
    )
    for end in ("success", "failure"):
        yield is_silent(
            overrunning.name,
            f"{name} starts, says its {end}, and is not run again",
            said("last_start_timestamp_seconds", (gap, before), (1, None)),
            said(f"last_{end}_timestamp_seconds", (gap, before + 60), (1, None)),
            lasts=back(overrunning) + 2 * gap,
        )


def _attempts(job: Job, alerts: dict[str, Alert]) -> Iterator[Case]:
    """What a job says of attempts that follow each other within one run: the last one counts."""
    gap, name = job.gap // MINUTE, job.name
    first, half = gap * 60.0, 30 * 60.0  # seconds: when the first attempt is, and from one to the next
    tell = f'leadscoring_job_last_%s_timestamp_seconds{{job="{name}"}}'
    failing, overrunning = alerts["Failing"], alerts["Overrunning"]
    yield fires(
        failing.name,
        f"{name} fails, ends well half an hour later, fails again, and is not run again",
        gauge(tell % "failure", None, (30, first), (30, None), (30, first + 2 * half), (1, None)),
        gauge(tell % "success", None, (30, None), (30, first + half), (1, None)),
        history=gap,
        step=STEP,
        after=90,
        until=back(failing) + 90,
        lasts=back(failing) + 2 * gap,
    )
    yield stays_silent(
        overrunning.name,
        f"{name} fails in both of its attempts, and is not run again",
        gauge(tell % "start", None, (30, first), (30, first + half), (1, None)),
        gauge(tell % "failure", None, (30, first + 60), (30, first + half + 60), (1, None)),
        history=gap,
        step=STEP,
        lasts=back(overrunning) + 2 * gap,
    )
