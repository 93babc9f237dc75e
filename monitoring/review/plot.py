"""An alert's cases as pictures: what is measured, its threshold, and when it is pending and fires, by a real engine."""

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monitoring.alerts import Alert
from monitoring.promql.conditions import Condition, conditions
from monitoring.promql.text import duration
from monitoring.proof import engine
from monitoring.proof.cases import MINUTE, Case
from monitoring.proof.decoys import AMONG

BLUES = ("#2f7cc4", "#4f9d69", "#8e6bb8", "#c98a2b")
RED, AMBER, GREY, INK = "#d0453d", "#f0b429", "#8a8f98", "#333740"
POINTS = 240  # that a case is drawn with at most


def told(alert: Alert, cases: Sequence[Case]) -> list[Case]:
    """The cases about an alert, those that fire it first; none of them again among the series of others."""
    about = [c for c in cases if alert.name in {*c.fires, *c.stays_silent} and not c.story.endswith(AMONG)]
    return sorted(about, key=lambda case: alert.name not in case.fires)


def draw(alert: Alert, cases: Sequence[Case], file: Path) -> None:
    """Write the picture (PNG): a row for each case, a column for each condition. FileNotFoundError: no promtool."""
    compared = conditions(alert)
    figure = Figure(figsize=(0.8 + 4.6 * len(compared), 0.7 + 2.1 * len(cases)), dpi=90, layout="constrained")
    held = f"after {duration(alert.hold)}" if alert.hold else "at once"
    figure.suptitle(f"{alert.name}: {alert.severity.value} {held}", color=INK, fontsize=11)
    grid = figure.subplots(len(cases), len(compared), squeeze=False)
    for row, case in zip(grid, cases, strict=True):
        _case(list(row), alert, compared, case)
    for axes in grid[-1]:
        axes.set_xlabel("minutes from the fault", fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def firing(alert: Alert, case: Case, state: str = "firing") -> list[tuple[float, float]]:
    """The intervals, in minutes from the fault, in which the alert is `firing` or `pending`."""
    asked = f'count(ALERTS{{alertname="{alert.name}",alertstate="{state}"}})'
    values = engine.values(_series(case), [asked], _times(case, every=1), step=case.step, alerts=[alert])
    points = [time / MINUTE - case.history for series in values[asked].values() for time, _ in series]
    return list(_runs(points, case.step / MINUTE))


def _case(row: list[Axes], alert: Alert, compared: Sequence[Condition], case: Case) -> None:
    total = (case.history + case.lasts) * MINUTE // case.step
    every = max(1, -(-total // POINTS))
    times = _times(case, every)
    exprs = [text for c in compared for text in (c.measured, c.limit)]
    values = engine.values(_series(case), exprs, times, step=case.step)
    marks = [(RED, "fires", firing(alert, case)), (AMBER, "pending", firing(alert, case, "pending"))]
    for axes, condition in zip(row, compared, strict=True):
        for number, (labels, points) in enumerate(values[condition.measured].items()):
            name = ", ".join(value for _, value in labels) or "measured"
            axes.plot(
                *_shown(points, case, every * case.step), color=BLUES[number % len(BLUES)], linewidth=1.4, label=name
            )
        for points in values[condition.limit].values():
            axes.plot(
                *_shown(points, case, every * case.step),
                color=RED,
                linewidth=1,
                linestyle="--",
                label=f"{condition.op} limit",
            )
        for colour, what, intervals in marks:
            for number, (start, end) in enumerate(intervals):
                axes.axvspan(start, end, color=colour, alpha=0.18, linewidth=0, label="_" if number else what)
        axes.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
        axes.set_xlim(-min(case.history, max(30, case.lasts // 4)), case.lasts)
        _plain(axes)
    row[0].set_title(case.story, fontsize=9, loc="left", color=INK)
    row[0].legend(fontsize=7, frameon=False, loc="upper left")
    for axes, condition in zip(row[1:], compared[1:], strict=True):
        axes.set_title(f"and {condition.op} {condition.limit}"[:60], fontsize=8, loc="left", color=GREY)


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _shown(points: engine.Points, case: Case, stride: timedelta) -> tuple[list[float], list[float]]:
    """Minutes from the fault, and values; a gap where there was none."""
    across, up = [], []
    last = None
    for time, value in points:
        if last is not None and time > last + stride:
            across.append(math.nan)
            up.append(math.nan)
        across.append(time / MINUTE - case.history)
        up.append(value)
        last = time
    return across, up


def _series(case: Case) -> dict[str, str]:
    return {s.selector: s.samples(MINUTE * case.history, MINUTE * case.lasts, case.step) for s in case.series}


def _times(case: Case, every: int) -> list[timedelta]:
    total = (case.history + case.lasts) * MINUTE // case.step
    first = case.settling * MINUTE // case.step
    return [case.step * n for n in range(first, total + 1, every)]


def _runs(points: Sequence[float], step: float) -> Iterator[tuple[float, float]]:
    """Neighbouring points as intervals, each to one step after its last."""
    start = last = None
    for point in sorted(points):
        if start is None or last is None or point > last + 1.5 * step:
            if start is not None and last is not None:
                yield start, last + step
            start = point
        last = point
    if start is not None and last is not None:
        yield start, last + step
