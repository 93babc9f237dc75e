"""What the weekly report says, in words that need no statistics. It holds totals, and no lead."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.history import Contacts, Decision, DriftCheck, Evaluation, OutcomeSelection
from service.lifecycle.reporting.model_changes import changes
from service.lifecycle.reporting.words import amount, counted, day, give_or_take

WEEK = timedelta(days=7)
OLD = timedelta(days=2)
"""An evaluation runs every day: when the newest one is older, more than one run has failed."""

SHOWN = 6
"""Sentences of a section at most: the report is one page."""

GROUPS = {
    "line": "the model: the best scores",
    "exploration": "the model: at random, to learn from",
    "sales": "sales, without the model",
}


@dataclass(frozen=True)
class Section:
    """A title, sentences, and a table where there is a `header`; its first column is text."""

    title: str
    sentences: tuple[str, ...]
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Sheet:
    """The report: `about` says of which leads it is, `headline` what the model earned, in a sentence."""

    title: str
    about: str
    headline: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class WeekHistory:
    """What the history holds for the report made at `now`: the newest evaluation, and the one of a week before.

    There is no `evaluation` before the first outcomes are final.
    """

    now: datetime
    evaluation: Evaluation | None
    before: Evaluation | None
    decisions: Sequence[Decision]
    drift: DriftCheck | None


def sheet(week: WeekHistory) -> Sheet:
    """The report of the week that ends now; without contacts that were evaluated it holds the model alone."""
    title, evaluation = f"Lead scoring: week to {day(week.now)}", week.evaluation
    model = Section("The model", _most([*changes(week.decisions, week.now - WEEK), *_drift(week.drift)]))
    contacts = evaluation.contacts if evaluation else None
    if evaluation is None or contacts is None:
        why = (
            "the newest evaluation does not count contacts"
            if evaluation
            else "no evaluation of final outcomes is there"
        )
        about = "What becomes of a lead is known some time after it was scored."
        return Sheet(title, about, f"What the model earned is not known yet: {why}.", (model,))
    return Sheet(
        title=title,
        about=(
            f"Of leads scored from {day(evaluation.since)} to {day(evaluation.until)}: what became of later ones is "
            f"not final. Amounts are in the currency in which the value of a conversion was agreed."
        ),
        headline=headline(contacts),
        sections=(
            _brought(contacts, week.before.contacts if week.before else None),
            _called(contacts),
            model,
            Section("The data", _most(list(_data(evaluation, week.now)))),
        ),
    )


def headline(contacts: Contacts) -> str:
    """What the model's contacts earned against as many at random, in a sentence."""
    earned = contacts.earned
    if earned is None:
        return f"What the model earned against random calling is not known: {contacts.no_estimate}."
    if earned.low > 0:
        return f"The model earned {give_or_take(earned)}, more than random calling."
    if earned.high < 0:
        return f"The model earned {give_or_take(earned, -1)}, less than random calling."
    return (
        "Whether the model earned more than random calling cannot be told yet: "
        f"it is {give_or_take(earned)}, which may be nothing."
    )


def _brought(contacts: Contacts, before: Contacts | None) -> Section:
    made = sum(contacts.groups[name].with_outcome for name in ("line", "exploration"))
    profit, earned = contacts.revenue - contacts.cost, contacts.earned
    rows = [("the model's contacts", *map(amount, (made, contacts.revenue, contacts.cost, profit)))]
    sentences = []
    if earned:
        random = (made, contacts.revenue - earned.value, contacts.cost, profit - earned.value)
        rows.append(("as many at random, estimated", *map(amount, random)))
        known = " It is known from leads contacted at random." if contacts.groups["exploration"].with_outcome else ""
        sentences.append(
            f"The estimate is {amount(earned.value)}; the true amount lies between {amount(earned.low)} and "
            f"{amount(earned.high)} in 19 of 20 such reports.{known}"
        )
    if before and before.earned:
        sentences.append(f"The report a week before: {headline(before)}")
    return Section(
        "What it brought", tuple(sentences), ("", "known contacts", "revenue", "cost", "left over"), tuple(rows)
    )


def _called(contacts: Contacts) -> Section:
    rows = []
    for name, who in GROUPS.items():
        group = contacts.groups[name]
        share = f"{group.converted / group.with_outcome:.1%}" if group.with_outcome else ""
        numbers = (group.contacted, group.with_outcome, group.converted)
        rows.append((who, *(f"{number:,}" for number in numbers), share))
    sentences = [f"{contacts.leads:,} leads were scored."]
    if contacts.doubt:
        sentences.append(f"Calls may be missing here: {contacts.doubt}.")
    if contacts.not_reached:
        sentences.append(f"{counted(contacts.not_reached, 'lead')} to contact got no call.")
    if not contacts.from_files:
        sentences.append("No list of calls came from sales: whoever was to be contacted counts as contacted.")
    header = ("chosen by", "contacted", "with outcome", "converted", "share")
    return Section("Whom we contacted", (" ".join(sentences),), header, tuple(rows))


def _drift(check: DriftCheck | None) -> Iterator[str]:
    if check is None:
        yield "Whether this week's leads are like those that the model learned from was not checked."
    elif check.found:
        drifted = [feature.feature for feature in check.features if feature.drifted]
        most = f", most of all in {', '.join(drifted[:3])}" if drifted else ""
        yield f"This week's leads differ from those that the model learned from{most}."
    else:
        yield "This week's leads are like those that the model learned from."


def _data(evaluation: Evaluation, now: datetime) -> Iterator[str]:
    if now - evaluation.time > OLD:
        yield f"These figures are old: the newest evaluation is of {day(evaluation.time)}."
    if evaluation.selection:
        yield _whom(evaluation.selection)
    if evaluation.complete is None:
        yield "Whether all scores were recorded was not checked."
    elif evaluation.complete:
        yield "All scores were recorded."
    else:
        yield f"{evaluation.missing_records:.1%} of the scores were not recorded: what is said here may be one-sided."
    if aside := {kind: rows for kind, rows in evaluation.set_aside.items() if rows}:
        rows = ", ".join(f"{number:,} of {kind}" for kind, number in aside.items())
        yield f"Rows that could not be used and are set aside: {rows}."
    else:
        yield "No row had to be set aside."
    lost = evaluation.taken_as_lost
    also = f"; {counted(lost, 'other')} without one count as lost" if lost else ""
    yield f"{counted(evaluation.without_outcome, 'lead')} of that time should have an outcome and have none{also}."


def _whom(selection: OutcomeSelection) -> str:
    """Of whom the report holds; the history's own sentence names keys of the lead source."""
    known = f"{selection.with_outcome:,} of {selection.leads:,} leads have an outcome"
    if selection.explored:
        return (
            f"{known}, {selection.explored:,} of them as they were contacted at random; from these all are estimated."
        )
    if selection.depends_on_decision or selection.depends_on_score:
        return f"{known}, and the others are not like them: what is said here holds for these leads alone."
    return f"{known}, and the others are like them."


def _most(sentences: Sequence[str]) -> tuple[str, ...]:
    left = len(sentences) - SHOWN
    return tuple(sentences) if left <= 0 else (*sentences[:SHOWN], f"And {left} more, on the model's page.")
