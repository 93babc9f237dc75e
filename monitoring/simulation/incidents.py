"""What goes wrong in the thirty days, and who must say so, by when.

An incident names the alerts that must find it, each within what its window promises: for a burn rate the minutes in
which the incident spends the window's share of the budget at the traffic there is, for any other alert its look-back,
its hold and the delay of Google's samples. Alerts that it may set off besides are no false ones while it lasts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from monitoring import catalogue, google, limits
from monitoring.alerts import Alert, Severity
from monitoring.catalogue import promises
from monitoring.catalogue.compaction import waits_at_most
from monitoring.catalogue.records import SPOOL_BYTES
from monitoring.platform import Platform, enough
from monitoring.promql.text import metric_names
from monitoring.simulation.reach import Enough, Share, reached
from monitoring.simulation.world import (
    BEFORE,
    DAY,
    EPOCH,
    HOUR,
    JOBS,
    PODS,
    PROBES,
    RECORD_BYTES,
    Array,
    Track,
    World,
)
from monitoring.slos import Slo

OTHERS = 1.05 * PROBES  # requests a minute at the load balancer that are no caller's
SLACK = 3  # minutes: a scrape, an evaluation, and a window that begins in the middle of a sample
ALERTS = {alert.name: alert for alert in catalogue.alerts()}
MINUTE = timedelta(minutes=1)
ON_TIME = {
    job: slo
    for job, name in (("evaluate", "EvaluationOnTime"), ("drift", "DriftOnTime"))
    for slo in promises.slos(Platform())
    if slo.name == name
}
OFTEN = ("evaluate", "drift", "batch", "compact")  # jobs that start every day
WEEKLY = ("retrain", "report")
PROBED = ("NobodyIsScored", "ProbesFailing")  # may come with what turns callers away
STALE = 5 * MINUTE  # for so long Prometheus takes the newest sample for the present


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that somebody must hear of, from minute to minute; `must` says of each alert by when, in minutes.

    `beyond` are the alerts that would tell of it if there was more traffic: nothing is promised of them.
    """

    story: str
    first: int
    last: int
    must: Mapping[str, int]
    may: frozenset[str] = frozenset()
    beyond: frozenset[str] = frozenset()


Kind = Callable[[World, int], Iterable[Incident]]  # the world, the day on which it begins


