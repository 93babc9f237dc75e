"""What can fail in the simulated days, and which series change when it does.

An outage is told in two steps: what changes before the traffic is counted, and what changes in its counts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.simulation.fleet import BALANCER, SCORED
from monitoring.simulation.world import DAY, EPOCH, PODS, Track, World

REQUESTS = "leadscoring_requests_total"
CALLERS_REFUSED = "leadscoring_callers_refused_total"
SCORED_LEADS = "leadscoring_leads_scored_total"
WRITTEN, UPLOADED = "leadscoring_records_written_total", "leadscoring_records_uploaded_total"
UPLOAD_FAILURES = "leadscoring_upload_failures_total"
POINTER = "leadscoring_pointer_last_success_timestamp_seconds"
AT_BALANCER = "loadbalancing_googleapis_com:https_request_count"
LATENCIES = "loadbalancing_googleapis_com:https_total_latencies_bucket"
CHECKED = "monitoring_googleapis_com:uptime_check_check_passed"
AVAILABLE = "kube_deployment_status_replicas_available"
RESTARTS = "kubernetes_io:container_restart_count"
OF_MLFLOW = "run_googleapis_com:request_count"
DATABASE = "cloudsql_googleapis_com:database_instance_state"
EXECUTIONS = "run_googleapis_com:job_completed_execution_count"
COUNTED_FROM_START = {"500"}  # by pods, besides the statuses that the simulation tells: service/api/metrics.py


class Unclear(ValueError):
    """A description that is not understood; the message says what would be."""


@dataclass(frozen=True, slots=True)
class Outage:
    """One outage; `first` and `last` are minutes of the simulated days."""

    text: str
    part: str
    status: str  # "" where nothing answers, or nothing answers otherwise
    share: float  # above 0, at most 1
    first: int
    last: int
    name: str = ""  # of a job, or of a series
    value: float = np.nan  # that the series has

    @property
    def span(self) -> slice:
        """Its minutes."""
        return slice(self.first, self.last)

    @property
    def effect(self) -> "Effect":
        """What it does. Raises KeyError for a part that cannot fail so."""
        return EFFECTS[self.part, bool(self.status)]

    @property
    def story(self) -> str:
        """What happens, in words."""
        value = "has no sample" if np.isnan(self.value) else f"is {self.value:g}"
        share = f"{100 * self.share:g} %"
        return self.effect.story.format(share=share, status=self.status, name=self.name, value=value)


Told = Iterator[None]  # stops once, while the traffic is counted


@dataclass(frozen=True, slots=True)
class Effect:
    """How a part fails: in words, and by a function."""

    story: str
    tell: Callable[[World, Outage], Told]
    shared: bool = True  # a share of it can fail


def inject(world: World, outages: tuple[Outage, ...], count: Callable[[World], None]) -> None:
    """Let outages happen to a world whose series are there; `count` tells the traffic."""
    telling = [each.effect.tell(world, each) for each in outages]
    for each in telling:
        next(each)
    count(world)
    for each in telling:
        next(each, None)


def _pods_answer(world: World, outage: Outage) -> Told:
    """Of what would be answered with 200 a share gets the status, at the pods and at the load balancer."""
    yield
    for pod in range(PODS):
        good = _track(world, REQUESTS, pod, status="200").values
        asked = np.nan_to_num(good[outage.span])
        moved = _rng(outage).binomial(asked.astype(int), outage.share)
        good[outage.span] -= moved
        _grow(world, REQUESTS, {"status": outage.status, **SCORED}, outage, moved, pod)
        if outage.status == "401":
            _grow(world, CALLERS_REFUSED, {"reason": "audience"}, outage, moved, pod)
        kept = 1 - moved / np.maximum(asked, 1)
        for metric in (SCORED_LEADS, WRITTEN, UPLOADED):
            for track in world.tracks[metric]:
                if track.pod == pod:
                    track.values[outage.span] = np.floor(track.values[outage.span] * kept)
        _balancer_answers(world, outage, moved)


def _balancer_answers(world: World, outage: Outage, count: NDArray[Any], instead: bool = True) -> None:
    path = {"matched_url_path_rule": "/v1/score"}
    if instead:
        good = _track(world, AT_BALANCER, None, response_code="200", **path).values
        good[outage.span] = np.maximum(good[outage.span] - count, 0)
    labels = {**path, "response_code": outage.status, "response_code_class": f"{outage.status[0]}00", **BALANCER}
    _grow(world, AT_BALANCER, labels, outage, count)


def _front_door_answers(world: World, outage: Outage) -> Told:
    """The share of the requests gets the status before a pod sees it. Uptime checks see what is no refusal."""
    lost = world.rate[outage.span] * outage.share
    world.rate[outage.span] -= lost
    if outage.status.startswith("5"):  # the health path needs no identity
        for track in world.tracks[CHECKED]:
            track.values[outage.span] *= _rng(outage).random(len(lost)) >= outage.share
    yield
    count = _rng(outage).poisson(lost)
    _balancer_answers(world, outage, count, instead=False)
    for track in world.tracks[LATENCIES]:
        track.values[outage.span] += count


def _unreachable(world: World, outage: Outage) -> Told:
    """Callers and uptime checks of a share of the world's places do not arrive."""
    world.rate[outage.span] *= 1 - outage.share
    places = world.tracks[CHECKED]
    for track in places[: max(round(outage.share * len(places)), 1)]:
        track.values[outage.span] = 0
    yield


