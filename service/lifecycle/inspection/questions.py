"""Asks a person what a file cannot tell: the outcome, what is known only after it, and what errors cost."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from rich.console import Console

from service.lifecycle.data.inference import READINGS
from service.lifecycle.inspection.outcomes import OutcomeCandidate, as_candidate, clear
from service.lifecycle.inspection.proposal import Proposal
from service.lifecycle.inspection.show import likely_leaks
from service.lifecycle.inspection.survey import Survey, tried, with_outcome
from service.lifecycle.runtime.runner import printable
from service.lifecycle.training.selection import Progress
from service.model.spelling import fold, split

Answer = TypeVar("Answer")
Read = Callable[[str], str]
"""Shows a prompt and returns the line that was typed; raises EOFError where none comes."""


ALL = 1000
"""Contacts per 1,000 leads of a team that can contact all of them."""


class NotAnswered(ValueError):
    """The answer cannot be used; the message says why."""


def ask(survey: Survey, console: Console, read: Read, tell: Progress = lambda _: None) -> Survey:
    """The survey with the answers in its proposal. Each question is repeated until the answer can be used."""
    outcome = _outcome(survey, console, read)
    survey = tried(survey, _without_role(with_outcome(survey.proposal, outcome), outcome.column), tell)
    likely = likely_leaks(survey)
    question = "Is {} known only after the outcome (yes: it is left out)?"
    leaks = tuple(name for name in likely if _repeat(console, read, question.format(repr(name)), "yes", yes_or_no))
    value = _repeat(console, read, "What is a conversion worth, as a number in your currency?", "", _positive)

    def cost_below(text: str) -> float:
        if (cost := _positive(text)) >= value:
            raise NotAnswered(f"it must be less than {value:g}, or no contact pays")
        return cost

    cost = _repeat(console, read, "What does one contact cost?", "", cost_below)
    economics = {"conversion_value": value, "contact_cost": cost}
    capacity = _repeat(console, read, "Of 1,000 leads, how many can the team contact?", f"{ALL:g}", _capacity)
    if capacity < ALL:
        economics["contacts_per_1000_leads"] = capacity
    proposal = replace(survey.proposal, leaks=leaks, economics=economics)
    return tried(survey, proposal, tell) if leaks else replace(survey, proposal=proposal)


def number(text: str) -> float:
    """A number as people write it. Raises NotAnswered for one that may mean two things."""
    parts = split(text)
    found = {parts.value(decimal, grouping) for decimal, grouping in READINGS} - {None} if parts else set()
    if len(found) > 1:
        raise NotAnswered(f"{text!r} may be {' or '.join(f'{each:g}' for each in found if each is not None)}")
    if not found:
        raise NotAnswered(f"{text!r} is no number")
    return float(next(each for each in found if each is not None))


def yes_or_no(text: str) -> bool:
    """Whether the answer is yes. Raises NotAnswered for another than yes and no."""
    if fold(text) not in ("y", "yes", "n", "no"):
        raise NotAnswered("answer yes or no")
    return fold(text).startswith("y")


def _outcome(survey: Survey, console: Console, read: Read) -> OutcomeCandidate:
    sure = clear(survey.outcomes)

    def column(text: str) -> OutcomeCandidate:
        name = _one_of(text, list(survey.columns))
        known = next((one for one in survey.outcomes if one.column == name), None)
        if found := known or as_candidate(survey.columns[name], named=True):
            return found
        raise NotAnswered(f"{name!r} holds too many different values for an outcome")

    found = _repeat(console, read, "Which column holds the outcome?", sure.column if sure else "", column)
    values = list(found.counts)
    _say(console, f"{found.column} holds " + ", ".join(f"{value!r} {count:,}" for value, count in found.counts.items()))

    def chosen(text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_one_of(part, values) for part in text.split(";")))

    won = _repeat(console, read, "Which value means won? Several: separate them with ;", ";".join(found.won), chosen)
    found = found.reading(won)
    values = [value for value in values if value not in won]
    if values and (found.open or len(found.lost) > 1):
        question = "Which values mean lost? Several: separate them with ;. All others are open leads and left out"
        found = replace(found, lost=_repeat(console, read, question, ";".join(found.lost), chosen))
    return found


def _one_of(text: str, names: Sequence[str]) -> str:
    alike = [name for name in names if fold(name) == fold(text)]
    found = text if text in names else alike[0] if len(alike) == 1 else None
    if found is None:
        raise NotAnswered(f"{text!r} is none of {', '.join(map(repr, names))}")
    return found


def _positive(text: str) -> float:
    if (found := number(text)) <= 0:
        raise NotAnswered("it must be more than 0")
    return found


def _capacity(text: str) -> float:
    if (found := _positive(text)) > ALL:
        raise NotAnswered(f"it must be at most {ALL:g}")
    return found


def _without_role(proposal: Proposal, outcome: str) -> Proposal:
    """The proposal in which the outcome's column has no other role."""
    if proposal.id_column == outcome:
        proposal = replace(proposal, id_column=None)
    return replace(proposal, time_column=None) if proposal.time_column == outcome else proposal


def _repeat(console: Console, read: Read, question: str, default: str, parse: Callable[[str], Answer]) -> Answer:
    prompt = printable(f"{question}{f' [{default}]' if default else ''} ")
    while True:
        text = read(prompt).strip() or default
        try:
            return parse(text)
        except NotAnswered as error:
            _say(console, str(error))


def _say(console: Console, text: str) -> None:
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True, emoji=False)
