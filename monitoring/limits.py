"""What Cloud Monitoring takes in a PromQL condition. Checked when policies are made, before the API would refuse them.

- L1 look-back: https://docs.cloud.google.com/monitoring/alerts/using-promql
- L2 fields of a policy: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies
- L3 sampling and delay: the pages in `monitoring.google`
"""

import re
from collections.abc import Iterable
from datetime import timedelta

from monitoring.alerts import Alert, Severity

SURE_LOOKBACK = timedelta(hours=25)  # L1; beyond it a policy is evaluated every 5 minutes at best, a preview
STEP = timedelta(seconds=30)  # L2: an evaluation interval is a multiple of it
SHORTEST_RANGE = timedelta(minutes=5)  # L3: Google's samples come once a minute, up to 4 minutes late
EVERY_MINUTE, EVERY_FIVE = timedelta(minutes=1), timedelta(minutes=5)

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_RANGE = re.compile(r"\[(\d+)([wdhms])(:)?[^\]]*\]|\boffset (\d+)([wdhms])")
_GOOGLE = re.compile(r"\w+_(?:googleapis_com|io):\w+")


class LimitExceeded(ValueError):
    """A policy that Cloud Monitoring would refuse, or not evaluate as it must; names alert and limit."""


def lookback(expr: str) -> timedelta:
    """How far back an expression reads at most: its longest range, and a subquery's on top of those within it."""
    spans = {"plain": timedelta(0), "subquery": timedelta(0)}
    for count, unit, colon, offset, offset_unit in _RANGE.findall(expr):
        kind = "subquery" if colon else "plain"
        spans[kind] = max(spans[kind], int(count or offset) * _UNITS[unit or offset_unit])
    return spans["plain"] + spans["subquery"]


def shortest(expr: str) -> timedelta:
    """The shortest range that an expression reads; zero for what reads the present alone."""
    return min((int(count) * _UNITS[unit] for count, unit, *_ in _RANGE.findall(expr) if count), default=timedelta(0))


def evaluation_interval(alert: Alert) -> timedelta:
    """How often Cloud Monitoring evaluates the alert: Google's own metrics come once a minute."""
    return EVERY_MINUTE if lookback(alert.expr) <= SURE_LOOKBACK else EVERY_FIVE


def check(alerts: Iterable[Alert]) -> None:
    """Raise LimitExceeded for the first alert that exceeds a limit."""
    for alert in alerts:
        for exceeded, limit in _limits(alert):
            if exceeded:
                raise LimitExceeded(f"{alert.name}: {limit}")


def _limits(alert: Alert) -> Iterable[tuple[bool, str]]:
    back, interval = lookback(alert.expr), evaluation_interval(alert)
    yield not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", alert.name), "a rule's name must be a Prometheus label name (L2)"
    yield (
        alert.severity is Severity.PAGE and back > SURE_LOOKBACK,
        f"a page may not look back {back}: beyond {SURE_LOOKBACK} is a preview (L1)",
    )
    yield interval % STEP != timedelta(0), f"evaluated every {interval}, which is no multiple of {STEP} (L2)"
    yield (
        alert.hold < timedelta(0) or alert.hold % timedelta(seconds=1) != timedelta(0),
        f"holds {alert.hold}, which is not whole seconds (L2)",
    )
    yield not alert.expr.strip(), "has no expression (L2)"
    yield len(alert.summary) > 8_192, "its documentation is longer than 8,192 characters (L2)"
    yield len(alert.name) > 200, "its name leaves no room in a subject of 255 bytes (L2)"
    yield not re.fullmatch(r"[a-z0-9_-]{1,63}", alert.severity.value), "its severity is no label value (L2)"
    yield (
        bool(_GOOGLE.search(alert.expr)) and timedelta(0) < shortest(alert.expr) < SHORTEST_RANGE,
        f"a range of {shortest(alert.expr)} may hold no sample of Google's at all: {SHORTEST_RANGE} at least (L3)",
    )
    yield "__name__" in alert.expr, "metric names can only be matched exactly (promql-differences)"