def _pods_gone(world: World, outage: Outage) -> Told:
    gone = max(round(outage.share * PODS), 1)
    for pod in range(PODS - gone, PODS):
        world.up[pod, outage.span] = False
        world.restarts[pod].append(outage.last)
        for name in world.tracks:
            if name.startswith("kubernetes_io:container_"):
                world.during(name, outage.first, outage.last, np.nan, pod)
    world.during(AVAILABLE, outage.first, outage.last, PODS - gone)
    if gone == PODS:
        world.refused[outage.span] = 1  # a load balancer without a pod answers 503
        world.during(CHECKED, outage.first, outage.last, 0)
    yield


def _cluster_gone(world: World, outage: Outage) -> Told:
    yield from _pods_gone(world, outage)
    for name in world.tracks:
        if name.startswith("kube_"):
            world.during(name, outage.first, outage.last, np.nan)


def _restarts(world: World, outage: Outage) -> Told:
    """One pod restarts every five minutes."""
    for at in range(outage.first, outage.last, 5):
        world.during(RESTARTS, at, at + 1, 1, 0)
    yield


def _slow(world: World, outage: Outage) -> Told:
    world.slow[outage.span] = np.maximum(world.slow[outage.span], outage.share)
    yield


def _balancer_slow(world: World, outage: Outage) -> Told:
    world.waiting[outage.span] = np.minimum(outage.share, 0.5)  # twice as many are late by a second
    yield


def _capacity(world: World, outage: Outage) -> Told:
    world.shed[outage.span] = outage.share
    yield


def _bucket(world: World, outage: Outage) -> Told:
    world.stuck[outage.span] = True
    for pod in range(PODS):
        world.during(UPLOAD_FAILURES, outage.first, outage.last, 1, pod)
    yield


def _records(world: World, outage: Outage) -> Told:
    world.unwritten[outage.span] = outage.share
    yield


def _pointer(world: World, outage: Outage) -> Told:
    for pod in range(max(round(outage.share * PODS), 1)):
        world.during(POINTER, outage.first, outage.last, EPOCH + 60.0 * outage.first, pod)
    yield


def _metrics(world: World, outage: Outage) -> Told:
    world.seen[outage.span] = False
    yield


def _job_gone(world: World, outage: Outage) -> Told:
    """Runs that would begin do not; without a name, those of all jobs."""
    for run in world.runs:
        run.dead |= run.job == (outage.name or run.job) and outage.first <= run.start < outage.last
    yield


def _job_fails(world: World, outage: Outage) -> Told:
    for run in world.runs:
        if run.job == outage.name and outage.first <= run.start < outage.last:
            run.well, at = False, round(run.start + run.minutes)
            world.during(EXECUTIONS, at, at + 1, 1, job_name=f"acme-prod-{run.job}")
    yield


