"""When alerts fire in a seed's days: what Prometheus finds true, held as long as each alert asks."""

from collections.abc import Iterable, Iterator
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

DAYS = 30
AT_ONCE = 2  # queries


@dataclass(frozen=True, slots=True)
class Replay:
    """A seed's days in a running Prometheus."""

    days: world.World
    incidents: tuple[Incident, ...]
    database: tsdb.Tsdb
    metrics: frozenset[str]  # names of all series

    def firing(self, alerts: Iterable[Alert]) -> dict[str, list[tuple[int, int]]]:
        """For each alert from which minute to which it fires, whatever its labels."""
        alerts = tuple(alerts)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip((alert.name for alert in alerts), pool.map(self._of, alerts), strict=True))

    def _of(self, alert: Alert) -> list[tuple[int, int]]:
        every, steps = evaluated(alert), int(alert.hold.total_seconds()) // 60
        times = self.days.watched()[::every]
        fires = np.zeros(len(times), bool)
        for first, last in self._parts(alert, times, steps):
            for true in self.database.true(alert.expr, times[first:last]).values():
                fires[first:last] |= held(true, steps)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], fires, [False]]))) * every + world.BEFORE
        return [(int(on), int(off)) for on, off in edges.reshape(-1, 2)]

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


def evaluated(alert: Alert) -> int:
    """Minutes between two evaluations: what looks back an hour or more and holds nothing changes slowly.

    A sum over four weeks takes long to evaluate and changes more slowly still.
    """
    if limits.lookback(alert.expr) > timedelta(weeks=3):
        return 360
    return 5 if not alert.hold and limits.shortest(alert.expr) >= timedelta(hours=1) else 1


def held(true: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Where something has been true for so many steps: Prometheus' own `for`."""
    at = np.arange(len(true))
    since = np.maximum.accumulate(np.where(true, -1, at))  # the newest step at which it was not
    return np.asarray(true & (at - since > steps))


@contextmanager
def replay(seed: int, days: int = DAYS) -> Iterator[Replay]:
    """The days of a seed. Raises FileNotFoundError without a prometheus on PATH."""
    told = world.quiet(seed, days)
    fleet.add_baseline(told)
    happened = incidents.inject(told)
    fleet.add_traffic(told)
    series = tuple(told.told())
    with tsdb.running() as database:
        database.write(series)
        yield Replay(told, happened, database, frozenset(each.name for each in series))


def firings(alerts: Iterable[Alert], seed: int = 0, days: int = DAYS) -> dict[str, int]:
    """How many times each alert begins to fire in a seed's days, by its name."""
    with replay(seed, days) as told:
        return {name: len(spans) for name, spans in told.firing(alerts).items()}
