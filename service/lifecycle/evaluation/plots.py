"""Four pictures of a scored set: ROC curve, calibration, lift, and profit by threshold."""

import itertools
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score, roc_curve

from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.evaluation.quality import Scores, Target
from service.model.bundle import Economics

BLUE, GREEN, ORANGE, GREY, RED = "#2f7cc4", "#3c9a5f", "#c4791f", "#8a8f98", "#d0453d"
"""They can be told from white and from black: the reports have both backgrounds."""


def plots(
    cells: ScoreCells, threshold: float, economics: Economics, of: str = "the held-out leads"
) -> dict[str, Figure]:
    """The pictures by file name, titled as those `of` these leads. They belong to no window and no global state."""
    drawn = {
        "ROC": roc(cells, threshold),
        "Calibration": calibration(cells),
        "Lift": lift_by_contacts(cells, threshold),
        "Profit": profit_by_threshold(cells, threshold, economics),
    }
    for name, figure in drawn.items():
        figure.axes[0].set_title(f"{name} on {of}")
    return {f"{name.lower()}.png": figure for name, figure in drawn.items()}


def roc(cells: ScoreCells, threshold: float) -> Figure:
    """The ROC curve with the chosen threshold marked."""
    figure, axes = labelled_axes("Share of others contacted", "Share of conversions contacted")
    target, scores, leads = cells.target, cells.scores, cells.mass
    false_rate, true_rate, _ = roc_curve(target, scores, sample_weight=leads)
    area = roc_auc_score(target, scores, sample_weight=leads)
    axes.plot(false_rate, true_rate, color=BLUE, label=f"model, area {area:.3f}")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="at random, area 0.5")
    others, conversions = (
        np.average(scores[target == kind] >= threshold, weights=leads[target == kind]) for kind in (0, 1)
    )
    axes.plot(others, conversions, "o", color=RED, label=f"threshold {threshold:.3f}")
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    axes.legend(loc="lower right")
    return figure


def calibration(cells: ScoreCells) -> Figure:
    """Conversion rate by score in ten bins of about equally many leads, with 95 % intervals (normal approximation)."""
    figure, axes = labelled_axes("Mean score", "Share that converted")
    order = np.argsort(cells.scores, kind="stable")
    order = order[cells.known[order]]
    target, scores, leads = cells.target[order], cells.scores[order], cells.mass[order]
    _, bins = np.unique(np.floor(10 * (np.cumsum(leads) - leads / 2) / leads.sum()), return_inverse=True)
    count = np.bincount(bins, leads)
    mean, rate = (np.bincount(bins, leads * each) / count for each in (scores, target))
    effective = count**2 / np.bincount(bins, leads**2 / cells.leads[order])
    interval = 1.96 * np.sqrt(rate * (1 - rate) / effective)
    axes.errorbar(mean, rate, interval, fmt="o-", color=BLUE, capsize=3, label="ten bins of equally many leads")
    top = 1.1 * float(max(mean.max(), (rate + interval).max()))
    axes.plot([0, top], [0, top], color=GREY, linestyle="--", label="perfectly calibrated")
    axes.set(xlim=(0, top), ylim=(0, top))
    axes.legend(loc="upper left")
    return figure


def lift_by_contacts(cells: ScoreCells, threshold: float) -> Figure:
    """How many times more conversions than at random, by the share contacted from the best."""
    figure, axes = labelled_axes("Share of leads contacted, best first", "Lift over calling at random")
    _, contacts, hits = _best_first(cells)
    count = contacts[-1]
    share = contacts / count
    lift = hits / contacts * count / hits[-1]
    shown = share >= 0.01  # of fewer leads the lift is a matter of chance
    axes.plot(share[shown], lift[shown], color=BLUE, label="model")
    axes.axhline(1, color=GREY, linestyle="--", label="at random")
    chosen = float(np.average(cells.scores >= threshold, weights=cells.mass))
    axes.axvline(chosen, color=RED, linewidth=1, label=f"a contact pays for {chosen:.0%}")
    axes.set(xlim=(0, 1), ylim=(0, None))
    axes.legend(loc="upper right")
    return figure


