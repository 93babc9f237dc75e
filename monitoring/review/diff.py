"""What a change does to the alerts: thresholds before and after, and how often each would have fired in a replay."""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from monitoring.alerts import Alert, Severity
from monitoring.promql.conditions import conditions
from monitoring.review.explain import number
from monitoring.simulation.firing import Replay

ROOT = Path(__file__).parents[2]
_LONGEST = 120  # seconds
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_OLD, _NEW = "Before", "After"


class RefError(Exception):
    """There is no such commit, or its alerts cannot be rendered."""


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One alert before and after; None where it is not there. `fired` is how often, before and after, in a replay."""

    name: str
    old: Alert | None
    new: Alert | None
    fired: tuple[int | None, int | None] = (None, None)


def at(ref: str, root: Path = ROOT) -> tuple[Alert, ...]:
    """The alerts of another commit, as its own renderer writes them. Raises RefError."""
    commit = _git(root, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}").decode().strip()
    with tempfile.TemporaryDirectory(prefix="alerts-") as name:
        with tarfile.open(fileobj=io.BytesIO(_git(root, "archive", "--format=tar", commit, "monitoring"))) as archive:
            archive.extractall(name, filter="data")
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


def counted(changed: Iterable[AlertChange], replay: Replay) -> list[AlertChange]:
    """The changes with how often each alert fires in the replay, before and after."""
    changed = list(changed)
    sides = {
        side: [replace(alert, name=f"{alert.name}{side}") for alert in alerts if alert]
        for side, alerts in ((_OLD, [c.old for c in changed]), (_NEW, [c.new for c in changed]))
    }
    found = replay.firing([*sides[_OLD], *sides[_NEW]])
    fired = {name: len(spans) for name, spans in found.items()}
    return [replace(c, fired=(fired.get(c.name + _OLD), fired.get(c.name + _NEW))) for c in changed]


def rows(changed: Iterable[AlertChange]) -> list[tuple[str, str, str, str, str]]:
    """Name, what it asks before and after, and how often it fired before and after."""
    return [_row(change) for change in changed]


def _row(change: AlertChange) -> tuple[str, str, str, str, str]:
    old, new = asks(change.old), asks(change.new)
    if old == new:
        new = f"{new}, of something else"
    before, after = change.fired
    return change.name, old, new, _times(before), _times(after)


def asks(alert: Alert | None) -> str:
    """Thresholds, hold and severity; the whole expression says what else is asked."""
    if alert is None:
        return "none"
    compared = " and ".join(
        f"{c.op} {c.limit if c.threshold is None else number(c.threshold)}" for c in conditions(alert)
    )
    held = f" for {alert.hold.total_seconds() / 60:g} min" if alert.hold else ""
    return f"{compared}{held}, {alert.severity.value}"


def markdown(changed: Iterable[AlertChange], replayed: str) -> str:
    """A section of the review sheet."""
    table = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows(changed)] or [
        "No alert fires otherwise than before."
    ]
    head = ["| alert | before | after | fired before | fired after |", "| --- | --- | --- | ---: | ---: |"]
    return "\n".join(["## Alerts in the replay", "", replayed, "", *(head if table[0].startswith("|") else []), *table])


def _times(count: int | None) -> str:
    return "" if count is None else str(count)


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


def _git(root: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, timeout=_LONGEST)
    if done.returncode:
        raise RefError(f"git {arguments[0]}: {done.stderr.decode().strip()}")
    return done.stdout
