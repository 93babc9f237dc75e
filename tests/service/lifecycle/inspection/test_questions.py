"""A person is asked until the answers can be used, and the answers are in the lead source."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from service.lifecycle.data.source import load_source
from service.lifecycle.inspection.draft import draft
from service.lifecycle.inspection.questions import NotAnswered, ask, number
from service.lifecycle.inspection.survey import Survey
from tests.facts import states
from tests.service.lifecycle.inspection.exports import surveyed


def answering(*answers: str) -> tuple[Callable[[str], str], list[str]]:
    """A person who gives these answers, and the prompts that were shown."""
    prompts: list[str] = []
    given: Iterator[str] = iter(answers)

    def read(prompt: str) -> str:
        prompts.append(prompt)
        return next(given)

    return read, prompts


def asked(survey: Survey, *answers: str) -> tuple[Survey, list[str], str]:
    read, prompts = answering(*answers)
    shown = io.StringIO()
    return ask(survey, Console(file=shown, width=200), read), prompts, shown.getvalue()


def test_clear_guesses_are_taken_with_enter_and_money_has_no_default(tmp_path: Path) -> None:
    survey, prompts, said = asked(surveyed(tmp_path), "", "", "", "900 €", "", "1000", "40", "")
    assert (survey.proposal.target, survey.proposal.won) == ("Stage", ("Closed Won",))
    states(said, "is no number", "less than 900")
    states(prompts[0], "[Stage]")
    toml = tmp_path / "leads.toml"
    toml.write_text(draft(survey, toml), encoding="utf-8")
    source = load_source(toml)
    assert (source.economics.conversion_value, source.economics.contact_cost) == (900, 40)
    assert source.economics.contacts_per_1000_leads == 1000
    assert (source.id_column, source.positive) == ("Lead ID", ("Closed Won",))


def test_how_many_leads_the_team_can_contact_is_asked_and_written(tmp_path: Path) -> None:
    survey, _, said = asked(surveyed(tmp_path), "", "", "900", "40", "1001", "0", "250")
    states(said, "at most 1000", "more than 0")
    toml = tmp_path / "leads.toml"
    toml.write_text(draft(survey, toml), encoding="utf-8")
    assert load_source(toml).economics.contacts_per_1000_leads == 250


def test_a_column_that_was_no_clear_guess_is_named_and_a_wrong_name_asked_for_again(tmp_path: Path) -> None:
    survey = surveyed(tmp_path, "bought", "left", outcome="What happened")
    found, prompts, said = asked(survey, "", "no such", "Lead ID", "what HAPPENED", "sold", "Bought", "9", "1", "")
    states(said, "'no such'", "'What happened'", "too many different values", "'sold'", "'bought'")
    assert "[" not in prompts[0]
    assert (found.proposal.target, found.proposal.won, found.ready) == ("What happened", ("bought",), True)


def test_of_open_leads_the_losing_values_are_asked_and_a_winning_one_is_none_of_them(tmp_path: Path) -> None:
    survey = surveyed(tmp_path, "Closed Won", "Closed Lost", "Negotiation", "Dropped")
    found, _, said = asked(survey, "", "", "Closed Won", "closed lost; Dropped", "9", "1", "")
    states(said, "'Closed Won'", "none of")
    assert found.proposal.lost == ("Closed Lost", "Dropped")
    assert found.trial is not None
    assert found.trial.leads is not None
    assert len(found.trial.leads.target) == 225


def test_a_likely_leak_is_asked_about(tmp_path: Path) -> None:
    more = {"Contract": lambda row, won: row + 1000 if won == "Closed Won" else 0}
    survey = surveyed(tmp_path, more=more)
    found, prompts, _ = asked(survey, "", "", "maybe", "y", "9", "1", "")
    states(prompts[2], "'Contract'")
    assert found.proposal.leaks == ("Contract",)
    assert found.trial is not None
    assert found.trial.leads is not None
    assert "Contract" not in found.trial.leads.frame
    kept, _, _ = asked(survey, "", "", "no", "9", "1", "")
    assert kept.proposal.leaks == ()


@pytest.mark.parametrize(
    ("text", "value"), [("1500", 1500), ("1,234.50", 1234.5), ("1.234,50 €", 1234.5), ("12,5", 12.5), ("$40", 40)]
)
def test_money_is_read_as_people_write_it(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["1.500", "1,500", "many", ""])
def test_money_that_may_mean_two_things_is_asked_for_again(text: str) -> None:
    with pytest.raises(NotAnswered):
        number(text)
