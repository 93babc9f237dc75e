"""When alerts fire in a seed's days: what Prometheus finds true, held as long as each alert asks."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from monitoring import limits
from monitoring.alerts import Alert
from monitoring.simulation import fleet, incidents, tsdb, world
from monitoring.simulation.incidents import Incident
from monitoring.simulation.reach import held

Span = tuple[int, int]  # the minute at which something begins to fire, and that at which it no longer does

DAYS = 30
AT_ONCE = 2  # queries


@dataclass(frozen=True, slots=True)
class Replay:
    """A seed's days in a running Prometheus."""

    days: world.World
    incidents: tuple[Incident, ...]
    database: tsdb.Tsdb
    metrics: frozenset[str]  # names of all series

    def firing(self, alerts: Iterable[Alert]) -> dict[str, list[Span]]:
        """For each alert from which minute to which it fires, whatever its labels."""
        return {name: merged(series) for name, series in self.incidents_of(alerts).items()}

    def incidents_of(self, alerts: Iterable[Alert]) -> dict[str, dict[str, list[Span]]]:
        """For each alert, and each series of its result, from which minute to which it fires.

        Each span is an incident, and a notification: Cloud Monitoring opens one for each series of the result, not one
        for each policy ("Number of open incidents per policy").
        https://cloud.google.com/monitoring/alerts/concepts-indepth
        """
        alerts = tuple(alerts)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip((alert.name for alert in alerts), pool.map(self._of, alerts), strict=True))

    def _of(self, alert: Alert) -> dict[str, list[Span]]:
        every, steps = evaluated(alert), int(alert.hold.total_seconds()) // 60
        times = self.days.watched()[::every]
        fires: dict[str, NDArray[np.bool_]] = {}
        for first, last in self._parts(alert, times, steps):
            for series, true in self.database.true(alert.expr, times[first:last]).items():
                fires.setdefault(series, np.zeros(len(times), bool))[first:last] |= held(true, steps)
        return {series: _spans(of, every) for series, of in fires.items() if of.any()}

    def _parts(self, alert: Alert, times: NDArray[np.int64], steps: int) -> Iterator[tuple[int, int]]:
        """The parts of the days that are to be evaluated minute by minute.

        What holds for so many minutes is true in one of every so many, so the others need no closer look.
        """
        if steps < 2:
            yield 0, len(times)
            return
        near = np.zeros(len(times), bool)
        for true in self.database.true(alert.expr, times[::steps]).values():
            for hit in np.flatnonzero(true) * steps:
                near[max(hit - steps, 0) : hit + steps + 1] = True
        edges = np.flatnonzero(np.diff(np.concatenate([[False], near, [False]])))
        yield from ((int(on), int(off)) for on, off in edges.reshape(-1, 2))


def _spans(fires: NDArray[np.bool_], every: int) -> list[Span]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], fires, [False]]))) * every + world.BEFORE
    return [(int(on), int(off)) for on, off in edges.reshape(-1, 2)]


def merged(series: Mapping[str, list[Span]]) -> list[Span]:
    """The spans in which at least one of the series fires, in order of time."""
    found: list[Span] = []
    for on, off in sorted(span for spans in series.values() for span in spans):
        if found and on <= found[-1][1]:
            found[-1] = found[-1][0], max(off, found[-1][1])
        else:
            found.append((on, off))
    return found


def evaluated(alert: Alert) -> int:
    """Minutes between two evaluations: what looks back an hour or more and holds nothing changes slowly.

    A sum over four weeks takes long to evaluate and changes more slowly still.
    """
    if limits.lookback(alert.expr) > timedelta(weeks=3):
        return 360
    return 5 if not alert.hold and limits.shortest(alert.expr) >= timedelta(hours=1) else 1


@contextmanager
def replay(seed: int, days: int = DAYS, per_day: int = world.PER_DAY) -> Iterator[Replay]:
    """The days of a seed at so many requests a day. Raises FileNotFoundError without a prometheus on PATH."""
    told = world.quiet(seed, days, per_day)
    fleet.add_baseline(told)
    happened = incidents.inject(told)
    with running(told, happened) as found:
        yield found


@contextmanager
def running(told: world.World, happened: tuple[Incident, ...], blips: bool = True) -> Iterator[Replay]:
    """A world whose baseline and incidents are told, with its traffic, in a Prometheus."""
    fleet.add_traffic(told, blips)
    with written(told, happened) as found:
        yield found


@contextmanager
def written(told: world.World, happened: tuple[Incident, ...] = ()) -> Iterator[Replay]:
    """A world of which all is told, its traffic too, in a Prometheus."""
    series = tuple(told.told())
    with tsdb.running() as database:
        database.write(series)
        yield Replay(told, happened, database, frozenset(each.name for each in series))


def firings(alerts: Iterable[Alert], seed: int = 0, days: int = DAYS) -> dict[str, int]:
    """How many times each alert begins to fire in a seed's days, by its name."""
    with replay(seed, days) as told:
        return {name: len(spans) for name, spans in told.firing(alerts).items()}
