"""Thirty days of a platform: traffic with its rhythm, deploys, small faults that are nobody's incident, daily jobs.

All randomness is numpy's generator with the seed. A sample comes once a minute, Google's as late as
`monitoring.google` says; a job's figures come once a run, as they do in the cloud.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from cronsim import CronSim
from numpy.typing import NDArray

from monitoring import google
from monitoring.platform import Platform
from monitoring.simulation.reach import Enough, Share, reached
from monitoring.simulation.tsdb import Samples
from monitoring.slos import BurnWindow, Slo

DAY, HOUR = 1440, 60  # minutes
BEFORE = 26 * HOUR  # minutes told before the watched days, for what reads a day back
START = datetime(2026, 1, 4, tzinfo=UTC)  # a Sunday; the watch begins on Monday at 02:00
EPOCH = int(START.timestamp())
PODS = 4
PER_DAY = 450_000  # requests, in the mean of all days and seeds
BUSIEST = 1_200 / PER_DAY  # of a day's requests the median seed sends so many in a working day's busiest minute
PROBES = 2.0  # requests a minute by scanners for other paths; a twentieth as many are for scores
RECORD_BYTES = 4_000.0  # that a record holds of a spool
JOBS = {job.name: job for job in Platform().jobs}

Array = NDArray[np.float64]


@dataclass(slots=True)
class Track:
    """A series as it would be: a value a minute, or a counter's growth; `pod` is the place of its pod."""

    labels: Mapping[str, str]
    values: Array
    counts: bool = False
    pod: int | None = None


@dataclass(slots=True)
class JobRun:
    """One run of a job. Minutes from START; a dead one publishes nothing."""

    job: str
    start: float
    minutes: float
    well: bool = True
    dead: bool = False


