"""Which alerts an outage sets off, when, and which stay silent although they read what it changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from monitoring import catalogue
from monitoring.alerts import Alert
from monitoring.platform import Platform
from monitoring.promql.conditions import Condition, conditions
from monitoring.review.altered import altered, reading
from monitoring.review.describe import OUTAGE_DAY
from monitoring.review.outage import Outage, inject
from monitoring.simulation import fleet, tsdb, world
from monitoring.simulation.firing import Replay, written
from monitoring.simulation.world import DAY, World

SEED = 0
AFTERWARDS = 27 * 60  # minutes that are watched after the end: the longest window of a page, and some more
_EVERY = 5  # minutes between two values of what a silent alert measures


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that fires. Minutes from the begin of the outages; `until` is None where it fires to the end."""

    alert: Alert
    after: int
    until: int | None
    times: int  # how often it begins
    anyway: bool  # it fires on the same days without the outages


@dataclass(frozen=True, slots=True)
class Nearest:
    """One condition, and the value that came nearest to its limit; None where nothing was measured."""

    condition: Condition
    value: float | None


@dataclass(frozen=True, slots=True)
class Silent:
    """An alert that does not fire although it reads a series that the outages change."""

    alert: Alert
    nearest: tuple[Nearest, ...]


@dataclass(frozen=True, slots=True)
class OutageTrial:
    """What comes of outages."""

    outages: tuple[Outage, ...]
    per_day: int  # requests on the day on which they begin
    fired: tuple[Fired, ...]
    silent: tuple[Silent, ...]

    @property
    def lasts(self) -> int:
        """Minutes from the first begin to the last end."""
        return max(each.last for each in self.outages) - min(each.first for each in self.outages)


def run(outages: tuple[Outage, ...], per_day: int) -> OutageTrial:
    """Let outages happen on otherwise quiet days of so many requests. FileNotFoundError: no prometheus."""
    alerts = catalogue.alerts(Platform(leads_per_day=per_day))
    begin, end = min(each.first for each in outages), max(each.last for each in outages)
    days = -(-(end + AFTERWARDS - world.BEFORE) // DAY)
    usual, other = quiet_days(days, per_day), with_outages(days, per_day, outages)
    tsdb.find()
    readers = reading(alerts, altered(usual, other, slice(begin, end)))
    with written(other) as replay:
        spans = {name: _since(found, begin) for name, found in replay.firing(alerts).items()}
        silent = tuple(Silent(a, _nearest(replay, a, begin, end)) for a in readers if not spans[a.name])
    loud = [alert for alert in alerts if spans[alert.name]]
    anyway = set[str]()
    if loud:
        with written(usual) as replay:
            anyway = {name for name, found in replay.firing(loud).items() if _since(found, begin)}
    fired = (_fired(alert, spans[alert.name], alert.name in anyway, begin, other.minutes) for alert in loud)
    return OutageTrial(outages, per_day, tuple(sorted(fired, key=lambda each: each.after)), silent)


def _since(spans: Iterable[tuple[int, int]], begin: int) -> list[tuple[int, int]]:
    return [(on, off) for on, off in spans if off > begin]


def _fired(alert: Alert, spans: Sequence[tuple[int, int]], anyway: bool, begin: int, watched: int) -> Fired:
    until = None if spans[-1][1] >= watched else spans[-1][1] - begin
    return Fired(alert, max(spans[0][0] - begin, 0), until, len(spans), anyway)


def quiet_days(days: int, per_day: int) -> World:
    """Days without an outage."""
    return with_outages(days, per_day, ())


def with_outages(days: int, per_day: int, outages: tuple[Outage, ...]) -> World:
    """The same days with outages; `per_day` requests come on the day on which they begin. Raises Unclear."""
    told = world.quiet(SEED, days)
    told.rate *= per_day / told.rate[OUTAGE_DAY * DAY : (OUTAGE_DAY + 1) * DAY].sum()
    fleet.add_baseline(told)
    inject(told, outages, fleet.add_traffic)
    return told


def _nearest(told: Replay, alert: Alert, begin: int, end: int) -> tuple[Nearest, ...]:
    times = world.EPOCH + 60 * np.arange(begin, max(end, begin + 2 * _EVERY) + 1, _EVERY, dtype=np.int64)
    found = []
    for condition in conditions(alert):
        values = [series for _, series in told.database.values(condition.measured, times)]
        known = np.concatenate(values) if values else np.empty(0)
        known = known[np.isfinite(known)]
        extreme = (known.min if condition.op.startswith("<") else known.max) if len(known) else None
        found.append(Nearest(condition, float(extreme()) if extreme else None))
    return tuple(found)
