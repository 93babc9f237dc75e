"""Causes that break many things at once, and how many incidents each opens: one cause should page once.

Each storm happens on a Monday from nine o'clock on, on a day without any other fault; all alerts are watched until
the night. An incident is one series of an alert's result, and one notification. Who is paged twice for one cause looks
twice; more often he looks away.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from monitoring import limits
from monitoring.alerts import Alert, Severity
from monitoring.catalogue import promises
from monitoring.catalogue.records import SPOOL_BYTES
from monitoring.simulation import firing, fleet, world
from monitoring.simulation.incidents import ALERTS, SLACK, Incident, soon_full, window
from monitoring.simulation.world import BEFORE, DAY, HOUR, PODS, RECORD_BYTES, World
from monitoring.slos import Slo

PAGES_ALLOWED = 2  # of one cause
FIRST = BEFORE + 7 * HOUR  # nine o'clock: traffic is near its peak

Happens = Callable[[World], Incident]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a storm's alerts made of it."""

    cause: str
    pages: Mapping[str, int]  # incidents by alert
    tickets: Mapping[str, int]
    asked: Severity  # what tells of it first: a page, or a ticket where nobody is harmed yet
    promised: int | None  # minutes; None where there is too little traffic for a promise
    first: int | None  # minutes until the first page, or the first ticket where no page is promised

    def misses(self) -> tuple[str, ...]:
        """What it does not keep, in words."""
        pages = sum(self.pages.values())
        late = self.promised is not None and (self.first is None or self.first > self.promised)
        told = "is never sent" if self.first is None else f"comes after {self.first} min"
        return (
            *([f"{self.cause}: {pages} pages (at most {PAGES_ALLOWED})"] if pages > PAGES_ALLOWED else []),
            *([f"{self.cause}: the first {self.asked} {told}, promised within {self.promised} min"] if late else []),
        )


def run(cause: str, seed: int, per_day: int, alerts: Sequence[Alert]) -> Outcome:
    """Let the storm of this name happen. Raises KeyError for one that there is not."""
    # A day is no four weeks: of its requests alone, any storm would spend an error budget.
    alerts = [alert for alert in alerts if limits.lookback(alert.expr) <= timedelta(weeks=3)]
    happens = STORMS[cause]
    told = world.quiet(seed, 4 if happens is _scheduler_stopped else 1, per_day)
    fleet.add_baseline(told)
    storm = happens(told)
    with firing.running(told, (storm,), blips=False) as replay:
        opened = replay.incidents_of(alerts)
    return _outcome(cause, storm, alerts, opened)


def _outcome(
    cause: str, storm: Incident, alerts: Iterable[Alert], opened: Mapping[str, Mapping[str, list[firing.Span]]]
) -> Outcome:
    begun = {
        alert.name: sorted(on - storm.first for spans in opened[alert.name].values() for on, _ in spans)
        for alert in alerts
    }
    of = {
        severity: Counter(
            {a.name: n for a in alerts if a.severity is severity and (n := sum(on >= 0 for on in begun[a.name]))}
        )
        for severity in Severity
    }
    paging = {alert.name for alert in alerts if alert.severity is Severity.PAGE}
    asked = Severity.PAGE if (storm.must.keys() | storm.beyond) & paging else Severity.TICKET
    promised = [by for name, by in storm.must.items() if (name in paging) == (asked is Severity.PAGE)]
    first = [on for name in of[asked] for on in begun[name] if on >= 0]
    return Outcome(
        cause, of[Severity.PAGE], of[Severity.TICKET], asked, min(promised, default=None), min(first, default=None)
    )


def _within(story: str, last: int, *must: str) -> Incident:
    return Incident(story, FIRST, last, {name: window(ALERTS[name]) for name in must})


def _unanswered(told: World, last: int) -> None:
    """No pod is ready: the load balancer answers 503, and no place of the world gets an answer."""
    told.up[:, FIRST:last] = False
    told.refused[FIRST:last] = 1
    for pod in range(PODS):
        told.restarts[pod].append(last)
    told.during("monitoring_googleapis_com:uptime_check_check_passed", FIRST, last, 0)


def _pods_dead(told: World) -> Incident:
    """Every pod dies when it starts, every five minutes, for two hours."""
    last = FIRST + 2 * HOUR
    _unanswered(told, last)
    told.during("kube_deployment_status_replicas_available", FIRST, last, 0)
    for at in range(FIRST, last, 5):
        told.during("kubernetes_io:container_restart_count", at, at + 1, 1)
    return _within("all pods are dead", last, "ScoringPodsHalfGone", "FrontDoorDown")


def _cluster_gone(told: World) -> Incident:
    """No pod is there, and nothing reports any."""
    last = FIRST + 2 * HOUR
    _unanswered(told, last)
    for name in told.tracks:
        if name.startswith("kube"):  # kube-state-metrics, and GKE's own
            told.during(name, FIRST, last, np.nan)
    return _within("the cluster is gone", last, "FrontDoorDown")


def _bucket_denied(told: World) -> Incident:
    """No record reaches the bucket: spools fill, and when they are full callers get 503 for half an hour."""
    waiting = np.cumsum(told.rate[FIRST:]) / PODS * RECORD_BYTES
    full, near = int(np.searchsorted(waiting, SPOOL_BYTES)), soon_full(told.rate[FIRST:])
    last = min(FIRST + full + 30, told.minutes - 2 * HOUR)
    told.stuck[FIRST:last] = True
    told.failing[FIRST + full : last] = 1
    told.during("leadscoring_upload_failures_total", FIRST, last, 1)
    page, ticket = ALERTS["SpoolFillsUp"], ALERTS["RecordUploadsFailing"]
    reached = near is not None and FIRST + near < last
    return Incident(
        "the bucket denies records",
        FIRST,
        last,
        {ticket.name: window(ticket)} | ({page.name: near + window(page)} if near is not None and reached else {}),
        beyond=frozenset() if reached else frozenset({page.name}),
    )