def window(alert: Alert) -> int:
    """Minutes within which an alert promises to tell: look-back, hold, and how late the samples come."""
    gone = STALE if "unless on ()" in alert.expr else timedelta(0)
    return -(-(limits.lookback(alert.expr) + alert.hold + delay(alert) + gone) // MINUTE) + SLACK


def delay(alert: Alert) -> timedelta:
    """How late the latest of the samples that the alert reads may come: Google's own metrics are late."""
    known = (google.of(name) for name in metric_names(alert.expr))
    return max((metric.delay for metric in known if metric), default=timedelta(0))


def inject(world: World) -> tuple[Incident, ...]:
    """Let every incident that the days have room for happen, in an order of the seed's own; in order of time."""
    told: list[Incident] = []
    for kinds, apart in ((SERVING, 3), (BESIDE, 2), (OF_JOBS, 3), (OF_TRACKING, 3)):
        order = world.rng.permutation(len(kinds))
        for kind, day in zip(order, range(1, world.days - apart + 2, apart), strict=False):
            told += kinds[kind](world, day)
    asked = (
        replace(
            each,
            # What is due before the watch begins, or after it ends, cannot be seen on time. Holds begin with the watch.
            must={
                name: by
                for name, by in each.must.items()
                if BEFORE + ALERTS[name].hold // MINUTE <= each.first + by < world.minutes
            },
            may=each.may | each.must.keys() | each.beyond,
        )
        for each in told
    )
    return tuple(sorted(asked, key=lambda incident: incident.first))


def _found(story: str, first: int, lasts: int, *must: str, may: Iterable[str] = ()) -> Iterator[Incident]:
    yield Incident(story, first, first + lasts, {name: window(ALERTS[name]) for name in must}, frozenset(may))


def _by_traffic(
    story: str,
    first: int,
    lasts: int,
    alert: str,
    needs: Iterable[Enough | Share],
    may: Iterable[str] = (),
    sees: int = 0,
) -> Incident:
    """One that its alert tells of only when the traffic brings what its guards ask for.

    For so many minutes the alert still `sees` what was well before.
    """
    told = reached(first, first + lasts, ALERTS[alert].hold // MINUTE, needs)
    if told is None:
        return Incident(story, first, first + lasts, {}, frozenset(may), frozenset({alert}))
    by = told + sees - (-delay(ALERTS[alert]) // MINUTE) + SLACK
    return Incident(story, first, first + lasts, {alert: by}, frozenset(may))


def _during(world: World, first: int, lasts: int, values: Array | float) -> Array:
    """What is expected in each minute of the incident, and nothing outside of it."""
    at = np.arange(world.minutes)
    return np.where((at >= first) & (at < first + lasts), values, 0.0)


def _any(world: World, day: int) -> int:
    """A minute of the day or the night."""
    return max(day * DAY + int(world.rng.integers(0, DAY)), BEFORE)


def _working(world: World, day: int) -> int:
    """A minute of the morning of a working day, this or the next."""
    while (day % 7) % 6 == 0:
        day += 1
    return day * DAY + int(world.rng.integers(8 * HOUR, 11 * HOUR))


def _burn(story: str, slo: Slo, low: float, high: float, lasts: int) -> Kind:
    """A share of the requests goes wrong, as long as said, or until the window that fits has told it."""

    def happens(world: World, day: int) -> Iterator[Incident]:
        share = float(world.rng.uniform(low, high))
        for first in (_any(world, day), _working(world, day)):
            promised = {
                slo.name + window.name: world.promise(slo, window, share, first)
                for window in slo.windows
                if share > 1.3 * float(slo.threshold(window))
            }
            if any(promised.values()):  # else of so few requests in a quiet night none is told
                break
        ends = max(lasts, min((by for by in promised.values() if by), default=0) + 20)
        (world.failing if slo is promises.AVAILABILITY else world.slow)[first : first + ends] += share
        must = {name: by + SLACK for name, by in promised.items() if by and by + SLACK < ends}
        for slower in [name for name in promised if ALERTS[name].severity is Severity.PAGE][1:]:
            must.pop(slower, None)  # it is silent when the faster one fires first, which chance decides
        may = frozenset(alert.name for alert in slo.alerts())
        beyond = frozenset(name for name, by in promised.items() if not by)
        yield Incident(f"{story}, {share:.1%}", first, first + ends, must, may, beyond)

    return happens


def _pods_gone(world: World, day: int) -> Iterator[Incident]:
    first, lasts = _any(world, day), int(world.rng.integers(15, 60))
    world.up[1:, first : first + lasts] = False
    for pod in range(1, PODS):
        world.restarts[pod].append(first + lasts)
    world.during("kube_deployment_status_replicas_available", first, first + lasts, 1)
    yield from _found("three of four pods are gone", first, lasts, "ScoringPodsHalfGone", may=["ScoringPodsNotReady"])


def _unreachable(world: World, day: int) -> Iterator[Incident]:
    first, lasts = _any(world, day), int(world.rng.integers(20, 90))
    world.rate[first : first + lasts] *= 0.1
    for track in world.tracks["monitoring_googleapis_com:uptime_check_check_passed"][1:]:
        track.values[first : first + lasts] = 0
    yield from _found("five of six places cannot reach the service", first, lasts, "FrontDoorDown")


def _before_pods(world: World, day: int) -> Iterator[Incident]:
    first, lasts = _working(world, day), int(world.rng.integers(30, 90))
    world.refused[first : first + lasts] = world.rng.uniform(0.1, 0.6)
    failed = world.rate * _during(world, first, lasts, world.refused)
    needs = (Enough(failed, 15, 20), Share(failed, world.rate + OTHERS, 15, 0.05))
    yield _by_traffic("requests do not arrive at pods", first, lasts, "FrontDoorFailsBeforePods", needs, PROBED)


def _denied(world: World, day: int) -> Iterator[Incident]:
    first, lasts = _working(world, day), int(world.rng.integers(30, 90))
    world.denied[first : first + lasts] = world.rng.uniform(0.3, 1)
    refused = world.rate * _during(world, first, lasts, world.denied)
    needs = (Enough(refused, 60, 10), Share(refused, world.rate, 10, 0.2))
    yield _by_traffic("pods refuse callers", first, lasts, "CallersRefusedByPods", needs, PROBED)


def _turned_away(world: World, day: int) -> Iterator[Incident]:
    first, lasts, share = _working(world, day), int(world.rng.integers(30, 90)), world.rng.uniform(0.9, 1)
    world.turned_away[first : first + lasts] = share * world.rate[first : first + lasts]
    world.rate[first : first + lasts] *= 1 - share
    refused = _during(world, first, lasts, world.turned_away)
    needs = (Enough(refused, 60, 20), Share(refused, refused + world.rate, 10, 0.8))
    yield _by_traffic("the proxy refuses callers", first, lasts, "CallersRefusedAtFrontDoor", needs, PROBED)


def _bucket_away(world: World, day: int) -> Iterator[Incident]:
    """The spools fill by the traffic there is; some time later an hour more at their pace is too much, or never."""
    first = _working(world, day)
    near = soon_full(world.rate[first : first + DAY])
    lasts = 3 * HOUR if near is None else near + 45
    world.stuck[first : first + lasts] = True
    for pod in range(PODS):
        world.during("leadscoring_upload_failures_total", first, first + lasts, 1, pod)
    yield from _found("the bucket is away", first, lasts, "RecordUploadsFailing", may=["SpoolFillsUp"])
    needs = [Enough(_during(world, first, lasts, world.rate), 15, 1)]
    yield _by_traffic("no record reaches the bucket", first, lasts, "SpoolNotDraining", needs, sees=15)
    if near is None:
        yield Incident("a spool fills in more than a day", first, first + lasts, {}, beyond=frozenset({"SpoolFillsUp"}))
    else:
        yield from _found("a spool is soon full", first + near, 45, "SpoolFillsUp")


def soon_full(rate: Array) -> int | None:
    """Minutes after which an hour more at the pace of half an hour fills a spool, at so many requests a minute."""
    waiting = np.cumsum(rate) / PODS * RECORD_BYTES
    grown = waiting - np.concatenate([np.zeros(30), waiting[:-30]])
    near = np.flatnonzero(waiting + 2 * grown > 1.02 * 0.9 * SPOOL_BYTES)
    return int(near[0]) if len(near) else None


def _beyond_capacity(world: World, day: int) -> Iterator[Incident]:
    """More traffic than the pods can take: what they accept is not slow, the rest is refused."""
    first, lasts = _working(world, day), int(world.rng.integers(30, 90))
    world.rate[first : first + lasts] *= 1.5
    world.shed[first : first + lasts] = world.rng.uniform(0.03, 0.3)
    may = [alert.name for alert in promises.AVAILABILITY.alerts()]
    shed = world.rate * _during(world, first, lasts, world.shed)
    needs = (Enough(shed, 5, 10), Share(shed, world.rate, 5, 0.01))
    yield _by_traffic("more requests than pods can take", first, lasts, "ScoringRequestsShed", needs, may)


def _unseen(world: World, day: int) -> Iterator[Incident]:
    first, lasts = _any(world, day), int(world.rng.integers(30, 120))
    world.seen[first : first + lasts] = False
    yield Incident(
        "no metrics of pods arrive",
        first,
        first + lasts,
        {"ServiceMetricsAbsent": window(ALERTS["ServiceMetricsAbsent"])},
    )


def _series(
    story: str, lasts: int, *must: str, may: Iterable[str] = (), pod: int | None = None, **values: float
) -> Kind:
    """Series, by the ends of their names, have a value for so many minutes."""

    def happens(world: World, day: int) -> Iterator[Incident]:
        first = _any(world, day)
        for end, value in values.items():
            (name,) = (name for name in world.tracks if name.endswith(end))
            world.during(name, first, first + lasts, value, pod)
        yield from _found(story, first, lasts, *must, may=may)

    return happens


def _out_of_memory(world: World, day: int) -> Iterator[Incident]:
    """Memory grows for six hours; at the limit the pod is killed and begins anew."""
    first, pod = _any(world, day), int(world.rng.integers(PODS))
    memory = "kubernetes_io:container_memory_limit_utilization"
    (track,) = (track for track in world.tracks[memory] if track.pod == pod)
    grown = np.linspace(0.5, 1.0, 360)[: world.minutes - first]
    track.values[first : first + 360] = grown
    world.during("kubernetes_io:container_restart_count", first + 360, first + 361, 1, pod)
    near = int(np.searchsorted(grown, 0.85))
    yield from _found("memory grows", first + near, 360 - near, "ScoringMemoryNearLimit")
    yield from _found("a pod is killed for its memory", first + 360, HOUR, "ScoringOutOfMemory")


def _pointer_unread(world: World, day: int) -> Iterator[Incident]:
    first, lasts, pod = _any(world, day), 180, int(world.rng.integers(PODS))
    name = "leadscoring_pointer_last_success_timestamp_seconds"
    world.during(name, first, first + lasts, EPOCH + 60.0 * first, pod)
    (steady,) = promises.FRESHNESS.windows
    slices = float(promises.FRESHNESS.threshold(steady)) * (steady.long // MINUTE)
    must = {
        "ModelPointerUnread": 10 + window(ALERTS["ModelPointerUnread"]),
        "ModelFreshnessBurnSteady": round(slices) + 10 + SLACK,  # what counts is five minutes old, in slices of five
    }
    yield Incident("a pod does not read the pointer", first, first + lasts, must)


def _moved(world: World, day: int) -> Iterator[Incident]:
    """A model is promoted in the hour before the evaluation tells so; one pod keeps the one before for half a day."""
    first, behind = day * DAY + 4 * HOUR, int(world.rng.integers(PODS))
    world.figures["evaluate"]["leadscoring_champion_promoted_timestamp_seconds", ""][day:] = EPOCH + 60 * first
    for pod in range(PODS):
        at = first + (12 * HOUR if pod == behind else 1)
        world.during("leadscoring_model_loaded_timestamp_seconds", at, world.minutes, EPOCH + 60.0 * at, pod)
        world.during("leadscoring_model_info", at, world.minutes, np.nan, pod)
        values = np.where(np.arange(world.minutes) < at, np.nan, 1.0)
        world.tracks["leadscoring_model_info"].append(Track({"version": "v2"}, values, pod=pod))
    must = {
        "PodsDisagreeOnModel": 15 + SLACK,
        "ModelMovedNotLoaded": 2 * HOUR + 15 + SLACK,  # the evaluation that tells when it moved ends by then
    }
    yield Incident("a pod keeps the model before", first, first + 12 * HOUR, must)


def _refused(world: World, day: int) -> Iterator[Incident]:
    first = _any(world, day)
    world.during("leadscoring_bundle_refused_total", first, first + 1, 1)
    yield from _found("a bundle is refused", first, HOUR, "ModelBundleRefused")


def _crash_loop(world: World, day: int) -> Iterator[Incident]:
    first, pod = _any(world, day), int(world.rng.integers(PODS))
    for at in range(first, first + 50, 5):
        world.during("kubernetes_io:container_restart_count", at, at + 1, 1, pod)
    yield from _found("a pod restarts every five minutes", first, 50, "ScoringPodsCrashLooping")


def _blocked(world: World, day: int) -> Iterator[Incident]:
    first, lasts = _any(world, day), 60
    name = "networksecurity_googleapis_com:https_request_count"
    world.during(name, first, first + lasts, 0.6 * float(world.rate.max()) + 40, blocked="true")
    yield from _found("Cloud Armor blocks a surge", first, lasts, "CallersBlocked")


def _connections(world: World, day: int) -> Iterator[Incident]:
    first, lasts = _any(world, day), 60
    world.during("leadscoring_connections_closed_total", first, first + lasts, 30, pod=0, reason="too_many")
    yield from _found("a pod takes no more connections", first, lasts, "ScoringConnectionsRefused")


def _waiting(world: World, day: int) -> Iterator[Incident]:
    first, lasts = _working(world, day), 90
    world.waiting[first : first + lasts] = 0.05
    answered = world.rate + OTHERS
    late = world.rate * _during(world, first, lasts, world.waiting)
    guard = enough(world.per_day, 30 * MINUTE, 500)
    needs = (Enough(answered, 30, guard), Share(late, answered, 30, 0.01))
    yield _by_traffic("the load balancer is slow", first, lasts, "FrontDoorSlow", needs)


def _unwritten(world: World, day: int) -> Iterator[Incident]:
    first, lasts = _working(world, day), 3 * HOUR
    world.unwritten[first : first + lasts] = 0.05
    lost = world.rate * _during(world, first, lasts, world.unwritten)
    guard = enough(world.per_day, HOUR * MINUTE, 500)
    needs = (Enough(world.rate, HOUR, guard), Share(lost, world.rate, HOUR, 0.01))
    yield _by_traffic("leads are scored without a record", first, lasts, "RecordsNotWritten", needs)


def _certificate(world: World, day: int) -> Iterator[Incident]:
    first = max(day * DAY, BEFORE)
    world.during("monitoring_googleapis_com:uptime_check_time_until_ssl_cert_expires", first, first + DAY, 13)
    yield from _found("the certificate was not renewed", first, DAY, "CertificateExpiresSoon")


def _daily(job: str, story: str, found: Mapping[str, tuple[str, float]], also: tuple[str, float] | None = None) -> Kind:
    """For two days the runs of a job find such figures, each of which an alert must tell of."""

    def happens(world: World, day: int) -> Iterator[Incident]:
        for name, value in (*found.values(), *((also,) if also else ())):
            # Of one with several labels all that the world tells: only the benchmark has two, and that is never wrong.
            for (known, _), values in world.figures[job].items():
                if known == f"leadscoring_{name}":
                    values[day : day + 2] = value
        due = JOBS[job].deadline // MINUTE
        # The largest of a day forgets what was found before only when the day is over.
        must = {
            name: due + (window(alert) if "max_over_time" in alert.expr else alert.hold // MINUTE + SLACK)
            for name, alert in ALERTS.items()
            if name in found
        }
        yield Incident(story, day * DAY, (day + 2) * DAY, must)

    return happens


def _dead(world: World, day: int) -> Iterator[Incident]:
    """A job dies in each run of two days before it can say anything."""
    yield from _silent(world, day, [str(world.rng.choice([*ON_TIME, "compact"]))])


def _nothing_starts(world: World, day: int) -> Iterator[Incident]:
    """The scheduler starts no job for two days."""
    yield from _silent(world, day, OFTEN)
    for run in world.runs:
        run.dead |= run.job in WEEKLY and day * DAY <= run.start < (day + 2) * DAY
    ended = [run.start + run.minutes for run in world.runs if not run.dead]
    first = max(end for end in ended if end < day * DAY + DAY)
    again = min((end for end in ended if end > first), default=world.minutes)
    may = [f"{job.capitalize()}Late" for job in WEEKLY]
    yield from _found("no job starts", round(first), round(again - first), "JobFiguresAbsent", may=may)


def _silent(world: World, day: int, jobs: Iterable[str]) -> Iterator[Incident]:
    """One incident a job, from its last success to the next; on time it is no longer when the deadline is over."""
    for job in jobs:
        well = [run for run in world.runs if run.job == job and run.well]
        for run in world.runs:
            run.dead |= run.job == job and day * DAY <= run.start < (day + 2) * DAY
        last = max(run.start + run.minutes for run in well if run.start < day * DAY)
        again = min((r.start + r.minutes for r in well if r.start >= (day + 2) * DAY), default=world.minutes)
        late = f"{job.capitalize()}Late"
        must = {late: window(ALERTS[late])}
        if job in ON_TIME:
            slo, (steady,) = ON_TIME[job], ON_TIME[job].windows
            slices = float(slo.threshold(steady)) * (steady.long // MINUTE)
            must[slo.name + steady.name] = JOBS[job].deadline // MINUTE + round(slices) + 5 + SLACK
        yield Incident(f"{job} is dead", round(last), round(again), must | _backlog(job))


def _backlog(job: str) -> dict[str, int]:
    """By when it is told that records wait, after the last success of the job that compacts."""
    alert = ALERTS["RecordsNotCompacted"]
    return {alert.name: (waits_at_most(JOBS[job]) + alert.hold) // MINUTE + SLACK} if job == "compact" else {}


def _failing(world: World, day: int) -> Iterator[Incident]:
    """A job's runs of two days fail for good."""
    job = str(world.rng.choice(OFTEN))
    begun = [run for run in world.runs if run.job == job and run.well and day * DAY <= run.start < (day + 2) * DAY]
    for run in begun:
        run.well = False
    first = round(begun[0].start + begun[0].minutes)
    name = job.capitalize()
    for run in begun:
        at = round(run.start + run.minutes)
        world.during("run_googleapis_com:job_completed_execution_count", at, at + 1, 1, job_name=f"acme-prod-{job}")
    must = {f"{name}Failing": 30 + SLACK, "JobExecutionFailed": window(ALERTS["JobExecutionFailed"]), **_backlog(job)}
    may = frozenset(alert for alert in ALERTS if alert.startswith((name, "EvaluationOnTime", "DriftOnTime")))
    yield Incident(f"{job} fails", first, first + 3 * DAY, must, may)


def _slow_job(world: World, day: int) -> Iterator[Incident]:
    job = str(world.rng.choice(OFTEN))
    (run, *_) = (run for run in world.runs if run.job == job and run.well and run.start >= day * DAY)
    run.minutes = 0.9 * (JOBS[job].timeout / MINUTE)
    first, told = round(run.start), {f"{job.capitalize()}NearTimeout": round(run.minutes) + SLACK}
    may = frozenset({f"{job.capitalize()}Failing"})  # it may be the second attempt
    yield Incident(f"{job} takes long", first, first + DAY, told, may)


def _mlflow(world: World, day: int) -> Iterator[Incident]:
    first, lasts = _any(world, day), 3 * HOUR
    name = "run_googleapis_com:request_count"
    was = {track.labels["response_code_class"]: track for track in world.tracks[name]}
    was["5xx"].values[first : first + lasts] = was["2xx"].values[first : first + lasts]
    was["2xx"].values[first : first + lasts] = 0
    slow = [slo.name + window.name for slo in (promises.MLFLOW,) for window in slo.windows]
    yield from _found("MLflow answers 5xx alone", first, lasts, "MlflowDown", "MlflowAvailabilityBurnSlow", may=slow)


def _check_silent(world: World, day: int) -> Iterator[Incident]:
    """Not while the service cannot be reached: nothing else could say so."""
    first, lasts, name = _any(world, day), 120, "monitoring_googleapis_com:uptime_check_check_passed"
    failing = np.sum([track.values == 0 for track in world.tracks[name]], axis=0) >= 2
    while failing[first : first + lasts].any():
        first += lasts
    world.during(name, first, first + lasts, np.nan)
    yield from _found("the check is silent", first, lasts, "UptimeCheckAbsent")


SERVING: tuple[Kind, ...] = (
    _burn("a sharp fault", promises.AVAILABILITY, 0.1, 0.4, 30),
    _burn("a slow fault", promises.AVAILABILITY, 0.009, 0.012, 10 * HOUR),
    _burn("scores are very slow", promises.LATENCY, 0.2, 0.6, 30),
    _burn("scores are slow", promises.LATENCY, 0.08, 0.12, 10 * HOUR),
    _pods_gone,
    _unreachable,
    _before_pods,
    _denied,
    _turned_away,
    _bucket_away,
    _beyond_capacity,
    _unseen,
)
BESIDE: tuple[Kind, ...] = (
    _out_of_memory,
    _pointer_unread,
    _refused,
    _crash_loop,
    _blocked,
    _waiting,
    _unwritten,
    _connections,
    _certificate,
    _series("a pod is not ready", 60, "ScoringPodsNotReady", replicas_available=3),
    _series("a pod has no place", 60, "ScoringPodsUnschedulable", status_unschedulable=1),
    _series("a pod is throttled", 90, "ScoringCpuThrottled", pod=0, cpu_limit_utilization=0.97),
    _series("the autoscaler is at its ceiling", 90, "ScoringAtAutoscalerCeiling", status_current_replicas=10),
    _series("the probe lost its grant", 90, "ProbesFailing", may=PROBED, probe_success=0),
    _series("no address is left", 30, "NatExhausted", nat_allocation_failed=1),
)
OF_JOBS: tuple[Kind, ...] = (
    _dead,
    _nothing_starts,
    _failing,
    _slow_job,
    _moved,
    _daily(
        "drift",
        "the leads drift",
        {
            "LeadsDrifted": ("drift_found", 1),
            "ScoresShifted": ("drift_score_distance", 0.4),
            "UnseenValues": ("feature_unseen_excess_ratio", 0.2),
            "ValuesMissing": ("feature_missing_excess_ratio", 0.5),
            "ExpectedRankingBelowFloor": ("expected_figure_high", 0.7),
        },
        also=("drift_score_shifted", 1),
    ),
    _daily(
        "evaluate",
        "the model ranks worse",
        {
            "AgreedMetricBelowBenchmark": ("agreed_figure_high", 1_300),
            "CalibrationBelowBenchmark": ("evaluation_figure_low", 0.15),
            "ContactsCostMoreThanTheyEarn": ("business_roi_ratio", -0.2),
        },
    ),
    _daily(
        "evaluate",
        "outcomes, contacts at random and records are missing",
        {
            "TooFewOutcomes": ("evaluation_leads", 20),
            "FiguresOfContactedLeadsOnly": ("evaluation_contacted_only_seconds", 15 * DAY * 60),
            "RecordsMissingInBucket": ("evaluation_records_missing_ratio", 0.05),
        },
    ),
    _daily(
        "compact",
        "records wait, and some are broken",
        {
            "RecordsNotCompacted": ("compact_oldest_waiting_seconds", 36_000),
            "RecordsUnreadable": ("compact_unreadable_objects", 2),
        },
    ),
    _daily(
        "evaluate",
        "the model and the agreement are old",
        {
            "ModelTooOld": ("champion_trained_timestamp_seconds", EPOCH - 46 * DAY * 60),
            "AgreementTooOld": ("agreed_timestamp_seconds", EPOCH - 366 * DAY * 60),
        },
    ),
)
OF_TRACKING: tuple[Kind, ...] = (
    _mlflow,
    _series("the database stops", 60, "DatabaseDown", instance_state=0),
    _series("connections run out", 60, "DatabaseConnectionsNearLimit", postgresql_num_backends=95),
    _series("the database works hard", 120, "DatabaseCpuHigh", database_cpu_utilization=0.97),
    _series("the database's memory is full", 120, "DatabaseMemoryHigh", database_memory_utilization=0.97),
    _series("the disk is full", 120, "DatabaseDiskNearlyFull", database_disk_bytes_used=190e9),
    _series("the cluster is silent", 90, "PodMetricsAbsent", deployment_spec_replicas=np.nan),
    _check_silent,
    _series("the database is silent", 120, "DatabaseMetricsAbsent", database_cpu_utilization=np.nan),
)
