"""What a living Prometheus has of what the alerts read, how often they would have fired, and what is left of SLOs."""

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np
import promql_parser as promql

from monitoring import catalogue, google
from monitoring.alerts import Alert
from monitoring.catalogue import promises
from monitoring.platform import Platform
from monitoring.promql.conditions import flat
from monitoring.promql.text import duration, metric_names
from monitoring.proof.decoys import readings
from monitoring.review.living import Living, RefusedError
from monitoring.simulation.firing import evaluated
from monitoring.simulation.reach import held
from monitoring.slos import Slo

AT_ONCE = 4  # queries
DAY = timedelta(days=1)
OUTCOMES = frozenset({"status", "response_code", "response_code_class", "blocked", "result", "reason", "state"})
"""Labels of which a value may not have come yet: no request failed, no job, no caller was blocked."""
EVENTS = frozenset({"leadscoring_job_last_failure_timestamp_seconds", "kube_pod_container_status_waiting_reason"})
"""Metrics without a series until it happens: a job fails, a container waits."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Missing:
    """A selector that reads nothing, why, and the alerts that it blinds."""

    selector: str
    why: str
    alerts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """How often an alert would have begun to fire, each of its series for itself; or why it cannot be evaluated."""

    alert: Alert
    times: int
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of an SLO's error budget, as a share; negative when it is overspent, None without an event.

    It is measured over the SLO's period, or since its first sample where that is younger.
    """

    slo: Slo
    left: float | None
    over: timedelta
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Unverified:
    """A metric of Google's whose labels were not read in its documentation; what is there of them."""

    metric: google.Metric
    there: bool
    lacks: tuple[str, ...]  # labels that no series has


@dataclass(frozen=True, slots=True)
class Inspection:
    """All that was asked."""

    days: int
    selectors: int
    missing: tuple[Missing, ...]
    counts: tuple[Count, ...]
    budgets: tuple[Budget, ...]
    unverified: tuple[Unverified, ...]

    @property
    def well(self) -> bool:
        """Whether every alert can be evaluated, and reads something."""
        refused = [*(each.refused for each in self.counts), *(each.refused for each in self.budgets)]
        return not (self.missing or any(refused))


def inspect(api: Living, platform: Platform, days: int, now: int) -> Inspection:
    """Ask. Raises CannotAskError."""
    alerts = catalogue.alerts(platform)
    # A job's figures come once a run: the longest gap is a weekly job's.
    window = duration(max((job.deadline for job in platform.jobs), default=DAY) // DAY * DAY + DAY)
    read: dict[str, tuple[promql.VectorSelector, list[str]]] = {}
    for alert in alerts:
        for selector in (reading.selector for reading in readings(alert.expr)):
            read.setdefault(_present(selector), (selector, []))[1].append(alert.name)
    missing = _each(read.values(), lambda of: _missing(api, *of, window, now))
    return Inspection(
        days,
        len(read),
        tuple(each for each in missing if each is not None),
        tuple(_each(alerts, lambda alert: _count(api, alert, days, now))),
        tuple(_each(promises.slos(platform), lambda slo: _budget(api, slo, now))),
        tuple(_each(google.UNVERIFIED, lambda metric: _there(api, metric, window, now))),
    )


def _each(things: Iterable[T], ask: Callable[[T], R]) -> list[R]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask, things))


def _missing(
    api: Living, selector: promql.VectorSelector, alerts: Sequence[str], window: str, now: int
) -> Missing | None:
    text, name = _present(selector), str(selector.name)
    if name in EVENTS or _has(api, text, window, now):
        return None
    if not _has(api, name, window, now):
        return Missing(text, f"there is no {name}", tuple(dict.fromkeys(alerts)))
    for matcher in selector.matchers.matchers:
        if str(matcher.op).removeprefix("MatchOp.").startswith("Not"):
            continue
        if not _has(api, f'{name}{{{matcher.name}!=""}}', window, now):
            return Missing(text, f"no series has the label {matcher.name}", tuple(dict.fromkeys(alerts)))
        only = promql.parse(f"{name}{{{_written(matcher)}}}")
        if matcher.name not in OUTCOMES and not _has(api, flat(only), window, now):
            return Missing(text, f"no series has {_written(matcher)}", tuple(dict.fromkeys(alerts)))
    if all(matcher.name not in OUTCOMES for matcher in selector.matchers.matchers):
        return Missing(text, "no series has all of these labels", tuple(dict.fromkeys(alerts)))
    return None


def _present(selector: promql.VectorSelector) -> str:
    """A selector of the present: as it is written, without an offset."""
    return re.sub(r" offset -?\w+", "", flat(selector))


def _written(matcher: promql.Matcher) -> str:
    regular = "Re" in str(matcher.op)
    return f'{matcher.name}{"=~" if regular else "="}"{matcher.value}"'


def _has(api: Living, selector: str, window: str, now: int) -> bool:
    return bool(api.now(f"count(count_over_time({selector}[{window}]))", now))


def _count(api: Living, alert: Alert, days: int, now: int) -> Count:
    every = evaluated(alert) * 60
    end = now // every * every
    times = np.arange(end - days * 86_400, end + 1, every, dtype=np.int64)
    steps = int(alert.hold.total_seconds()) // every
    try:
        found = [held(np.isfinite(values), steps) for _, values in api.values(alert.expr, times)]
    except RefusedError as error:
        return Count(alert, 0, str(error))
    return Count(alert, sum(int(np.count_nonzero(np.diff(np.r_[False, fires].astype(int)) == 1)) for fires in found))


def _budget(api: Living, slo: Slo, now: int) -> Budget:
    period = duration(slo.period)
    try:
        begins = [
            value
            for name in metric_names(slo.bad)
            for _, value in api.now(f"min(min_over_time(timestamp({name})[{period}:1h]))", now)
        ]
        known = timedelta(hours=int((now - min(begins, default=now)) // 3600))
        over = min(known, slo.period)
        if not over:
            return Budget(slo, None, over)
        bad, total = (expr.replace("{window}", duration(over)) for expr in (slo.bad, slo.total))
        shares = api.now(f"(({bad}) or vector(0)) / (({total}) > 0)", now)
    except RefusedError as error:
        return Budget(slo, None, slo.period, str(error))
    return Budget(slo, 1 - shares[0][1] / float(1 - slo.objective) if shares else None, over)


def _there(api: Living, metric: google.Metric, window: str, now: int) -> Unverified:
    name = metric.name + ("_bucket" if metric.kind is google.Kind.DISTRIBUTION else "")
    if not _has(api, name, window, now):
        return Unverified(metric, False, metric.labels)
    lacks = tuple(label for label in metric.labels if not _has(api, f'{name}{{{label}!=""}}', window, now))
    return Unverified(metric, True, lacks)