def _bad_deploy(told: World) -> Incident:
    """Pod after pod is replaced by one that is ready and fails half of its requests, for an hour."""
    last = _deployed(told, told.failing)
    return _burns(told, promises.AVAILABILITY, "a deploy fails requests", last, 0.5, 2 * PODS)


def _slow_deploy(told: World) -> Incident:
    """Pod after pod is replaced by one that is ready and slow in half of its requests, for an hour."""
    last = _deployed(told, told.slow)
    return _burns(told, promises.LATENCY, "a deploy is slow", last, 0.5, 2 * PODS)


def _deployed(told: World, wrong: world.Array) -> int:
    last = FIRST + HOUR
    for begin, sign in ((FIRST, 1), (last, -1)):
        for pod in range(PODS):
            at = begin + 2 * pod
            told.restarts[pod].append(at)
            wrong[at:] += sign * 0.5 / PODS
    return last + 2 * PODS


def _zone_lost(told: World) -> Incident:
    """Half of the pods are lost with their zone, and the others refuse a third, until new ones run elsewhere."""
    last = FIRST + 20
    for pod in range(PODS // 2):
        told.up[pod, FIRST:last] = False
        told.restarts[pod].append(last)
    told.refused[FIRST : FIRST + 2] = 0.5  # until the health check takes the lost pods out
    told.shed[FIRST + 2 : last] = 0.3
    told.during("kube_deployment_status_replicas_available", FIRST, last, PODS // 2)
    told.during("kube_pod_status_unschedulable", FIRST, FIRST + 10, PODS // 2)
    told.during("kubernetes_io:container_cpu_limit_utilization", FIRST, last, 0.98)
    told.during("cloudsql_googleapis_com:database_instance_state", FIRST, FIRST + 2, 0)
    return _burns(told, promises.AVAILABILITY, "a zone is lost", last, 0.3, 2)


def _burns(told: World, slo: Slo, story: str, last: int, share: float, after: int) -> Incident:
    """What spends the error budget from some minutes after the begin on."""
    (fast, *_) = slo.windows
    by = told.promise(slo, fast, share, FIRST + after)
    if by is None or FIRST + after + by >= last:
        return Incident(story, FIRST, last, {}, beyond=frozenset({slo.name + fast.name}))
    return Incident(story, FIRST, last, {slo.name + fast.name: after + by + SLACK})


def _database_down(told: World) -> Incident:
    """MLflow's database is stopped for four hours, and reports nothing of its machine; MLflow answers 5xx alone."""
    last, prefix = FIRST + 4 * HOUR, "cloudsql_googleapis_com:database"
    told.during(f"{prefix}_instance_state", FIRST, last, 0)
    told.during(f"{prefix}_postgresql_num_backends", FIRST, last, np.nan)
    for what in ("cpu", "memory", "disk"):
        told.during(f"{prefix}_{what}_utilization", FIRST, last, np.nan)
    was = {track.labels["response_code_class"]: track for track in told.tracks["run_googleapis_com:request_count"]}
    was["5xx"].values[FIRST:last] = was["2xx"].values[FIRST:last]
    was["2xx"].values[FIRST:last] = 0
    return _within("the database is down", last, "DatabaseDown", "MlflowDown")


def _scheduler_stopped(told: World) -> Incident:
    """No job starts any more for two and a half days."""
    last = FIRST + 5 * DAY // 2
    for run in told.runs:
        run.dead |= FIRST <= run.start < last
    late = [f"{job.capitalize()}Late" for job in world.JOBS]
    # A job that ended just before was well until then.
    must = {name: window(ALERTS[name]) for name in late if FIRST + window(ALERTS[name]) < last}
    absent = ALERTS["JobFiguresAbsent"]
    return Incident("the scheduler has stopped", FIRST, last, must | {absent.name: window(absent)})


STORMS: Mapping[str, Happens] = {
    "all pods dead": _pods_dead,
    "cluster gone": _cluster_gone,
    "bucket denied": _bucket_denied,
    "bad deploy": _bad_deploy,
    "slow deploy": _slow_deploy,
    "zone lost": _zone_lost,
    "database down": _database_down,
    "scheduler stopped": _scheduler_stopped,
}


def bars(outcomes: Iterable[Outcome]) -> dict[str, bool]:
    """Each bar in words, and whether it is kept."""
    outcomes = tuple(outcomes)
    missed = [miss for each in outcomes for miss in each.misses()]
    kept = f"{len(outcomes)} causes, at most {PAGES_ALLOWED} pages each, the first in time"
    return dict.fromkeys(missed, False) or {kept: True}


def show(outcomes: Iterable[Outcome]) -> None:
    """Print the table that people read."""
    print(f"{'cause':<18} {'pages':>5} {'tickets':>7} {'first':>6} {'after':>8} {'promised':>9}  alerts (incidents)")
    for each in outcomes:
        told = "-" if each.first is None else f"{each.first} min"
        by = "beyond" if each.promised is None else f"{each.promised} min"
        named = [f"{name} ({count})" for name, count in each.pages.items()] or ["no page"]
        print(
            f"{each.cause:<18} {sum(each.pages.values()):>5} {sum(each.tickets.values()):>7} {each.asked:>6} {told:>8}"
            f" {by:>9}  {', '.join(named)}"
        )
        if each.tickets:
            print(f"{'':<59}tickets: {', '.join(f'{name} ({count})' for name, count in each.tickets.items())}")
    print()
