"""Service level objectives, and the burn-rate alerts that follow from them.

Multi-window, multi-burn-rate alerting of the SRE workbook: an alert fires while the error budget burns,
over a long window (it matters) and over a short one (it still goes on), so fast that the long window
alone spends a given share of the whole period's budget. Both windows need some bad events, and a slow burn
does not page while a fast one does.
https://sre.google/workbook/alerting-on-slos/#6-multiwindow-multi-burn-rate-alerts
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction

from monitoring.alerts import Alert, Severity
from monitoring.promql.text import duration, number


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnWindow:
    """How much of the budget may go in how long before somebody is told."""

    name: str  # ends the alert's name: BurnFast
    long: timedelta
    short: timedelta  # a twelfth of the long one, says the workbook
    spent: Fraction  # share of the period's error budget, 0 to 1, that the long window may spend
    severity: Severity


# The workbook's table 5-8 and its PromQL. Its fourth pair (10 % in 3d/6h) is left out: beyond 25 h of
# look-back Cloud Monitoring evaluates a policy every 5 minutes at best, a preview. The 1d pair is within.
# https://docs.cloud.google.com/monitoring/alerts/using-promql
BURN_WINDOWS = (
    BurnWindow(
        name="BurnFast",
        long=timedelta(hours=1),
        short=timedelta(minutes=5),
        spent=Fraction("0.02"),
        severity=Severity.PAGE,
    ),
    BurnWindow(
        name="BurnSlow",
        long=timedelta(hours=6),
        short=timedelta(minutes=30),
        spent=Fraction("0.05"),
        severity=Severity.PAGE,
    ),
    BurnWindow(
        name="BurnSteady",
        long=timedelta(days=1),
        short=timedelta(hours=2),
        spent=Fraction("0.10"),
        severity=Severity.TICKET,
    ),
)

# Bad events in the short window below which an alert is silent: after an incident the long window keeps its bad events
# for hours, and one or two stray failures in a quiet short one would report the incident again.
FEWEST_SHORT = 3

# Where nobody is woken: the same windows without the fastest, which asks for a hurry that a ticket has not.
TICKET_WINDOWS = tuple(replace(window, severity=Severity.TICKET) for window in BURN_WINDOWS[1:])


@dataclass(frozen=True, slots=True)
class Ratio:
    """Monitoring filters of the events that Cloud Monitoring's own SLO counts."""

    bad: str
    total: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """A monitoring filter of a distribution whose values are good up to `most`."""

    of: str
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """A promise about events: of `total`, at most 1 - `objective` are `bad` within `period`.

    `bad` and `total` are PromQL for a number of events within `{window}`. Raises ValueError, naming the
    field, for a promise that cannot be kept or measured.
    """

    name: str  # CamelCase, begins the alerts' names
    objective: Fraction  # share of good events, between 0 and 1
    period: timedelta
    bad: str
    total: str
    minimum_bad: int | None  # bad events in the long window below which nobody is told; None: events are never few
    symptom: str  # what the users of the service notice, begins the alerts' summaries
    runbook: str
    panel: str  # title of the dashboard panel that shows it
    windows: tuple[BurnWindow, ...] = BURN_WINDOWS
    counted: Ratio | Distribution | None = None  # as Cloud Monitoring's own SLO counts it; None: it cannot

    def __post_init__(self) -> None:
        if not 0 < self.objective < 1:
            raise ValueError(f"{self.name}: objective {self.objective} is not between 0 and 1")
        for field, expr in (("bad", self.bad), ("total", self.total)):
            if "{window}" not in expr:
                raise ValueError(f"{self.name}: {field} has no {{window}}: {expr}")
        if self.minimum_bad is not None and self.minimum_bad < 1:
            raise ValueError(f"{self.name}: minimum_bad {self.minimum_bad} is below 1")
        for window in self.windows:
            if not window.short < window.long < self.period:
                raise ValueError(
                    f"{self.name}: windows: {window.name} needs short < long < period, "
                    f"has {window.short}, {window.long}, {self.period}"
                )
            if (threshold := self.threshold(window)) >= 1:
                raise ValueError(
                    f"{self.name}: windows: {window.name} would fire above {number(threshold * 100)} % bad "
                    f"events, which cannot be: with objective {number(self.objective * 100)} % over "
                    f"{duration(self.period)} leave the window out or make it longer"
                )

    def factor(self, window: BurnWindow) -> Fraction:
        """How many times faster than sustainable the budget burns when the window fires."""
        second = timedelta(seconds=1)
        return window.spent * (self.period // second) / (window.long // second)

    def threshold(self, window: BurnWindow) -> Fraction:
        """The share of bad events above which the window fires."""
        return self.factor(window) * (1 - self.objective)

    def alerts(self) -> tuple[Alert, ...]:
        """One alert for each window."""
        return tuple(self._alert(window) for window in self.windows)

    def burned(self, window: BurnWindow, within: timedelta) -> str:
        """PromQL: the window's alert fires, or fired within this span."""
        return f"max_over_time((\n{self._burning(window)}\n)[{duration(within)}:1m])"

    def _alert(self, window: BurnWindow) -> Alert:
        long, short = duration(window.long), duration(window.short)
        return Alert(
            name=self.name + window.name,
            expr="\nunless\n".join([self._burning(window), *self._reported(window)]),
            # The short window does what a hold would do, and without its blind spot: the workbook
            # advises against durations in SLO alerts.
            hold=timedelta(0),
            severity=window.severity,
            summary=(
                f"{self.symptom}: more than {number(self.threshold(window) * 100)} % over {long} and "
                f"{short} spends the error budget of {duration(self.period)} "
                f"{number(self.factor(window))} times too fast."
            ),
            runbook=self.runbook,
            panel=self.panel,
        )

    def _burning(self, window: BurnWindow) -> str:
        """Both windows burn too fast, on enough bad events."""
        long, short = duration(window.long), duration(window.short)
        threshold = number(self.threshold(window))
        conditions = [f"{self._ratio(long)} > {threshold}", f"{self._ratio(short)} > {threshold}"]
        if self.minimum_bad:
            conditions.append(f"{_within(self.bad, long)} >= {self.minimum_bad}")
            conditions.append(f"{_within(self.bad, short)} >= {FEWEST_SHORT}")
        return "\nand\n".join(conditions)

    def _reported(self, window: BurnWindow) -> Iterator[str]:
        """A faster page of the same promise fires, or fired within the window's short span.

        That span is how long this window remembers the incident after its end: without it one incident would page
        twice, the second time when it is over.
        """
        if window.severity is Severity.PAGE:
            for faster in self.windows:
                if faster.severity is Severity.PAGE and faster.long < window.long:
                    yield self.burned(faster, window.short)

    def _ratio(self, window: str) -> str:
        return f"{_within(self.bad, window)} / {_within(self.total, window)}"


def _within(expr: str, window: str) -> str:
    return expr.replace("{window}", window)
