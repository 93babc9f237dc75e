"""The outcome is found by its name and its values, and what is not clear is left to a person."""

from pathlib import Path

import pytest

from service.lifecycle.inspection.outcomes import clear, verdict
from tests.service.lifecycle.inspection.exports import surveyed


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("Closed Won", "won"),
        ("gewonnen", "won"),
        ("Ja", "won"),
        ("1", "won"),
        ("Closed Lost", "lost"),
        ("Not converted", "lost"),
        ("Nein", "lost"),
        ("Negotiation", ""),
    ],
)
def test_a_value_is_won_or_lost_by_its_words(value: str, said: str) -> None:
    assert verdict(value) == said


def test_stages_are_told_apart_and_the_others_are_open(tmp_path: Path) -> None:
    found = clear(
        surveyed(tmp_path, "Closed Won", "closed won", "Closed Lost", "Disqualified", "Negotiation", "").outcomes
    )
    assert found is not None
    assert (found.column, found.won, set(found.lost)) == ("Stage", ("Closed Won",), {"Closed Lost", "Disqualified"})
    assert found.counts == {"Closed Won": 100, "Closed Lost": 50, "Disqualified": 50, "Negotiation": 50}
    assert (found.empty, found.open) == (50, 100)


def test_of_two_values_the_other_is_lost_whatever_its_word(tmp_path: Path) -> None:
    found = clear(surveyed(tmp_path, "Won", "Went elsewhere", outcome="Outcome").outcomes)
    assert found is not None
    assert (found.won, found.lost, found.open) == (("Won",), ("Went elsewhere",), 0)


def test_a_lead_that_is_still_open_is_not_taken_for_lost(tmp_path: Path) -> None:
    (found,) = surveyed(tmp_path, "Won", "Negotiation").outcomes
    assert (found.won, found.lost, found.open) == (("Won",), (), 150)


def test_answers_to_other_questions_are_no_clear_outcome(tmp_path: Path) -> None:
    survey = surveyed(tmp_path, "yes", "no", outcome="Newsletter")
    assert [candidate.column for candidate in survey.outcomes] == ["Newsletter"]
    assert clear(survey.outcomes) is None
    assert (survey.proposal.target, survey.trial, survey.ready) == (None, None, True)


def test_of_two_outcomes_neither_is_clear(tmp_path: Path) -> None:
    survey = surveyed(tmp_path, "1", "0", more={"Converted": lambda _, won: won}, outcome="Is Won")
    assert [candidate.column for candidate in survey.outcomes] == ["Is Won", "Converted"]
    assert clear(survey.outcomes) is None
