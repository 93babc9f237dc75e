"""What a drift check found: a summary as Markdown, and an HTML page that shows each column beside training's."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from service.history import DriftCheck, FeatureDrift
from service.lifecycle.drift_detection.homogeneity import ALPHA
from service.lifecycle.evaluation.formatting import number, spoken
from service.lifecycle.evaluation.page import bullets, images, page, plot_style, table
from service.lifecycle.evaluation.plots import BLUE, GREY, labelled_axes
from service.lifecycle.evaluation.quality import Scores
from service.lifecycle.training.reference_profile import count, labels
from service.model.reference import Column, Counts, Reference, counts

MAX_PLOTS = 30
"""Columns with a plot, the most drifted first; with a thousand the page would be too large to open."""

MAX_BARS = 24
"""Values of a category in its plot, those with the most leads; the others are summed up in one bar."""

MAX_LABEL = 24
COLUMNS = (
    "column",
    "distance",
    "p, corrected",
    "moves a score by",
    "missing",
    "at training",
    "rare or new",
    "at training",
    "drifted",
)
EXPECTATIONS = ("figure", "expected", "90 % interval", "at training")
BLIND = (
    "The expectation holds as long as a lead that looks as before is worth as much as before. Where that itself "
    "changed, no look at the leads tells; evaluate does, once their outcomes are final."
)
METHOD = (
    "Distance is the population stability index. The p-values are those of chi-squared tests of homogeneity over the "
    "bins and values below, corrected for the number of columns by Holm's method; a drifted column has one below "
    f"{ALPHA}."
)


def column_rows(entry: DriftCheck) -> list[list[str]]:
    """Cells of COLUMNS: the score, the decision, then the features by how much their difference moves scores."""
    ranked = sorted(entry.features, key=lambda f: -f.distance * f.influence)
    rows = []
    for f in (entry.scores, entry.decisions, *ranked):
        shares = (f.influence, f.missing, f.missing_in_training, f.unseen, f.unseen_in_training)
        of_feature = [f"{share:.1%}" if f in ranked else "" for share in shares]
        rows.append([f.feature, f"{f.distance:.3f}", f"{f.p_value:.2g}", *of_feature, "yes" if f.drifted else "no"])
    return rows


def expectation_rows(entry: DriftCheck) -> list[list[str]]:
    """Cells of EXPECTATIONS, a figure a row."""
    return [
        [
            spoken(name),
            number(name, e.value),
            f"{number(name, e.low)} to {number(name, e.high)}",
            number(name, entry.benchmark[name]) if name in entry.benchmark else "",
        ]
        for name, e in entry.expected.items()
    ]


def summary(entry: DriftCheck) -> str:
    """The check as Markdown."""
    parts = [
        f"# {title(entry)}",
        _verdict(entry),
        "\n".join(f"- {reason}" for reason in entry.reasons),
        _markdown(COLUMNS, column_rows(entry)),
        _markdown(EXPECTATIONS, expectation_rows(entry)),
        BLIND,
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def report(entry: DriftCheck, reference: Reference, now: Sequence[Counts], scores: Scores, threshold: float) -> str:
    """The check as one HTML page. `now` and `scores` are those that were compared with the reference."""
    drifts = zip(reference.features, now, entry.features, strict=True)
    ranked = sorted(drifts, key=lambda drift: drift[2].p_value)[:MAX_PLOTS]
    contacted = int((scores >= threshold).sum())
    decisions = (
        ["contact", "skip"],
        np.array([reference.contacted, reference.leads - reference.contacted]),
        np.array([contacted, len(scores) - contacted]),
    )
    bars = [
        (entry.scores, _bars(reference.scores, count(reference.scores, scores))),
        (entry.decisions, decisions),
        *((drift, _bars(column, found)) for column, found, drift in ranked),
    ]
    with plot_style():
        drawn = images(
            {
                f"Plot {place}: {drift.feature}, share of leads by value": distribution(*shown, drift)
                for place, (drift, shown) in enumerate(bars, 1)
            }
        )
    left_out = len(reference.features) - len(ranked)
    return page(
        title(entry),
        [
            f"<p class=about>{_verdict(entry)}</p>",
            bullets(entry.reasons),
            "<h2>Columns</h2>",
            table(COLUMNS, column_rows(entry), text=["drifted"]),
            f"<p class=about>{METHOD}</p>",
            "<h2>What to expect of these leads</h2>",
            table(EXPECTATIONS, expectation_rows(entry)),
            f"<p class=about>{BLIND}</p>",
            "<h2>Distributions</h2>",
            f"<p class=about>{left_out} more columns, less likely to differ, have no plot.</p>" if left_out else "",
            drawn,
        ],
    )


def distribution(names: Sequence[str], then: Counts, now: Counts, drift: FeatureDrift) -> Figure:
    """Shares of leads by bin or value, at training and now. `names`, `then` and `now` have one entry per bar."""
    shares = pd.DataFrame({"then": then / then.sum(), "now": now / now.sum()}, index=list(names))
    shares = shares[(shares > 0).any(axis=1)]
    if len(shares) > MAX_BARS:
        kept = shares.sum(axis=1).nlargest(MAX_BARS - 1).index
        rest = shares.drop(kept).sum()
        shares = pd.concat([shares.loc[shares.index.isin(kept)], rest.to_frame("(all others)").T])
    figure, axes = labelled_axes("Share of leads", "")
    figure.set_size_inches(6, max(2.0, 1.2 + 0.3 * len(shares)))
    places = np.arange(len(shares))
    axes.barh(places - 0.2, shares["then"], 0.4, color=GREY, label="at training")
    axes.barh(places + 0.2, shares["now"], 0.4, color=BLUE, label="now")
    axes.set_yticks(places, [_short(str(name)) for name in shares.index])
    axes.set_ylim(len(shares) - 0.4, -0.6)
    verdict = "drifted" if drift.drifted else "not drifted"
    axes.set_title(f"{_short(drift.feature)}: distance {drift.distance:.2f}, {verdict}")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


def _bars(column: Column, now: Counts) -> tuple[list[str], Counts, Counts]:
    return labels(column), counts(column), now


def title(entry: DriftCheck) -> str:
    """How many leads were compared, and of what time."""
    return f"Drift of {entry.leads:,} leads, {entry.since:%Y-%m-%d %H:%M} to {entry.until:%Y-%m-%d %H:%M} UTC"


def _verdict(entry: DriftCheck) -> str:
    compared = f"Compared with the held-out leads of {entry.model_version}."
    return f"{compared} {'Found:' if entry.found else 'Nothing that matters differs beyond chance.'}"


def _short(text: str) -> str:
    plain = text.replace("$", r"\$")  # matplotlib reads text between two of them as mathematics
    return plain if len(plain) <= MAX_LABEL else f"{plain[: MAX_LABEL - 1]}…"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
