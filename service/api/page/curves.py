"""The curves of the served model, drawn from the calibration bins of the bundle's reference: held-out leads by score.

As the bins are at most fifty, a curve is exact at their ends and straight between.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from service.model.bundle import Manifest
from service.model.reference import Reference, ScoreBin

Point = tuple[float, float]

WIDTH, HEIGHT = 440, 280
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 12, 44
"""Of a drawing, in its own units: its size, and the margins that the axes' numbers take."""
CALIBRATION_GROUPS = 10


class Axis(NamedTuple):
    """What is along it, its ends, and how its numbers are written."""

    label: str
    low: float
    high: float
    percent: bool = False


class Mark(NamedTuple):
    """A point of interest in units of the drawing, and what it is."""

    x: float
    y: float
    label: str


class Tick(NamedTuple):
    """A place along an axis in units of the drawing, and its number."""

    at: float
    text: str


class Chart(NamedTuple):
    """A drawing: paths and marks in its units; `says` tells in a sentence what it shows."""

    title: str
    says: str
    x: Axis
    y: Axis
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    line: str
    compared: str
    compared_label: str
    dots: list[Point]
    whiskers: list[tuple[float, float, float]]
    mark: Mark | None


def charts(manifest: Manifest, reference: Reference) -> list[Chart]:
    """ROC, calibration, lift and profit; none where all held-out leads ended alike, for then nothing is ranked."""
    bins = sorted(reference.calibration, key=lambda score_bin: -score_bin.score)
    converted = sum(score_bin.converted for score_bin in bins)
    if not 0 < converted < sum(score_bin.leads for score_bin in bins):
        return []
    contacted = min(reference.contacted / reference.leads, 1.0)
    return [
        _roc(bins, contacted, manifest.benchmark),
        _calibration(bins),
        _lift(bins, contacted, manifest.benchmark),
        _profit(bins, contacted, manifest),
    ]


def cumulated(bins: Sequence[ScoreBin]) -> list[tuple[float, float]]:
    """Share of the leads contacted and of the conversions reached, from the best bin on; starts with (0, 0)."""
    leads, converted = sum(score_bin.leads for score_bin in bins), sum(score_bin.converted for score_bin in bins)
    points, contacted, reached = [(0.0, 0.0)], 0, 0
    for score_bin in bins:
        contacted, reached = contacted + score_bin.leads, reached + score_bin.converted
        points.append((contacted / leads, reached / converted))
    return points


def at(points: Sequence[Point], x: float) -> float:
    """The height of a line through these points, whose x rise, at x."""
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0) if x1 > x0 else y1
    return points[-1][1]