def profit_by_threshold(cells: ScoreCells, threshold: float, economics: Economics) -> Figure:
    """Profit per 1,000 leads by threshold; grey where the team could not make the contacts."""
    figure, axes = labelled_axes("Threshold", "Profit per 1,000 leads")
    cuts, contacts, hits = _best_first(cells)
    count = contacts[-1]
    profit = 1000 * (economics.conversion_value * hits - economics.contact_cost * contacts) / count
    feasible = 1000 * contacts / count <= economics.contacts_per_1000_leads
    axes.plot(cuts[feasible], profit[feasible], color=BLUE, label="within the team's capacity")
    if not feasible.all():
        axes.plot(cuts[~feasible], profit[~feasible], color=GREY, label="more contacts than the team can make")
    axes.axvline(threshold, color=RED, linewidth=1, label=f"from {threshold:.3f} on a contact pays")
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.legend(loc="lower right")
    return figure


def _best_first(cells: ScoreCells) -> tuple[Scores, Scores, Scores]:
    """The distinct scores, best first; how many leads have at least each of them, and how many of these converted."""
    known = cells.known
    scores, tie = np.unique(-cells.scores[known], return_inverse=True)
    contacts, hits = (
        np.cumsum(np.bincount(tie, each[known]), dtype=np.float64) for each in (cells.mass, cells.mass * cells.target)
    )
    return -scores, contacts, hits


def profit_by_contacts(
    target: Target,
    scores: Mapping[str, Scores],
    economics: Economics,
    marks: Mapping[str, tuple[float, float]],
) -> Figure:
    """Profit by contacts, both per 1,000 leads, best first, a line a candidate; dotted where the team cannot.

    `marks` are choices by name, their contacts and profit; neighbours share a label.
    """
    figure, axes = labelled_axes("Contacts per 1,000 leads, best first", "Profit per 1,000 leads")
    contacts = 1000 * np.arange(len(target) + 1) / len(target)
    feasible = contacts <= economics.contacts_per_1000_leads
    for (name, of), colour in zip(scores.items(), itertools.cycle((BLUE, GREEN, ORANGE)), strict=False):
        hits = np.concatenate([[0], np.cumsum(target[np.argsort(-of, kind="stable")])])
        earned = economics.conversion_value * 1000 * hits / len(target) - economics.contact_cost * contacts
        axes.plot(contacts[feasible], earned[feasible], color=colour, label=name.replace("_", " "))
        axes.plot(contacts[~feasible], earned[~feasible], color=colour, linestyle=":")
    everyone = economics.conversion_value * 1000 * float(target.mean()) - economics.contact_cost * 1000
    axes.plot([0, 1000], [0, everyone], color=GREY, linestyle="--", label="at random")
    if not feasible.all():
        axes.axvline(economics.contacts_per_1000_leads, color=GREY, linewidth=1, label="what the team can make")
    axes.margins(y=0.08)
    axes.plot(*zip(*marks.values(), strict=True), "o", color=RED, linestyle="")
    height = np.ptp(axes.get_ylim())
    for near in _neighbours(marks, 40, 0.04 * height):
        x, y = marks[near[0]]
        # Above the curve there is room, but for the first contacts.
        offset, side = ((-7, 5), "right") if x > 300 else ((8, -10), "left")
        label = ", ".join(near)
        axes.annotate(label, (x, y), textcoords="offset points", xytext=offset, horizontalalignment=side)
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _neighbours(marks: Mapping[str, tuple[float, float]], wide: float, high: float) -> list[list[str]]:
    """Names in groups whose labels would lie above each other."""
    groups: list[list[str]] = []
    for name, (x, y) in sorted(marks.items(), key=lambda mark: mark[1]):
        before = marks[groups[-1][0]] if groups else None
        if before and x - before[0] < wide and abs(y - before[1]) < high:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def labelled_axes(x: str, y: str) -> tuple[Figure, Axes]:
    """An empty picture in the common style."""
    figure = Figure(figsize=(6, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y)
    axes.grid(visible=True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
