"""Dashboards as pictures: every query answered by a real Prometheus, drawn as the console would lay them out."""

import io
import math
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator
from numpy.typing import NDArray
from PIL import Image

from monitoring.dashboards.panel import Dashboard, Line, Panel, Unit
from monitoring.simulation.tsdb import Tsdb

ACROSS = 3
COLOURS = ("#2f7cc4", "#4f9d69", "#8e6bb8", "#c98a2b", "#3aa6a6", "#b85c8a", "#7a8a3c", "#5a6577")
RED, INK, GREY = "#d0453d", "#333740", "#8a8f98"
MOST_IN_LEGEND, MANY = 12, 5
TINY = 1e-9  # what is left of nothing by rounding
STEPS = (5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000)  # seconds
TINTS = 96  # colours of a picture, which keep its file small

Drawn = list[tuple[Line, str, NDArray[np.float64]]]


def draw(dashboard: Dashboard, database: Tsdb, times: NDArray[np.int64], note: str, file: Path) -> None:
    """Write the picture (PNG) of a dashboard over these times (seconds, evenly spaced)."""
    rows = -(-len(dashboard.panels) // ACROSS)
    figure = Figure(figsize=(15, 0.75 + 2.35 * rows), dpi=84, layout="constrained", facecolor="white")
    figure.suptitle(f"{dashboard.title}    {dashboard.about}    ({note})", fontsize=11, color=INK)
    grid = figure.subplots(rows, ACROSS, squeeze=False).ravel()
    when = [datetime.fromtimestamp(int(time), UTC) for time in times]
    for axes, panel in zip(grid, dashboard.panels, strict=False):
        _panel(axes, panel, when, answers(panel, database, times))
    for axes in grid[len(dashboard.panels) :]:
        axes.set_axis_off()
    drawn = io.BytesIO()
    figure.savefig(drawn)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.open(drawn).convert("RGB").quantize(TINTS).save(file, optimize=True)


def answers(panel: Panel, database: Tsdb, times: NDArray[np.int64]) -> Drawn:
    """Each series of the panel with its legend."""
    return [
        (line, legend(line, labels), values)
        for line in panel.lines
        for labels, values in database.values(line.expr, times)
    ]


def legend(line: Line, labels: dict[str, str]) -> str:
    """The line's legend with the series' own labels in it."""
    return re.sub(r"\$\{(\w+)\}", lambda found: labels.get(found[1], ""), line.legend)


def _panel(axes: Axes, panel: Panel, when: list[datetime], drawn: Drawn) -> None:
    axes.set_title(panel.title, fontsize=9.5, loc="left", color=INK, fontweight="bold")
    stack = [each for each in drawn if panel.stacked and not each[0].limit]
    lines = [each for each in drawn if not panel.stacked or each[0].limit]
    if stack:
        colours = [COLOURS[n % len(COLOURS)] for n in range(len(stack))]
        tops = [np.nan_to_num(values) for _, _, values in stack]
        axes.stackplot(when, *tops, colors=colours, alpha=0.75, labels=[name for _, name, _ in stack], linewidth=0)  # type: ignore[arg-type]
    for number, (line, name, values) in enumerate(lines):
        style = "--" if line.limit else "-"
        colour = INK if line.limit and len(panel.lines) < MANY else COLOURS[number % len(COLOURS)]
        axes.plot(when, values, color=colour, linestyle=style, linewidth=1.2, label=name)  # type: ignore[arg-type]
    for number, threshold in enumerate(panel.thresholds):
        axes.axhline(threshold.value, color=RED, linestyle="--", linewidth=0.9)
        first, *others = threshold.label.split(", ")
        name = f"{first} +{len(others)}" if others else first
        place = 0.995 - 0.33 * (number % 3)  # beside each other where they lie close
        across = axes.get_yaxis_transform()
        axes.text(place, threshold.value, name, fontsize=6, color=RED, ha="right", va="bottom", transform=across)
    if not drawn:
        axes.text(0.5, 0.5, "nothing in this time", ha="center", color=GREY, fontsize=8, transform=axes.transAxes)
    elif len(drawn) > 1 or drawn[0][1]:
        handles, names = axes.get_legend_handles_labels()
        most = slice(0, MOST_IN_LEGEND)
        columns = 3 if len(handles) > MANY else 2
        axes.legend(
            handles[most], names[most], fontsize=6.2, loc="upper left", framealpha=0.75, edgecolor="none", ncols=columns
        )
    _axes(axes, panel, when, room=0.55 if len(drawn) > MANY else 0.35)


def _axes(axes: Axes, panel: Panel, when: list[datetime], room: float) -> None:
    axes.set_xlim(when[0], when[-1])  # type: ignore[arg-type]
    axes.xaxis.axis_date(UTC)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda day, _: f"{datetime.fromtimestamp(day * 86_400, UTC):%a %d}"))
    axes.xaxis.set_major_locator(MultipleLocator(1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, panel.unit)))
    _height(axes, panel.unit, room)
    axes.tick_params(labelsize=7, colors=INK)
    axes.grid(alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _height(axes: Axes, unit: Unit, room: float) -> None:
    """From nothing, but for figures that never come near it; `room` for the legend is a share of the height."""
    low, high = axes.dataLim.y0, axes.dataLim.y1
    levels = [float(line.get_ydata()[0]) for line in axes.lines if len(line.get_xdata()) == 2]  # type: ignore[index, arg-type]
    low, high = min([low, *levels]), max([high, *levels])
    if not np.isfinite([low, high]).all():
        return
    zoomed = unit is Unit.COUNT and 0.6 < low <= high < 1
    if zoomed or low < 0:
        bottom = low - 0.1 * (high - low)
    else:
        bottom, high = 0.0, high if high > TINY else 0.01 if unit is Unit.RATIO else 1.0
    axes.set_ylim(bottom - 0.02 * (high - bottom), high + room * (high - bottom))
    if unit is Unit.SECONDS and high > 10:
        most = math.ceil(high / 6 / STEPS[-1]) * STEPS[-1]
        axes.yaxis.set_major_locator(MultipleLocator(next((s for s in STEPS if high / s <= 6), most)))


def written(value: float, unit: Unit) -> str:
    """A value as an axis shows it."""
    match unit:
        case Unit.RATIO:
            return f"{100 * value:.3g} %"
        case Unit.SECONDS:
            for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
                if abs(value) >= 2 * size:
                    return f"{value / size:.3g} {name}"
            return f"{value:.3g} s" if abs(value) >= 1 or not value else f"{1000 * value:.3g} ms"
        case Unit.BYTES:
            return f"{value / 1e6:.3g} MB"
        case Unit.MILLISECONDS:
            return f"{value:,.0f} ms"
        case Unit.PER_SECOND:
            return f"{value:.3g}/s"
        case Unit.DAYS:
            return f"{value:.3g} d"
        case Unit.COUNT:
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
