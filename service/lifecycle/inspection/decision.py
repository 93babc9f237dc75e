"""The page that people discuss before they agree on a metric: what each one would choose on these leads."""

import json
from collections.abc import Sequence
from datetime import date
from html import escape
from pathlib import Path

from rich.console import Console
from rich.table import Table

from service.history import Estimate
from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.source import Metric, Source
from service.lifecycle.evaluation.formatting import number, spoken
from service.lifecycle.evaluation.labelled import judgeable, sample
from service.lifecycle.evaluation.page import bullets, images, page, plot_style, table
from service.lifecycle.evaluation.plots import profit_by_contacts
from service.lifecycle.evaluation.terminal import terminal_table
from service.lifecycle.inspection.consequences import Consequence, Consequences, consequences
from service.lifecycle.training import skill
from service.lifecycle.training.leaks import find_leaks
from service.lifecycle.training.search import search_before
from service.lifecycle.training.selection import Compared, Progress, compare
from service.model.bundle import LeakReport

WRITE = "When you have agreed, write this into the lead source, above its first [table]:"
NAMES: dict[Metric, str] = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "roc_auc": "ROC-AUC",
    "accuracy": "accuracy",
    "profit": "profit",
}
OPTIMISES: dict[Metric, str] = {
    "precision": "the share of contacts that convert. It does not see the conversions that are missed.",
    "recall": "the share of conversions that are contacted. It does not see wasted contacts.",
    "f1": "a balance of precision and recall. It knows no money.",
    "roc_auc": "the order of the whole list: how often a lead that converts scores above one that does not. It has no "
    "threshold of its own; shown is the one that is farthest above chance (Youden's J).",
    "accuracy": "the share of right decisions. Both errors count alike, whatever they cost.",
    "profit": "the money: the worth of conversions less the cost of contacts, as many as the team can make.",
}


def show(source: Source, console: Console, html: Path | None = None, tell: Progress = lambda _: None) -> None:
    """Print the page; write it with a picture to `html`, if given. Raises SourceError, TooFewOutcomes and OSError."""
    tell(f"reading the leads of {source.name}")
    leads = sample(load(source), source.recipe.rows).leads
    leaks = find_leaks(judgeable(leads), source.leaks, tell)
    compared = compare(
        leads, source.economics, source.recipe, tell=tell, settings=search_before(leads, source.recipe, tell=tell)
    )
    tell("computing what each metric would choose")
    found = consequences(source, compared)
    title, about = f"Which metric for {source.name}?", _about(source, leads, compared, leaks)
    _print(console, title, *about)
    _print(console, "", "What each metric optimises:")
    optimised = Table.grid("", "", padding=(0, 2))
    for metric, text in OPTIMISES.items():
        optimised.add_row(NAMES[metric], text)
    console.print(optimised)
    _print(console, "", "What each would choose by itself; below each number of errors, what they cost:")
    console.print(terminal_table(*_rows(found)))
    _print(console, *_read(source, found))
    _print(console, "", *_served(source, found))
    console.print(terminal_table(*_served_rows(found)))
    if html is not None:
        html.write_text(_html(title, about, source, compared, found), encoding="utf-8")
        _print(console, "", f"The same with a picture: {html}")
    _print(console, "", WRITE, "")
    for line in _agree(source):
        console.print(line, markup=False, highlight=False, soft_wrap=True)  # to be copied


def _print(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False)


def _about(source: Source, leads: Leads, compared: Compared, leaks: LeakReport) -> list[str]:
    money, target = source.economics, compared.target
    most = money.contacts_per_1000_leads
    return [
        f"Judged on {len(target):,} of {leads.sampled_from:,} leads that no candidate was trained on, "
        f"{compared.split.how}; {target.sum():,} of them converted ({target.mean():.1%}).",
        f"A conversion is worth {_exact(money.conversion_value)}, a contact costs {_exact(money.contact_cost)}. "
        + (
            f"The team can contact {_exact(most)} of 1,000 leads." if most < 1000 else "The team can contact all leads."
        ),
        *_ranking(compared),
        *leaks.lines,
        "Below, contacts, errors and money are per 1,000 leads.",
    ]


