"""What a dashboard is made of. Renderers turn it into Cloud Monitoring's JSON and into pictures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import promql_parser as promql

from monitoring.alerts import Alert
from monitoring.promql.conditions import Condition, conditions, normal


class Unit(StrEnum):
    """Units as Cloud Monitoring writes them.

    https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.metricDescriptors
    """

    COUNT = "1"
    RATIO = "10^2.%"  # 0 to 1, shown as 0 % to 100 %
    SECONDS = "s"
    MILLISECONDS = "ms"
    DAYS = "d"
    BYTES = "By"
    PER_SECOND = "1/s"


@dataclass(frozen=True, slots=True)
class Line:
    """One query: a line, or one for each value of its labels; `${label}` in the legend is that value."""

    legend: str
    expr: str
    limit: bool = False  # what another line is compared with


@dataclass(frozen=True, slots=True)
class Threshold:
    """A level at which an alert's condition turns; `label` says which alert's."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart. Alerts add the lines and thresholds of their conditions; a legend that stands here already stays."""

    title: str
    unit: Unit = Unit.COUNT
    lines: tuple[Line, ...] = ()
    stacked: bool = False
    thresholds: tuple[Threshold, ...] = ()


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Charts that are looked at together, in rows of three."""

    id: str
    title: str
    about: str  # a sentence for whoever opens it
    panels: tuple[Panel, ...]


def watched(panel: Panel, parts: Iterable[tuple[Alert, Condition]]) -> Panel:
    """The panel with these conditions on it: what is measured as a line, a limit as a line or a threshold."""
    lines = {normal(line.expr): line for line in panel.lines}
    levels: dict[float, list[str]] = {threshold.value: [threshold.label] for threshold in panel.thresholds}
    for alert, condition in parts:
        name = _legend(alert, condition)
        lines.setdefault(normal(condition.measured), Line(name, condition.measured))
        if condition.threshold is None:
            lines.setdefault(normal(condition.limit), Line(f"limit of {alert.name}", condition.limit, limit=True))
        else:
            names = levels.setdefault(condition.threshold, [])
            if alert.name not in names:
                names.append(alert.name)
    return replace(
        panel,
        lines=tuple(lines.values()),
        thresholds=tuple(Threshold(", ".join(names), value) for value, names in sorted(levels.items())),
    )


def placed(
    dashboards: Iterable[Dashboard], alerts: Iterable[Alert], elsewhere: Mapping[tuple[str, int], str]
) -> tuple[Dashboard, ...]:
    """The dashboards with every condition of every alert on its panel.

    That is the alert's own, or the one that `elsewhere` names for the condition by its place in the expression.
    Raises ValueError for a panel that is not there, or there twice.
    """
    dashboards = tuple(dashboards)
    parts: dict[str, list[tuple[Alert, Condition]]] = {}
    for alert in alerts:
        for place, condition in enumerate(conditions(alert)):
            parts.setdefault(elsewhere.get((alert.name, place), alert.panel), []).append((alert, condition))
    titles = [panel.title for dashboard in dashboards for panel in dashboard.panels]
    if twice := sorted({title for title in titles if titles.count(title) > 1}):
        raise ValueError(f"two panels are called {', '.join(twice)}")
    if missing := sorted(parts.keys() - set(titles)):
        names = ", ".join(alert.name for title in missing for alert, _ in parts[title])
        raise ValueError(f"no dashboard has a panel {', '.join(map(repr, missing))}, which shows {names}")
    return tuple(
        replace(dashboard, panels=tuple(watched(panel, parts.get(panel.title, ())) for panel in dashboard.panels))
        for dashboard in dashboards
    )


def _legend(alert: Alert, condition: Condition) -> str:
    """The label that tells its lines apart, else the alert, and the span where it reads several."""
    tree = promql.parse(condition.measured)
    if isinstance(tree, promql.AggregateExpr) and tree.modifier and tree.modifier.labels:
        return " ".join(f"${{{label}}}" for label in tree.modifier.labels)
    spans = {_span(part.measured) for part in conditions(alert)}
    what, span = alert.name.split("Burn")[0], _span(condition.measured)
    return f"{what} over {span}" if span and len(spans) > 1 else what


def _span(measured: str) -> str:
    """The range of a subquery if there is one, else the first."""
    ranges = [rest.split("]")[0] for rest in measured.split("[")[1:]]
    return next((range_.split(":")[0] for range_ in sorted(ranges, key=lambda range_: ":" not in range_)), "")