def _roc(bins: Sequence[ScoreBin], contacted: float, benchmark: Mapping[str, float]) -> Chart:
    gains = cumulated(bins)
    rate = sum(score_bin.converted for score_bin in bins) / sum(score_bin.leads for score_bin in bins)
    others = [(share - rate * reached) / (1 - rate) for share, reached in gains]
    points = [(other, reached) for other, (_, reached) in zip(others, gains, strict=True)]
    # A figure that the model's benchmark has is that one: bins are a little coarser than leads.
    area = benchmark.get("roc_auc") or sum(
        (x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in itertools.pairwise(points)
    )
    reached = benchmark.get("recall", at(gains, contacted))
    other = (contacted - rate * reached) / (1 - rate)
    return _chart(
        "ROC",
        f"Contacting those above the threshold reaches {reached:.0%} of the conversions and {other:.0%} of the others. "
        f"Area under the curve {area:.3f}; at random it is 0.5.",
        Axis("Others contacted", 0, 1, percent=True),
        Axis("Conversions reached", 0, 1, percent=True),
        points,
        [(0, 0), (1, 1)],
        "at random",
        mark=(other, reached, "at the threshold"),
    )


def _calibration(bins: Sequence[ScoreBin]) -> Chart:
    groups = list(_grouped(bins[::-1], CALIBRATION_GROUPS))
    points = [(each.score, each.converted / each.leads) for each in groups]
    errors = [1.96 * math.sqrt(rate * (1 - rate) / each.leads) for each, (_, rate) in zip(groups, points, strict=True)]
    ends = [(max(0.0, rate - error), rate + error) for (_, rate), error in zip(points, errors, strict=True)]
    top = min(1.0, 1.05 * max([x for x, _ in points] + [high for _, high in ends]))
    within = sum(low <= score <= high for (score, _), (low, high) in zip(points, ends, strict=True))
    return _chart(
        "Calibration",
        f"Of leads with a score of 20 %, 20 % should convert. In {within} of {len(groups)} groups of leads the share "
        "that converted agrees with the score within its 95 % interval.",
        Axis("Mean score", 0, top, percent=True),
        Axis("Share that converted", 0, top, percent=True),
        points,
        [(0, 0), (top, top)],
        "perfect",
        whiskers=[(x, low, min(high, top)) for (x, _), (low, high) in zip(points, ends, strict=True)],
    )


def _lift(bins: Sequence[ScoreBin], contacted: float, benchmark: Mapping[str, float]) -> Chart:
    points = [(share, reached / share) for share, reached in cumulated(bins)[1:]]
    tenth = benchmark.get("lift", at(cumulated(bins), 0.1) / 0.1)
    top = max(1.5, 1.1 * max(lift for _, lift in points))
    chosen = at(points, contacted)
    return _chart(
        "Lift",
        f"The best tenth of the leads converts {tenth:.2f} times as often as all; those above the threshold, "
        f"{contacted:.0%} of the leads, {chosen:.1f} times.",
        Axis("Leads contacted, best first", 0, 1, percent=True),
        Axis("Times as many as at random", 0, top),
        points,
        [(0, 1), (1, 1)],
        "at random",
        mark=(contacted, chosen, "at the threshold"),
    )


def _profit(bins: Sequence[ScoreBin], contacted: float, manifest: Manifest) -> Chart:
    money, gains = manifest.economics, cumulated(bins)
    rate = sum(each.converted for each in bins) / sum(each.leads for each in bins)
    points = [
        (1000 * s, 1000 * (money.conversion_value * rate * reached - money.contact_cost * s)) for s, reached in gains
    ]
    capacity = money.contacts_per_1000_leads
    made = manifest.benchmark.get("contacts", min(1000 * contacted, capacity))
    profit, everyone = manifest.benchmark.get("profit", at(points, made)), points[-1][1]
    low, high = min(0.0, profit, *(y for _, y in points)), max(0.0, profit, *(y for _, y in points))
    room = 0.06 * (high - low) or 1.0
    worth, cost = amount(money.conversion_value), amount(money.contact_cost)
    return _chart(
        "Profit",
        f"Of 1,000 leads {made:,.0f} are contacted, for a profit of {profit:,.0f}; contacting all of them: "
        f"{everyone:,.0f}. A conversion is worth {worth}, a contact costs {cost}"
        + (f", and the team can make {capacity:,g} contacts." if capacity < 1000 else "."),
        Axis("Contacts per 1,000 leads, best first", 0, 1000),
        Axis("Profit per 1,000 leads", low - room if low < 0 else 0, high + room),
        points,
        [(0, 0), (1000, everyone)],
        "at random",
        mark=(made, profit, "as decided"),
    )


def _grouped(bins: Sequence[ScoreBin], groups: int) -> Iterator[ScoreBin]:
    """Neighbouring bins put together, of about equally many leads."""
    count = min(groups, len(bins))
    for number in range(count):
        part = bins[number * len(bins) // count : (number + 1) * len(bins) // count]
        leads = sum(each.leads for each in part)
        score = sum(each.score * each.leads for each in part) / leads
        yield ScoreBin(score=min(1.0, score), leads=leads, converted=sum(each.converted for each in part))


def _chart(
    title: str,
    says: str,
    x: Axis,
    y: Axis,
    points: Sequence[Point],
    compared: Sequence[Point],
    compared_label: str,
    mark: tuple[float, float, str] | None = None,
    whiskers: Sequence[tuple[float, float, float]] = (),
) -> Chart:
    def across(value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (value - x.low) / (x.high - x.low), 1)

    def down(value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - y.low) / (y.high - y.low), 1)

    def path(through: Sequence[Point]) -> str:
        return "M" + " L".join(f"{across(a):g},{down(b):g}" for a, b in through)

    return Chart(
        title,
        says.replace("%", " %").replace("  %", " %"),
        x,
        y,
        [Tick(across(value), written(value, x.percent)) for value in ticks(x.low, x.high)],
        [Tick(down(value), written(value, y.percent)) for value in ticks(y.low, y.high)],
        path(points),
        path(compared),
        compared_label,
        [(across(a), down(b)) for a, b in points] if whiskers else [],
        [(across(a), down(low), down(high)) for a, low, high in whiskers],
        mark and Mark(across(mark[0]), down(mark[1]), mark[2]),
    )


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from low to high, a step of 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(each for each in (1, 2, 5, 10) if each * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(step * n, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def amount(value: float) -> str:
    """An amount without an exponent, and without cents where there are none."""
    return f"{value:,.2f}".removesuffix(".00")


def written(value: float, percent: bool) -> str:
    """A tick's number, of at most seven characters below a thousand billions: 2,500, 20K, 10M, -1.5B."""
    if percent:
        return f"{100 * value:g} %"
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "K")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'K' else size):.4g}{unit}"
    return f"{value:,.4g}"
