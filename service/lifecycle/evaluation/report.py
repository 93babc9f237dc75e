"""The report of an evaluation: one HTML file that needs no network and holds no lead."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape

import numpy as np
from matplotlib.figure import Figure

from service.history import Estimate, Evaluation, ExplorationCost, GroupOutcome, Weighting
from service.lifecycle.evaluation.confidence import share
from service.lifecycle.evaluation.formatting import number, spoken
from service.lifecycle.evaluation.page import bullets, images, page, plot_style, table
from service.lifecycle.evaluation.plots import BLUE, GREY, RED, labelled_axes, plots
from service.lifecycle.evaluation.version_quality import Part, VersionQuality
from service.lifecycle.evaluation.weighting import basis
from service.lifecycle.relations.cells import NEAR

MINUTE = "%Y-%m-%d %H:%M"
OFF, TOO_FEW = "off beyond noise", "too few"
MONEY = ("contacts", "conversions", "revenue", "cost", "profit")


def report(
    judged: VersionQuality, entry: Evaluation, earlier: Sequence[Evaluation], others: Sequence[VersionQuality]
) -> str:
    """The report on the headline version, with the other versions beside it and earlier evaluations before it."""
    whole, manifest = judged.whole, judged.manifest
    worth = judged.business
    sections = [
        _selection(entry),
        f"<p class=about>{whole.leads:,} leads scored from {entry.since:{MINUTE}} to {entry.until:{MINUTE}} UTC whose "
        f"outcome is final; {whole.converted:,} converted ({whole.converted / whole.leads:.1%}). "
        f"{entry.without_outcome:,} leads of that time have no outcome; "
        f"{entry.taken_as_lost:,} others count as lost for want of one. Evaluated {entry.time:{MINUTE}} UTC.</p>",
        _completeness(entry),
        "<h2>What has changed</h2>",
        bullets(entry.changes) or "<p>Nothing beyond noise.</p>",
        "<h2>Figures</h2>",
        _weighting(judged.weighting),
        table(
            ["figure", "value", "95 % interval", "at training"],
            [(spoken(n), *_both(n, f), _number(n, manifest.benchmark.get(n))) for n, f in whole.figures.items()],
        )
        if whole.figures
        else "<p>There are none of all leads.</p>",
        f"<p class=about>At the served threshold {manifest.threshold:.4f}. Profit is per 1,000 leads, with as many "
        "contacts as the team can make; lift is that of the best tenth; calibration error is over ten bins of equally "
        f"many leads. Mean score {whole.mean_score:.4f}; {judged.near_threshold:.1%} of the scores lie within a "
        f"{NEAR:.0%} of the threshold.</p>",
        "<h2>Was it worth it?</h2>",
        table(
            ["", "contacts", "conversions", "revenue", "cost", "profit", "ROI"],
            [
                (name, *(f"{worth[way + f]:,.0f}" for f in MONEY), f"{worth[way + 'roi']:.2f}")
                for name, way in (
                    ("best first, as far as the team can", ""),
                    ("as many at random", "random_"),
                    ("everyone", "all_"),
                )
                if f"{way}contacts" in worth
            ],
        ),
        _exploration(judged.exploration),
        _plots(judged, [*earlier, entry]),
        "<h2>Bands</h2>",
        _parts("band", judged.bands),
        "<h2>Segments</h2>",
        _parts("segment", judged.segments)
        if judged.segments
        else "<p>None is large enough to be judged by itself.</p>",
        *_groups(entry.groups),
        "<h2>Versions</h2>",
        _parts("version", [_named(j) for j in (judged, *others)]),
        "<h2>Answering</h2>",
        *_answering(judged.latency_ms),
    ]
    return page(f"Evaluation of {entry.model_version}", sections)


def _answering(latency_ms: Mapping[int, float]) -> list[str]:
    if not latency_ms:
        return ["<p class=about>All of these leads were scored in files: no request was answered.</p>"]
    return [
        table(
            [f"{p} % within" if p < 100 else "slowest" for p in latency_ms],
            [[f"{ms:.2f} ms" for ms in latency_ms.values()]],
        ),
        "<p class=about>The server's share of the time, from the records.</p>",
    ]


def _selection(entry: Evaluation) -> str:
    selection = entry.selection
    if selection is None:
        return ""
    doubt = bool(entry.contacts and entry.contacts.doubt)
    bad = selection.depends_on_decision or selection.depends_on_score or doubt
    return f'<p class="{"bad" if bad else "about"}">{escape(selection.about)}</p>'


def _weighting(weighting: Weighting | None) -> str:
    return "" if weighting is None else f"<p class=about>{escape(basis(weighting))}</p>"


def _exploration(found: ExplorationCost | None) -> str:
    if found is None:
        return ""

    def money(name: str, estimate: Estimate) -> tuple[str, str, str]:
        return name, f"{estimate.value:,.0f}", f"{estimate.low:,.0f} to {estimate.high:,.0f}"

    rows = [
        ("contacts at random below the line", f"{found.contacts:,}", ""),
        money("conversions", found.conversions),
        money("revenue", found.revenue),
        ("cost", f"{found.cost:,.0f}", ""),
        money("profit", found.profit),
        money("profit of as many contacts of the next best leads", found.next_best),
        money("what exploring cost", found.lost),
    ]
    return "<h2>What exploring cost and brought</h2>" + table(["", "value", "95 % interval"], rows)


def _completeness(entry: Evaluation) -> str:
    if entry.complete is None:
        return (
            "<p class=about>Whether all prediction records are there was not compared with the service's counter.</p>"
        )
    if entry.complete:
        return f"<p class=about>The prediction records are complete: {entry.missing_records:.3%} are missing.</p>"
    return (
        f'<p class="bad">Incomplete: {entry.missing_records:.2%} of the prediction records that the service counted '
        "are not there. The figures may be of a part that is not like the rest.</p>"
    )


def _parts(kind: str, parts: Iterable[Part]) -> str:
    header = [kind, "leads", "converted", "share, 95 % interval", "mean score", "contacted", "ROC-AUC", "Brier"]
    rows = []
    for part in parts:
        rate = None if part.converted_share is None else share(part.converted_share * part.effective, part.effective)
        figures = [" ".join(_both(n, part.figures[n])) if part.figures else TOO_FEW for n in ("roc_auc", "brier")]
        counts = (
            f"{part.leads:,}",
            f"{part.converted:,}",
            f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})" if rate else TOO_FEW,
        )
        rows.append((part.name, *counts, f"{part.mean_score:.4f}", f"{part.contacted:,}", *figures))
    return table(header, rows)


def _groups(groups: Sequence[GroupOutcome]) -> list[str]:
    """Contact rate, conversion and calibration of the groups that the source names for this report alone."""
    if not groups:
        return []

    def name(group: GroupOutcome) -> str:
        return f"{group.pooled:,} smaller values" if group.value is None else group.value or "not stated"

    def interval(share: Estimate | None) -> str:
        return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})" if share else TOO_FEW

    def calibrated(group: GroupOutcome) -> str:
        if group.conversion is None or group.mean_score is None:
            return ""
        low, high = group.conversion.low, group.conversion.high
        return "within noise" if low <= group.mean_score <= high else OFF

    header = ["group", "value", "leads", "with outcome", "contacted, 95 % interval", "converted, 95 % interval"]
    rows = [
        (
            *(group.group, name(group), f"{group.leads:,}", f"{group.with_outcome:,}"),
            *(interval(group.contact_rate), interval(group.conversion)),
            *("" if group.mean_score is None else f"{group.mean_score:.1%}", calibrated(group)),
        )
        for group in groups
    ]
    return [
        "<h2>Groups</h2>",
        "<p class=about>The lead source names them for this report alone: no model learns from them. Values of fewer "
        "leads than are needed are counted together. Where only contacted leads have outcomes, conversions of all "
        "leads are known only if enough were contacted at random. Scores are beyond noise where their mean is outside "
        "of the interval of conversions.</p>",
        table([*header, "mean score", "scores"], rows, text=["value"], bad=OFF),
    ]


def _named(judged: VersionQuality) -> Part:
    return replace(judged.whole, name=judged.manifest.version)


def _plots(judged: VersionQuality, entries: Sequence[Evaluation]) -> str:
    manifest = judged.manifest
    with plot_style():
        cells, money = judged.cells, manifest.economics
        drawn = plots(cells, manifest.threshold, money, "the evaluated leads") if judged.whole.figures else {}
        drawn |= {"scores.png": distribution(judged), "history.png": over_time(entries, manifest.metric)}
        return images({name.removesuffix(".png"): figure for name, figure in drawn.items()})


def distribution(judged: VersionQuality) -> Figure:
    """How the scores of those who converted and of the others are distributed, and where the threshold lies."""
    figure, axes = labelled_axes("Score", "Share of these leads")
    bins = [i / 40 for i in range(41)]
    for kind, name, colour in ((0, "did not convert", GREY), (1, "converted", BLUE)):
        mine = judged.cells.target == kind
        leads = judged.cells.mass[mine]
        axes.hist(
            judged.cells.scores[mine],
            bins=bins,
            weights=leads / max(1.0, leads.sum()),
            color=colour,
            alpha=0.6,
            label=name,
        )
    axes.axvline(judged.manifest.threshold, color=RED, linewidth=1, label=f"threshold {judged.manifest.threshold:.3f}")
    axes.set(
        title="Scores of the evaluated leads", xlim=(0, max(0.1, min(1.0, float(judged.cells.scores.max()) + 0.05)))
    )
    axes.legend(loc="upper right")
    return figure


def over_time(entries: Sequence[Evaluation], metric: str) -> Figure:
    """The source's metric in each evaluation, oldest first, and what it was at training."""
    figure, axes = labelled_axes("Leads scored until", spoken(metric))
    known = [e for e in entries if metric in e.figures]
    times = np.array([e.until.replace(tzinfo=None) for e in known], dtype="datetime64[s]")
    values = [e.figures[metric] for e in known]
    spread = [[v.value - v.low for v in values], [v.high - v.value for v in values]]
    axes.errorbar(times, [v.value for v in values], spread, fmt="o-", color=BLUE, capsize=3, label="evaluated")
    trained = [e.benchmark.get(metric, float("nan")) for e in known]
    axes.plot(times, trained, color=GREY, linestyle="--", marker="_", label="at training")
    axes.set(title=f"{spoken(metric)} over time")
    if len(times) == 1:
        axes.set_xlim(times[0] - np.timedelta64(7, "D"), times[0] + np.timedelta64(7, "D"))
    axes.tick_params(axis="x", labelrotation=30)
    axes.legend(loc="lower left")
    return figure


def _both(name: str, estimate: Estimate) -> tuple[str, str]:
    return number(name, estimate.value), f"({number(name, estimate.low)} to {number(name, estimate.high)})"


def _number(name: str, value: float | None) -> str:
    return "" if value is None else number(name, value)