def _ranking(compared: Compared) -> list[str]:
    """Whether there is anything to choose between: no metric mends a model that ranks by chance."""
    aucs = {spoken(name): skill.interval(compared.target, scores) for name, scores in compared.scores.items()}
    stated = "; ".join(f"{name} {value:.3f} ({low:.3f} to {high:.3f})" for name, (value, low, high) in aucs.items())
    by_chance = all(low <= skill.CHANCE for _, low, _ in aucs.values())
    return [
        f"ROC-AUC with its 95 % interval, where chance is {skill.CHANCE:g}: {stated}.",
        *(["NO CANDIDATE IS SHOWN TO RANK BETTER THAN CHANCE: no metric mends that."] if by_chance else []),
    ]


def _rows(found: Consequences) -> tuple[list[str], list[list[str]]]:
    header = [
        "metric, its best value,\nand its candidate",
        "from\nscore",
        "contacts",
        "missed\nconversions",
        "wasted\ncontacts",
    ]
    rows = [
        [f"{NAMES[m]}, {number(m, found.reached[m])}\n{spoken(c.candidate)}", *_cells(c)]
        for m, c in found.chosen.items()
    ]
    return [*header, "profit\n(95 % interval)"], rows


def _cells(c: Consequence) -> list[str]:
    return [
        f"{c.threshold:.4f}",
        _count(c.contacts) + (f"\nof {_count(c.asked)}" if c.asked > c.contacts else ""),
        f"{_count(c.missed)}\n{_money(c.missed_cost)}",
        f"{_count(c.wasted)}\n{_money(c.wasted_cost)}",
        f"{_money(c.profit.value)}\n({_interval(c.profit)})",
    ]


def _read(source: Source, found: Consequences) -> list[str]:
    money = source.economics
    capped = any(c.asked > c.contacts for c in found.chosen.values())
    others = {NAMES[m]: e for m, e in found.beyond_profit.items() if m != "profit"}
    return [
        f"A missed conversion costs {_exact(money.conversion_value - money.contact_cost)}, its worth less the contact; "
        f"a wasted contact costs {_exact(money.contact_cost)}.",
        *(
            ["Where a metric asks for more contacts than the team can make, the team makes the best of them."]
            if capped
            else []
        ),
        *(
            []
            if _fixed(source)
            else ["Each metric takes the candidate that is better by it at the score at which a contact pays."]
        ),
        "The interval is how far the profit of the same choice varies by chance, with other leads like these.",
        "Profit against the choice by profit: "
        + "; ".join(
            f"{m} {_difference(e.value)} ({_difference(e.low)} to {_difference(e.high)})" for m, e in others.items()
        )
        + ".",
        "Each threshold was chosen on the very leads that it is judged on, so later leads will do somewhat worse, and "
        "small differences may be chance even where their interval does not hold 0.",
    ]


def _fixed(source: Source) -> bool:
    return source.recipe.candidate != "best"


def _served(source: Source, found: Consequences) -> list[str]:
    money, candidates = source.economics, sorted({spoken(c.candidate) for c in found.served.values()})
    if _fixed(source):
        choice = f"The recipe names the candidate, {candidates[0]}; the metric decides whether a new model replaces it."
    else:
        choice = "The metric decides which candidate is served, and later whether a new model replaces it. " + (
            f"On these leads all six choose {candidates[0]}."
            if len(candidates) == 1
            else "On these leads it makes a difference."
        )
    return [
        "What is served once you agree. Whatever the metric, leads are contacted from the score at which a contact "
        f"pays: {money.threshold:.4f}, which is {_exact(money.contact_cost)} / {_exact(money.conversion_value)}.",
        choice,
        f"Without a model, as many contacts at random as the team can make would earn {_money(found.at_random)}.",
    ]


