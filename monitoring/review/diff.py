"""What a change does to the alerts: thresholds, false alarms, time to detect, and which cases now fail."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from monitoring.alerts import Alert, Severity
from monitoring.promql.conditions import conditions
from monitoring.proof.cases import Case
from monitoring.proof.promtool import failures
from monitoring.review.commit import RefError, unpack
from monitoring.review.explain import number
from monitoring.simulation import verdict
from monitoring.simulation.firing import Replay, merged, replay

ROOT = Path(__file__).parents[2]
_LONGEST = 120  # seconds
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What an alert does in replays: incidents that it opens, those without a cause, and what it finds."""

    fired: int = 0
    false: int = 0
    found: tuple[int, ...] = ()  # minutes from the begin of each incident that it finds in time
    missed: int = 0  # incidents that it does not find in time

    def __add__(self, other: "Behaviour") -> "Behaviour":
        return Behaviour(
            self.fired + other.fired, self.false + other.false, self.found + other.found, self.missed + other.missed
        )


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One alert before and after; None where it is not there, or was not replayed."""

    name: str
    old: Alert | None
    new: Alert | None
    before: Behaviour | None = None
    after: Behaviour | None = None
    failing: tuple[str, ...] = ()  # stories of the cases that are not so any more


def at(ref: str, root: Path = ROOT) -> tuple[Alert, ...]:
    """The alerts of another commit, as its own renderer writes them. Raises RefError."""
    with tempfile.TemporaryDirectory(prefix="alerts-") as name:
        unpack(ref, Path(name), root, "monitoring")
        rendered = subprocess.run(
            [sys.executable, "-m", "monitoring.prometheus"],
            cwd=name,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": name},
            capture_output=True,
            text=True,
            timeout=_LONGEST,
        )
    if rendered.returncode:
        raise RefError(f"the alerts of {ref} cannot be rendered:\n{rendered.stderr.strip()}")
    groups = yaml.safe_load(rendered.stdout)["groups"]
    return tuple(_alert(rule) for group in groups for rule in group["rules"])


def changes(old: Iterable[Alert], new: Iterable[Alert]) -> list[AlertChange]:
    """The alerts that fire otherwise than before: by expression, hold or severity."""
    before, after = ({alert.name: alert for alert in alerts} for alerts in (old, new))
    return [
        AlertChange(name, before.get(name), after.get(name))
        for name in dict.fromkeys([*after, *before])
        if _decides(before.get(name)) != _decides(after.get(name))
    ]


def replayed(changed: Iterable[AlertChange], seeds: Iterable[int], days: int) -> list[AlertChange]:
    """The changes with what each alert does before and after, in the days of all seeds."""
    changed = list(changed)
    for seed in seeds:
        with replay(seed, days) as told:
            before = behaviours([c.old for c in changed if c.old], told)
            after = behaviours([c.new for c in changed if c.new], told)
        changed = [
            replace(c, before=_sum(c.before, before.get(c.name)), after=_sum(c.after, after.get(c.name)))
            for c in changed
        ]
    return changed


def behaviours(alerts: Sequence[Alert], told: Replay) -> dict[str, Behaviour]:
    """What each alert does in a seed's days. Promises are those that incidents make today."""
    opened = told.incidents_of(alerts)
    fired = {name: merged(series) for name, series in opened.items()}
    found: dict[str, list[int | None]] = {}
    for each in verdict.found(told.incidents, alerts, fired):
        found.setdefault(each.alert, []).append(each.told)
    false = Counter(each.alert.name for each in verdict.false_alerts(told.incidents, alerts, opened))
    return {
        alert.name: Behaviour(
            sum(map(len, opened[alert.name].values())),
            false[alert.name],
            tuple(minutes for minutes in found.get(alert.name, ()) if minutes is not None),
            found.get(alert.name, []).count(None),
        )
        for alert in alerts
    }


def proven(changed: Iterable[AlertChange], cases: Sequence[Case]) -> list[AlertChange]:
    """The changes with the cases that the alerts of here do not keep. FileNotFoundError: no promtool."""
    return [replace(c, failing=tuple(_failing(c.new, cases)) if c.new else ()) for c in changed]


def _failing(alert: Alert, cases: Sequence[Case]) -> Iterator[str]:
    for case in cases:
        if alert.name in {*case.fires, *case.stays_silent} and failures([case], [alert]):
            yield case.story


def _sum(one: Behaviour | None, other: Behaviour | None) -> Behaviour | None:
    return other if one is None else one if other is None else one + other


HEAD = ("alert", "before", "after", "fires", "false alarms", "incidents found", "min to detect", "cases that fail now")


def rows(changed: Iterable[AlertChange]) -> list[tuple[str, ...]]:
    """A cell for each of HEAD."""
    return [_row(change) for change in changed]


def _row(change: AlertChange) -> tuple[str, ...]:
    old, new = asks(change.old), asks(change.new)
    if old == new:
        new = f"{new}, of something else"
    sides = (change.before, change.after)
    return (
        change.name,
        old,
        new,
        _both(*(str(side.fired) if side else "" for side in sides)),
        _both(*(str(side.false) if side else "" for side in sides)),
        _both(*(_found(side) for side in sides)),
        _both(*(_detects(side) for side in sides)),
        str(len(change.failing)),
    )


def _found(side: Behaviour | None) -> str:
    total = len(side.found) + side.missed if side else 0
    return f"{len(side.found)} of {total}" if side and total else ""


def _detects(side: Behaviour | None) -> str:
    return f"{statistics.median(side.found):g}, at most {max(side.found)}" if side and side.found else ""


def _both(before: str, after: str) -> str:
    return f"{before or '-'} -> {after or '-'}" if before or after else ""


def asks(alert: Alert | None) -> str:
    """Thresholds, hold and severity; the whole expression says what else is asked."""
    if alert is None:
        return "none"
    compared = " and ".join(
        f"{c.op} {c.limit if c.threshold is None else number(c.threshold)}" for c in conditions(alert)
    )
    held = f" for {alert.hold.total_seconds() / 60:g} min" if alert.hold else ""
    return f"{compared}{held}, {alert.severity.value}"


def markdown(changed: Sequence[AlertChange], about: str) -> str:
    """A section of the review sheet."""
    if not changed:
        return "\n".join(["## Alerts in the replay", "", about, "", "No alert fires otherwise than before."])
    table = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in (HEAD, *rows(changed))]
    table.insert(1, "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |")
    broken = [f"- {line}" for line in failing(changed)]
    return "\n".join(["## Alerts in the replay", "", about, "", *table, *(["", *broken] if broken else [])])


def failing(changed: Iterable[AlertChange]) -> list[str]:
    """A line for each case that fails now."""
    return [f"{change.name} does not keep the case: {story}" for change in changed for story in change.failing]


def _decides(alert: Alert | None) -> tuple[str, timedelta, Severity] | None:
    return (alert.expr, alert.hold, alert.severity) if alert else None


def _alert(rule: Mapping[str, Any]) -> Alert:
    held = str(rule["for"])
    return Alert(
        name=rule["alert"],
        expr=rule["expr"],
        hold=timedelta(seconds=int(held[:-1]) * _UNITS[held[-1]]),
        severity=Severity(rule["labels"]["severity"]),
        summary=rule["annotations"]["summary"],
        runbook=rule["annotations"]["runbook"],
        panel="",
    )
