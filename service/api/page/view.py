"""From the bundle and its past to the page's HTML. Templates escape whatever they are given."""

import math
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from service.api.page import curves
from service.api.page.past import Past
from service.api.scorer import Scorer
from service.history import Estimate
from service.model.bundle import Bundle, Manifest, Refusal
from service.model.reasons import typical_lead
from service.model.reference import Categories
from service.model.schema import Kind
from service.model.words import label
from service.reading.describe import written

if TYPE_CHECKING:
    import jinja2

SELECTABLE = 40
"""A category with more values is typed, with suggestions, instead of chosen."""
SUGGESTED = 500
FIGURES = {
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "lift": "Lift of the best tenth",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "accuracy": "Accuracy",
    "brier": "Brier score",
    "calibration_error": "Calibration error",
    "profit": "Profit per 1,000 leads",
    "contacts": "Contacts per 1,000 leads",
}
SHARES = ("precision", "recall", "accuracy", "calibration_error")
COUNTS = ("profit", "contacts")


class Field(NamedTuple):
    """One input of the form: `typical` is what it starts with, `values` what a category is known to hold.

    `written` says how a file's cell may be written.
    """

    name: str
    label: str
    kind: Kind
    typical: str
    values: list[str]
    select: bool
    written: str


class BandRow(NamedTuple):
    """A band: its scores, and about which share of the held-out leads it has and how many of these converted."""

    name: str
    score: str
    leads: str
    converted: str


def render(scorer: Scorer, past: Past | None, fresh: bool, refused: tuple[Refusal, str] | None) -> str:
    """The whole page."""
    bundle = scorer.bundle
    return _template("page.html").render(
        scorer=scorer,
        bundle=bundle,
        manifest=bundle.manifest,
        fields=fields(bundle),
        bands=band_rows(bundle),
        verdicts=verdicts(bundle.manifest),
        charts=curves.charts(bundle.manifest, bundle.reference),
        drawing=curves,
        figures=[
            (label, bundle.manifest.benchmark[name], name)
            for name, label in FIGURES.items()
            if name in bundle.manifest.benchmark
        ],
        past=past,
        fresh=fresh,
        refused=refused,
    )


def waiting() -> str:
    """The page before a first model is in service."""
    return _template("waiting.html").render()


def fields(bundle: Bundle) -> list[Field]:
    """The form's inputs, in the schema's order."""
    schema, columns = bundle.manifest.lead_schema, {each.name: each for each in bundle.reference.features}
    typical = typical_lead(schema, bundle.reference)
    inputs = []
    for feature in schema.features:
        column, known = columns.get(feature.name), bundle.manifest.encoding.categories.get(feature.name)
        seen = [*(column.values if isinstance(column, Categories) else ()), *(known.columns if known else ())]
        name = label(feature.name) + (f" (several, separated by {feature.separator})" if feature.separator else "")
        values = [v for v in dict.fromkeys(seen) if v and v not in feature.missing][:SUGGESTED]
        start = typical[feature.name]
        text = (
            ""
            if start is None
            else str(start).lower()
            if isinstance(start, bool)
            else f"{start:.10f}".rstrip("0").rstrip(".")
            if isinstance(start, float)
            else start
        )
        few = feature.kind == "category" and 0 < len(values) <= SELECTABLE and not feature.separator
        select = feature.kind == "boolean" or few
        inputs.append(Field(feature.name, name, feature.kind, text, sorted(values), select, written(feature)))
    return inputs


def band_rows(bundle: Bundle) -> list[BandRow]:
    """The bands, best first, with what the calibration bins of the held-out leads tell of them."""
    rows, above = [], None
    bins = bundle.reference.calibration
    total = sum(each.leads for each in bins)
    for band in bundle.manifest.bands:
        low, high = band.min_score, above if above is not None else math.inf
        within = [each for each in bins if low <= each.score < high]
        leads, converted = sum(each.leads for each in within), sum(each.converted for each in within)
        score = f"{low:.1%} and more" if above is None else f"{low:.1%} to {above:.1%}" if low else f"below {above:.1%}"
        rate = f"{converted / leads:.0%}" if leads else "none"
        shown = BandRow(band.name, score, f"about {leads / total:.0%}", rate)
        rows.append(BandRow(*(text.replace("%", "\u00a0%") for text in shown)))
        above = low
    return rows


class ModelVerdict(NamedTuple):
    """What was judged, whether the answer is good, the answer in a sentence, and the lines that it rests on."""

    question: str
    good: bool
    answer: str
    lines: tuple[str, ...] = ()


def verdicts(manifest: Manifest) -> list[ModelVerdict]:
    """Whether the model may be trusted: its skill, leaks, and who agreed on its metric, as far as each was judged."""
    found = []
    if skill := manifest.skill:
        answer = (
            "Not shown, for the reasons above."
            if skill.doubts
            else "Shown: it ranks leads better than chance, and its contacts earn more than contacts without it."
        )
        found.append(ModelVerdict("Is it better than none?", not skill.doubts, answer))
    if leaks := manifest.leaks:
        likely = [column for finding in leaks.findings if finding.likely for column in finding.columns]
        names = ", ".join(f"“{name}”" for name in dict.fromkeys(likely))
        answer = f"Likely: {names} may hold what is known only after the outcome." if likely else "No sign of it."
        found.append(ModelVerdict("Does it know the outcome beforehand?", not likely, answer, leaks.lines))
    if agreement := manifest.agreement:
        answer = agreement.first_look or (
            f"Yes, on {FIGURES.get(manifest.metric, manifest.metric)}: {agreement.agreed_by}, "
            f"{agreement.agreed_on:%-d %b %Y}. {agreement.metric_reason}"
        )
        answer = answer[:1].upper() + answer[1:]
        found.append(ModelVerdict("Did people agree on the metric?", not agreement.first_look, answer))
    return found


def figure(value: float, name: str) -> str:
    """A figure as it is read: a share in per cent, money and counts whole."""
    if name in SHARES:
        return f"{value:.1%}".replace("%", " %")
    return f"{value:,.0f}" if name in COUNTS else f"{value:.2f}" if name == "lift" else f"{value:.3f}"


def interval(estimate: Estimate, name: str) -> str:
    """Low and high end, to stand beside the value."""
    return f"{figure(estimate.low, name).removesuffix(' %')} to {figure(estimate.high, name)}"


def moment(time: datetime) -> str:
    """A time in UTC, to the minute."""
    return f"{time.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def day(time: datetime) -> str:
    """A time's day in UTC."""
    return f"{time.astimezone(UTC):%-d %b %Y}"


def spoken(name: str) -> str:
    """A name of ours in words: `rolled_back` as rolled back."""
    return name.replace("_", " ")


@cache
def _template(name: str) -> "jinja2.Template":
    import jinja2  # by the first reader, not by the start of the process, which is to score soon

    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Any] = {
        "figure": figure,
        "money": curves.amount,
        "interval": interval,
        "moment": moment,
        "day": day,
        "spoken": spoken,
        "label": label,
    }
    environment.filters |= filters
    environment.globals["FIGURES"] = FIGURES
    return environment.get_template(name)
