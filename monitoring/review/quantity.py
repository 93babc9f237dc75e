"""What each condition of an alert measures and its limit, in the words and the unit of the panel that shows it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from monitoring.alerts import Alert
from monitoring.dashboards import ELSEWHERE, dashboards
from monitoring.dashboards.panel import Unit
from monitoring.promql.conditions import Condition, conditions
from monitoring.promql.text import duration
from monitoring.review.explain import number

_LABELS = re.compile(r"\{[^{}]*\}")
_WINDOW = re.compile(r"\[(\d+[dhms])\]|\[(\d+[dhms]):[^\]]*\]")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A condition as people read it: `Share of failed requests over 1h`, `> 1.344 %`."""

    condition: Condition
    title: str  # its panel's, or what is measured, as PromQL
    window: str  # "over 1h", or nothing where it reads the present or the title says it
    unit: Unit

    @property
    def measured(self) -> str:
        """What is measured, and over which window."""
        return f"{self.title} {self.window}".rstrip()

    @property
    def limit(self) -> str:
        """Comparison and limit."""
        known = self.condition
        limit = without_labels(known.limit) if known.threshold is None else self.told(known.threshold)
        return f"{known.op} {limit}{' or missing' if known.or_missing else ''}"

    def told(self, value: float) -> str:
        """A value in the quantity's unit."""
        match self.unit:
            case Unit.RATIO:
                return f"{number(round(100 * value, 6))} %"
            case Unit.SECONDS if value == int(value) and value >= 0:
                return duration(timedelta(seconds=value))
            case Unit.SECONDS | Unit.MILLISECONDS | Unit.DAYS:
                return f"{number(value)} {self.unit.value}"
            case Unit.BYTES:
                return f"{number(value)} bytes"
            case _:
                return number(value)


def quantities(alert: Alert) -> tuple[Quantity, ...]:
    """One for each condition, in their order. Two that one title would not tell apart are named by their PromQL."""
    compared = conditions(alert)
    titles = [ELSEWHERE.get((alert.name, place), alert.panel) for place in range(len(compared))]
    named: dict[str, set[str]] = {}
    for title, condition in zip(titles, compared, strict=True):
        named.setdefault(title, set()).add(_WINDOW.sub("", condition.measured))
    return tuple(
        _quantity(title, condition, plain=len(named[title]) == 1 and title in _units())
        for title, condition in zip(titles, compared, strict=True)
    )


def sentence(alert: Alert) -> str:
    """All conditions; windows of one quantity that have one limit stand together."""
    parts: list[tuple[str, list[str], str]] = []
    for each in quantities(alert):
        if parts and (parts[-1][0], parts[-1][2]) == (each.title, each.limit) and each.window:
            parts[-1][1].append(each.window.removeprefix("over "))
        else:
            parts.append((each.title, [each.window] if each.window else [], each.limit))
    return ", and ".join(" ".join(filter(None, (title, _and(windows), limit))) for title, windows, limit in parts)


def without_labels(expr: str) -> str:
    """PromQL without its matchers."""
    return _LABELS.sub("", expr)


def _and(windows: Sequence[str]) -> str:
    return " and ".join(windows)


def _quantity(title: str, condition: Condition, plain: bool) -> Quantity:
    if not plain:
        return Quantity(condition, without_labels(condition.measured), "", Unit.COUNT)
    found = _WINDOW.findall(condition.measured)
    # The newest value in a window, or a time since a moment, is of no span; a subquery over them is.
    newest = "last_over_time" in condition.measured or "time() -" in condition.measured
    spans = [span for _, span in found if span] or [span for span, _ in found if not newest]
    return Quantity(condition, title, f"over {spans[0]}" if spans else "", _units()[title])


@cache
def _units() -> dict[str, Unit]:
    return {panel.title: panel.unit for board in dashboards() for panel in board.panels}