@dataclass(slots=True)
class World:
    """What is to be told of one seed. Incidents change it before it is told."""

    seed: int
    days: int
    per_day: int  # requests, declared; a seed's own are more or fewer
    rng: np.random.Generator
    rate: Array  # requests a minute that are expected
    failing: Array  # share of them that fails
    shed: Array  # share of them that is refused for lack of capacity
    slow: Array  # share of them that takes too long
    refused: Array  # share that the load balancer answers with 5xx of its own
    denied: Array  # share of the requests that pods answer with 401
    turned_away: Array  # further requests a minute, which the proxy answers with 403
    waiting: Array  # share for which the load balancer's last byte takes over two seconds
    unwritten: Array  # share of the scored leads of which no record is written
    stuck: NDArray[np.bool_]  # minutes in which no record reaches the bucket
    up: NDArray[np.bool_]  # pod, minute
    seen: NDArray[np.bool_]  # minutes in which the service's own metrics arrive
    tracks: dict[str, list[Track]] = field(default_factory=dict)
    restarts: list[list[int]] = field(
        default_factory=lambda: [[] for _ in range(PODS)]
    )  # minutes at which a pod is new
    runs: list[JobRun] = field(default_factory=list)
    figures: dict[str, dict[tuple[str, str], Array]] = field(default_factory=dict)  # job, (name, labels), by day

    @property
    def minutes(self) -> int:
        """How many are told."""
        return BEFORE + self.days * DAY

    def watched(self) -> NDArray[np.int64]:
        """The seconds since 1970 at which alerts are evaluated."""
        return EPOCH + 60 * np.arange(BEFORE, self.minutes, dtype=np.int64)

    def promise(self, slo: Slo, window: BurnWindow, share: float, start: int) -> int | None:
        """Minutes after which a burn rate tells of a share that goes wrong from `start` on, by the traffic there is.

        The first at which what went wrong exceeds the threshold over both windows, and the least number over the long
        one. None where that is never within two days.
        """
        bad = np.where(np.arange(self.minutes) < start, 0, share * self.rate)
        long, short = (each // timedelta(minutes=1) for each in (window.long, window.short))
        above = float(slo.threshold(window))
        needs = (
            Share(bad, self.rate, long, above),
            Share(bad, self.rate, short, above),
            Enough(bad, long, slo.minimum_bad or 0),
        )
        return reached(start, min(start + 2 * DAY, self.minutes), 0, needs)

    def during(self, name: str, first: int, last: int, value: float, pod: int | None = None, **labels: str) -> None:
        """Give a series (those with these labels, or of this pod) a value from one minute to another."""
        tracks = [
            track
            for track in self.tracks[name]
            if (pod is None or track.pod == pod) and labels.items() <= dict(track.labels).items()
        ]
        if not tracks:
            raise KeyError(f"no series {name} of pod {pod} with {labels}")
        for track in tracks:
            track.values[first:last] = value

    def told(self) -> Iterator[Samples]:
        """Every series."""
        times = EPOCH + 60 * np.arange(self.minutes, dtype=np.int64)
        for name, tracks in self.tracks.items():
            known = google.of(name)
            late = int(known.delay.total_seconds()) if known else 0
            for track in tracks:
                for first, last, labels in self._lives(track):
                    values = track.values[first:last]
                    there = ~np.isnan(values)
                    if track.counts:
                        values = np.cumsum(np.nan_to_num(values))
                    if there.any():
                        yield Samples(name, labels, times[first:last][there] + late, values[there])
        yield from self._published()

    def _lives(self, track: Track) -> Iterator[tuple[int, int, dict[str, str]]]:
        """From when to when a series is the same one: a pod that is replaced has another name."""
        if track.pod is None:
            yield 0, self.minutes, dict(track.labels)
            return
        bounds = [0, *sorted(set(self.restarts[track.pod])), self.minutes]
        for number, (first, last) in enumerate(pairwise(bounds)):
            pod = "pod_name" if "pod_name" in track.labels else "instance"
            yield first, last, {**track.labels, pod: f"scoring-{track.pod}-{number}"}

    def _published(self) -> Iterator[Samples]:
        """Figures of the jobs: each run publishes what it found, and anew what it found before."""
        found: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
        newest: dict[str, dict[tuple[str, str], float]] = {}
        for run in sorted(self.runs, key=lambda run: run.start + run.minutes):
            if run.dead:
                continue
            end = int(EPOCH + 60 * (run.start + run.minutes))
            known = newest.setdefault(run.job, {})
            prefix = "leadscoring_job_"
            known[f"{prefix}last_start_timestamp_seconds", ""] = EPOCH + 60 * run.start
            known[f"{prefix}last_{'success' if run.well else 'failure'}_timestamp_seconds", ""] = end
            if run.well:
                known[f"{prefix}duration_seconds", ""] = 60 * run.minutes
                day = min(max(int(run.start // DAY), 0), self.days + 1)
                known.update({key: float(values[day]) for key, values in self.figures.get(run.job, {}).items()})
            for (name, labels), value in known.items():
                found.setdefault((run.job, name, labels), []).append((end, value))
        for (job, name, labels), points in found.items():
            told = dict(pair.split("=") for pair in labels.split(",") if pair)
            times = np.array([time for time, _ in points], np.int64)
            yield Samples(name, {"job": job, **told}, times, np.array([value for _, value in points]))


def quiet(seed: int, days: int, per_day: int = PER_DAY) -> World:
    """A world whose pods and jobs do their work; what they export is told by `monitoring.simulation.fleet`."""
    rng = np.random.default_rng(seed)
    minutes = BEFORE + days * DAY
    world = World(
        seed,
        days,
        per_day,
        rng,
        rate=_rhythm(rng, minutes, per_day),
        failing=np.full(minutes, 1e-4),
        shed=np.zeros(minutes),
        slow=np.full(minutes, 2e-3),
        refused=np.zeros(minutes),
        denied=np.zeros(minutes),
        turned_away=np.zeros(minutes),
        waiting=np.full(minutes, 1e-3),
        unwritten=np.zeros(minutes),
        stuck=np.zeros(minutes, bool),
        up=np.ones((PODS, minutes), bool),
        seen=np.ones(minutes, bool),
    )
    _deploy(world)
    _jobs(world)
    return world


def _rhythm(rng: np.random.Generator, minutes: int, per_day: int) -> Array:
    """Requests a minute: busy from nine to five, a fifth at weekends, next to none at night."""
    at = np.arange(minutes)
    hour, weekend = at % DAY / HOUR, (at // DAY) % 7 % 6 == 0  # day 0 is a Sunday
    busy = np.exp(-(((hour - 11) / 2.6) ** 2)) + 0.8 * np.exp(-(((hour - 15.5) / 2.4) ** 2))
    busiest = rng.lognormal(np.log(BUSIEST * per_day), 0.4)
    days = np.repeat(rng.lognormal(0, 0.1, minutes // DAY + 2), DAY)[:minutes]
    return np.asarray(busiest * days * np.where(weekend, 0.2, 1.0) * (0.003 + busy))


def _deploy(world: World) -> None:
    """A deploy or so a week in working hours: pod after pod is replaced, two minutes each."""
    for day in range(1, world.days + 1):
        if world.rng.random() < 0.2 and (day % 7) % 6:
            at = day * DAY + int(world.rng.integers(9 * HOUR, 16 * HOUR))
            for pod in range(PODS):
                world.restarts[pod].append(at + 2 * pod)


def _jobs(world: World) -> None:
    """Runs of all jobs from eight days before, some with a second attempt that ends well in time."""
    for job in JOBS.values():
        usual = 0.15 * job.timeout / timedelta(minutes=1)
        for start in CronSim(job.schedule, START - timedelta(days=8)):
            minute = (start - START) / timedelta(minutes=1)
            if minute >= world.minutes:
                break
            length = usual * float(world.rng.lognormal(0, 0.2))
            if world.rng.random() < 0.15:
                failed = float(world.rng.uniform(5, 15))
                world.runs.append(JobRun(job.name, minute, failed, well=False))
                minute, length = minute + failed + 1, min(length, 20.0)
            world.runs.append(JobRun(job.name, minute, length))
