"""What a case is: a story told in series, and which alerts it fires, when, and for how long.

A series is told in stretches of minutes. Google's metrics arrive as late as `monitoring.google` says, so every case
has their delay in it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from monitoring import google
from monitoring.alerts import Alert
from monitoring.platform import Job

MINUTE = timedelta(minutes=1)
BINARY = 64  # of this part of one many are added without rounding

Value = float | None  # None: nothing exports it
Stretch = tuple[int, Value]  # minutes, value (or growth a minute)


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its value (a counter's growth a minute) before the fault, then in stretches; the last one lasts."""

    selector: str
    before: Value
    after: tuple[Stretch, ...] = ()
    counts: bool = False
    resets: int = 0  # steps after which a counter begins again; 0: never
    every: int = 0  # minutes between two samples, of which one is at the fault; 0: one a step

    def samples(self, history: timedelta, lasts: timedelta, step: timedelta) -> str:
        """The samples in promtool's notation, one a step, from nothing; late where the metric comes late."""
        total = (history + lasts) // step + 1
        after = [(timedelta(minutes=minutes) // step, value) for minutes, value in self.after]
        stretches = [(history // step, self.before), *after]
        stretches.append((max(total - sum(steps for steps, _ in stretches), 0), stretches[-1][1]))
        known = google.of(self.selector.split("{")[0])
        late = -(-known.delay // step) if known else 0
        values: list[Value] = [None] * late
        level = 0.0
        for steps, value in stretches:
            for _ in range(steps):
                if value is None:
                    level = 0.0  # a counter that comes back begins again, as a new pod's does
                elif self.counts:
                    growth = value * (step / MINUTE)
                    # Less than before is how Prometheus knows that a counter began again. Parts that do not add up
                    # exactly would change what is compared with an equal limit.
                    exact = (growth * BINARY).is_integer()
                    begins = self.resets and len(values) % self.resets == 0 and level > growth and exact
                    level = growth if begins else level + growth
                values.append(None if value is None else float(level if self.counts else value))
        if self.every:
            apart, fault = timedelta(minutes=self.every) // step, history // step + late
            values = [value if (at - fault) % apart == 0 else None for at, value in enumerate(values)]
        return _notation(values[:total])


def _notation(values: list[Value]) -> str:
    """Samples as promtool takes them, equal steps in one: https://prometheus.io/docs/prometheus/2.42/configuration/unit_testing_rules/"""
    notes, at = [], 0
    while at < len(values):
        first, end = values[at], at + 1
        if first is None:
            while end < len(values) and values[end] is None:
                end += 1
            notes.append(f"_x{end - at}")
        else:
            second = values[end] if end < len(values) else None
            step = 0.0 if second is None else second - first
            # The tool adds step to step: tenths would add up to more than the next sample, a counter's reset.
            whole = ((first * BINARY).is_integer() and (step * BINARY).is_integer()) or not step
            while (
                whole
                and end < len(values)
                and (value := values[end]) is not None
                and value == first + step * (end - at)
            ):
                end += 1
            notes.append(f"{first:.12g}{step:+.12g}x{end - at - 1}" if end > at + 1 else f"{first:.12g}")
        at = end
    return " ".join(notes)


def gauge(selector: str, before: Value, *after: Stretch) -> Series:
    """A value that stays as it is in each stretch."""
    return Series(selector, before, after)


def counter(selector: str, before: Value, *after: Stretch) -> Series:
    """A counter by its growth a minute in each stretch."""
    return Series(selector, before, after, counts=True)


def run(selector: str, job: Job, before: Value, *after: Stretch) -> Series:
    """A job's gauge as Cloud Monitoring has it: one sample a run, as often as its cron line starts it."""
    return Series(selector, before, after, every=job.gap // MINUTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """When an alert fires, in minutes after the fault: from `after` on, silent again at `until`, as so many series."""

    after: int
    until: int
    instances: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A story. Alerts that `fires` does not name must stay silent from the first sample to the last.

    `stays_silent` names the alerts that it comes near; `about` all whose behaviour it asserts, by their runbooks where
    empty.
    """

    story: str
    series: tuple[Series, ...]
    lasts: int  # minutes that it is watched from the fault on
    history: int = 60  # minutes before the fault
    step: timedelta = MINUTE  # between samples, and between evaluations
    fires: Mapping[str, Firing] = field(default_factory=dict)
    stays_silent: tuple[str, ...] = ()
    settling: int = 0  # minutes at the start that are not asserted: what reads a day back finds nothing before them
    everything: bool = False  # asserts the whole catalogue, not only the alerts of the runbooks that it is about
    named_only: bool = False  # asserts the alerts that it names and no other

    def watched(self, alerts: Iterable[Alert]) -> tuple[Alert, ...]:
        """Those of the alerts whose behaviour it asserts."""
        alerts = tuple(alerts)
        named = {*self.fires, *self.stays_silent}
        if unknown := named - {alert.name for alert in alerts}:
            raise ValueError(f"case {self.story!r}: no alert is called {', '.join(sorted(unknown))}")
        if self.named_only:
            return tuple(alert for alert in alerts if alert.name in named)
        runbooks = {alert.runbook for alert in alerts if alert.name in named}
        # A burn rate reads a day back, a budget four weeks: they are watched in stories that are about them.
        apart = [word for word in ("Burn", "Budget") if not any(word in name for name in named)]
        return tuple(
            alert
            for alert in alerts
            if self.everything or (alert.runbook in runbooks and not any(word in alert.name for word in apart))
        )


def fires(name: str, story: str, *series: Series, after: int, until: int, instances: int = 1, **more: object) -> Case:
    """The story of one alert that must fire."""
    firing = {name: Firing(after=after, until=until, instances=instances)}
    others, lasts = more.pop("others", {}), more.pop("lasts", until)
    return Case(story=story, series=series, fires={**firing, **others}, lasts=lasts, **more)  # type: ignore[arg-type, dict-item]


def stays_silent(name: str, story: str, *series: Series, lasts: int, **more: object) -> Case:
    """The story of one alert that comes near and must not fire."""
    return Case(story=story, series=series, lasts=lasts, stays_silent=(name,), **more)  # type: ignore[arg-type]
