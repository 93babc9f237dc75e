"""What the alerts made of a seed's days: incidents found in time, and pages that nothing was the cause of."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import promql_parser as promql

from monitoring import limits
from monitoring.alerts import Alert, Severity
from monitoring.simulation.firing import Span, evaluated
from monitoring.simulation.incidents import MINUTE, STALE, Incident, delay

Spans = Mapping[str, list[Span]]  # by alert
BySeries = Mapping[str, Mapping[str, list[Span]]]  # by alert and series of its result: an incident each


@dataclass(frozen=True, slots=True)
class Found:
    """What an alert promises of an incident: minutes from its begin; `told` is None where the alert came too late."""

    incident: Incident
    alert: str
    promised: int
    told: int | None


@dataclass(frozen=True, slots=True)
class Uncaused:
    """An incident that an alert opened at a minute without a cause."""

    alert: Alert
    at: int


def found(incidents: Iterable[Incident], alerts: Iterable[Alert], fired: Spans) -> Iterator[Found]:
    """Every promise of every incident that one of the alerts makes."""
    known = {alert.name: alert for alert in alerts}
    for incident in incidents:
        for name, promised in incident.must.items():
            if name in known:
                by = promised + evaluated(known[name]) - 1
                yield Found(incident, name, by, _told(incident, by, fired[name]))


def beyond(incidents: Iterable[Incident], alerts: Iterable[Alert], fired: Spans) -> Iterator[Found]:
    """What the traffic is too little to promise, found while it lasts or not."""
    known = {alert.name for alert in alerts}
    for incident in incidents:
        lasts = incident.last - incident.first
        for name in sorted(incident.beyond & known):
            yield Found(incident, name, lasts, _told(incident, lasts, fired[name]))


def _told(incident: Incident, by: int, spans: Iterable[Span]) -> int | None:
    told = (max(on - incident.first, 0) for on, off in spans if off > incident.first and on <= incident.first + by)
    return next(told, None)


def memory(alert: Alert) -> int:
    """Minutes after the end of what is wrong in which its alert may still begin to fire.

    These are its shortest range, in which it still sees what was wrong, and how late samples come. A longer range does
    not count: an alert that begins hours after the end asks somebody to mend what is well again.
    """
    fires, *_ = alert.expr.split("\nunless\n")  # what inhibits it has ranges of its own
    return -(-(limits.shortest(fires) + delay(alert) + STALE) // MINUTE) + evaluated(alert) - 1


def false_alerts(incidents: Iterable[Incident], alerts: Iterable[Alert], fired: BySeries) -> Iterator[Uncaused]:
    """Every incident that an alert opens outside of the incidents that may set it off, and of its memory of them."""
    incidents = tuple(incidents)
    for alert in alerts:
        # Whatever goes wrong spends an error budget, which remembers it for four weeks.
        causes = [
            each for each in incidents if alert.name in each.must or alert.name in each.may or "Budget" in alert.name
        ]
        for on in sorted(on for spans in fired[alert.name].values() for on, _ in spans):
            if not any(cause.first <= on <= cause.last + memory(alert) for cause in causes):
                yield Uncaused(alert, on)


def pages(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """Those that wake somebody."""
    return tuple(alert for alert in alerts if alert.severity is Severity.PAGE)


def scaled(expr: str, factor: float) -> str:
    """The expression with every limit so many times further off: above 1 it fires later, below 1 sooner.

    A limit is every number to the right of a comparison: what is `> x` becomes `> factor * x`, `< x` becomes
    `< x / factor`.
    """
    return str(promql.transform(promql.parse(expr), None, lambda node: _moved(node, factor)).prettify())


def _moved(node: promql.Expr, factor: float) -> promql.Expr | None:
    if not isinstance(node, promql.BinaryExpr) or str(node.op) not in (">", ">=", "<", "<="):
        return None
    by = factor if str(node.op).startswith(">") else 1 / factor
    how = " bool" if node.modifier and node.modifier.return_bool else ""
    limit = promql.transform(
        node.rhs,
        None,
        lambda each: promql.parse(f"{each.val * by:g}") if isinstance(each, promql.NumberLiteral) else None,
    )
    return promql.parse(f"({node.lhs.prettify()}) {node.op}{how} ({limit.prettify()})")
