"""Ids and times are found, and why a column that looks like one is not taken is said."""

from pathlib import Path

from service.lifecycle.inspection.roles import RoleCandidate, guess
from service.lifecycle.inspection.survey import look_at
from tests.facts import states
from tests.service.lifecycle.inspection.exports import surveyed


def named(candidates: list[RoleCandidate], column: str) -> RoleCandidate:
    return next(candidate for candidate in candidates if candidate.column == column)


def test_the_column_with_another_code_for_each_lead_is_the_id(tmp_path: Path) -> None:
    more = {"Owner ID": lambda row, _: f"U{row % 7}", "Account Id": lambda row, _: row if row % 2 else ""}
    survey = surveyed(tmp_path, more=more)
    assert survey.proposal.id_column == "Lead ID"
    states(named(survey.ids, "Owner ID").problem, 293)
    states(named(survey.ids, "Account Id").problem, 150)


def test_an_id_that_all_leads_share_and_one_that_a_spreadsheet_shortened_are_not_taken(tmp_path: Path) -> None:
    more = {"A id": lambda *_: "same", "B id": lambda *_: "1.23457E+17"}
    survey = surveyed(tmp_path, more=more)
    states(named(survey.ids, "A id").problem, 300, "'same'")
    states(named(survey.ids, "B id").problem, "'1.23457E+17'", "shortened")
    assert survey.proposal.id_column == "Lead ID"


def test_amounts_that_are_all_different_are_no_ids(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text(
        "Umsatz,Status\n" + "".join(f"{7 * row}.5,{'won' if row % 3 else 'lost'}\n" for row in range(100))
    )
    assert look_at(tmp_path / "leads.csv").ids == []


def test_the_time_of_arrival_is_taken_and_that_of_a_later_event_is_not(tmp_path: Path) -> None:
    more = {"Last Modified": lambda row, _: f"2025-01-{row % 28 + 1:02}"}
    survey = surveyed(tmp_path, more=more)
    assert survey.proposal.time_column == "Created"
    states(named(survey.times, "Created").evidence, "2024-01-01", "order")
    assert guess([named(survey.times, "Last Modified")]) is None


def test_days_that_may_be_months_are_left_to_a_person(tmp_path: Path) -> None:
    more = {"Date": lambda row, _: f"{row % 12 + 1:02}/{row % 11 + 1:02}/2024"}
    states(named(surveyed(tmp_path, more=more).times, "Date").problem, "time_format", "day first", "month first")


def test_a_time_that_some_leads_lack_is_not_taken(tmp_path: Path) -> None:
    more = {"Received": lambda row, _: f"2025-01-{row % 28 + 1:02}" if row % 3 else ""}
    states(named(surveyed(tmp_path, more=more).times, "Received").problem, 100, 300)