def _served_rows(found: Consequences) -> tuple[list[str], list[list[str]]]:
    header, _ = _rows(found)
    by_candidate: dict[str, list[Metric]] = {}
    for metric, c in found.served.items():
        by_candidate.setdefault(c.candidate, []).append(metric)
    rows = [
        [f"{_any_of(metrics)}:\n{spoken(name)}", *_cells(found.served[metrics[0]])]
        for name, metrics in by_candidate.items()
    ]
    return ["agreed on, and served", *header[1:]], rows


def _agree(source: Source) -> list[str]:
    """The lines for the TOML file: what it says already, and empty where people have to write, which is refused."""
    stated = source.agreement
    kept = {key: value for key, value in stated if value is not None} if stated else {}
    metric, reason, by = (
        json.dumps(str(kept.get(k, "")), ensure_ascii=False) for k in ("metric", "metric_reason", "agreed_by")
    )
    return [
        f"metric = {metric}  # one of {', '.join(NAMES)}",
        f"metric_reason = {reason}  # which errors cost more, in your words",
        f"agreed_by = {by}  # who decided",
        f"agreed_on = {kept.get('agreed_on', date.today())}  # when",
    ]


def _any_of(metrics: Sequence[Metric]) -> str:
    return "any of the six" if len(metrics) == len(NAMES) else ", ".join(NAMES[m] for m in metrics)


def _html(title: str, about: Sequence[str], source: Source, compared: Compared, found: Consequences) -> str:
    header = ["metric", "candidate", "from score", "asked", "contacts", "missed conversions", "their cost"]
    header += ["wasted", "their cost", "both", "profit", "95 % interval"]
    with plot_style():
        marks = {NAMES[m]: (c.contacts, c.profit.value) for m, c in found.chosen.items()}
        picture = images(
            {"Profit by contacts": profit_by_contacts(compared.target, compared.scores, source.economics, marks)}
        )
    sections = [
        *_paragraphs(about),
        "<h2>What each metric optimises</h2>",
        bullets([f"{NAMES[metric]}: {text}" for metric, text in OPTIMISES.items()]),
        "<h2>What each would choose by itself</h2>",
        table(header, [_wide(m, c) for m, c in found.chosen.items()], text=["candidate"]),
        *_paragraphs(_read(source, found)),
        picture,
        "<h2>What is served</h2>",
        *_paragraphs(_served(source, found)),
        table(["agreed on", *header[1:]], [_wide(m, c) for m, c in found.served.items()], text=["candidate"]),
        "<h2>What to write</h2>",
        *_paragraphs([WRITE]),
        f"<pre>{escape(chr(10).join(_agree(source)))}</pre>",
    ]
    return page(title, sections)


def _wide(metric: Metric, c: Consequence) -> list[str]:
    return [
        NAMES[metric],
        spoken(c.candidate),
        f"{c.threshold:.4f}",
        _count(c.asked),
        _count(c.contacts),
        _count(c.missed),
        _money(c.missed_cost),
        _count(c.wasted),
        _money(c.wasted_cost),
        _money(c.missed_cost + c.wasted_cost),
        _money(c.profit.value),
        _interval(c.profit),
    ]


def _paragraphs(lines: Sequence[str]) -> list[str]:
    return [f"<p>{escape(line)}</p>" for line in lines]


def _count(value: float) -> str:
    return f"{value:,.1f}"


def _exact(value: float) -> str:
    """A stated number as people write it: no power of ten, no zeros behind the decimal point."""
    whole, _, rest = f"{value:,.6f}".partition(".")
    return f"{whole}.{rest}".rstrip("0").rstrip(".")


def _money(value: float) -> str:
    return number("profit", value)


def _difference(value: float) -> str:
    return f"{round(value) + 0:+,}"


def _interval(estimate: Estimate) -> str:
    return f"{_money(estimate.low)} to {_money(estimate.high)}"