def _mlflow(world: World, outage: Outage) -> Told:
    was = {track.labels["response_code_class"]: track for track in world.tracks[OF_MLFLOW]}
    good = was["2xx"].values
    moved = _rng(outage).binomial(good[outage.span].astype(int), outage.share)
    good[outage.span] -= moved
    labels = {**was["2xx"].labels, "response_code_class": f"{(outage.status or '5')[0]}xx"}
    _grow(world, OF_MLFLOW, labels, outage, moved)
    yield


def _database(world: World, outage: Outage) -> Told:
    world.during(DATABASE, outage.first, outage.last, 0)
    yield from _mlflow(world, outage)


def _series(world: World, outage: Outage) -> Told:
    figures = {name for figures in world.figures.values() for name, _ in figures}
    if outage.name not in figures | world.tracks.keys():
        like = [name for name in sorted(figures | world.tracks.keys()) if outage.name in name or name in outage.name]
        end = f". Is it {' or '.join(like[:3])}?" if like else ": scripts/alerts show NAME names what an alert reads"
        raise Unclear(f"{outage.text!r}: no series that can be given a value is called {outage.name}{end}")
    if outage.name in world.tracks:
        world.during(outage.name, outage.first, outage.last, outage.value)
    for found in world.figures.values():
        for (name, _), values in found.items():
            if name == outage.name:
                values[outage.first // DAY : -(-outage.last // DAY)] = outage.value
    yield


def _rng(outage: Outage) -> np.random.Generator:
    """Of its own: the traffic and its small faults are the same with the outage as without."""
    return np.random.default_rng(outage.first)


def _track(world: World, metric: str, pod: int | None = None, **labels: str) -> Track:
    """The one series of these labels. Raises KeyError where there is none."""
    for track in world.tracks[metric]:
        if track.pod == pod and labels.items() <= dict(track.labels).items():
            return track
    raise KeyError(f"no series {metric} of pod {pod} with {labels}")


def _grow(
    world: World, metric: str, labels: dict[str, str], outage: Outage, by: NDArray[Any], pod: int | None = None
) -> None:
    """Let a counter grow. One that is new begins with the outage, as a client library's does, and is missing before."""
    try:
        track = _track(world, metric, pod, **labels)
    except KeyError:
        track = Track(labels, np.full(world.minutes, np.nan), True, pod)
        track.values[0 if labels.get("status") in COUNTED_FROM_START else outage.first :] = 0
        world.tracks[metric].append(track)
    track.values[outage.span] += by


EFFECTS = {
    ("pods", True): Effect("pods answer {share} of the requests for scores with {status}", _pods_answer),
    ("pods", False): Effect("{share} of the pods are gone", _pods_gone),
    ("front door", True): Effect(
        "the front door answers {share} of the requests for scores with {status}, and no pod sees them",
        _front_door_answers,
    ),
    ("front door", False): Effect("requests and uptime checks from {share} of the world do not arrive", _unreachable),
    ("cluster", False): Effect("the cluster is gone, with all pods and what it says of them", _cluster_gone, False),
    ("restarts", False): Effect("a pod restarts every five minutes", _restarts, False),
    ("slow", False): Effect("{share} of the scores take longer than 250 ms", _slow),
    ("slow front door", False): Effect("{share} of the callers wait over two seconds for their answer", _balancer_slow),
    ("capacity", False): Effect("pods refuse {share} of the requests for lack of processor time", _capacity),
    ("bucket", False): Effect("no record reaches the bucket", _bucket, False),
    ("records", False): Effect("{share} of the scored leads get no record", _records),
    ("pointer", False): Effect("{share} of the pods cannot read the model pointer", _pointer),
    ("metrics", False): Effect("no metrics of the pods arrive", _metrics, False),
    ("job", False): Effect("the job {name} does not run", _job_gone, False),
    ("job fails", False): Effect("the job {name} fails", _job_fails, False),
    ("scheduler", False): Effect("no job runs", _job_gone, False),
    ("mlflow", True): Effect("MLflow answers {share} of its requests with {status}", _mlflow),
    ("database", False): Effect("the database is down, and MLflow answers 5xx", _database, False),
    ("series", False): Effect("{name} {value}", _series, False),
}
