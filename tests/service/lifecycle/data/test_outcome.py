"""The outcome of each lead is the one that its cell means, however written; a cell that means neither is named."""

from pathlib import Path
from typing import Any

import pytest

from service.lifecycle.data.source import SourceError
from tests.facts import states, stating
from tests.service.lifecycle.data.crm import Loads, cycle

DAYS = cycle(*(f"2024-{month:02d}-{day:02d}" for month in range(1, 11) for day in range(1, 21)))
"""200 leads, 20 a month from January to October, the newest of 20 October."""


@pytest.mark.parametrize(
    ("outcomes", "positive"),
    [
        (["yes", "no"], "yes"),
        (["Yes", "No"], "yes"),
        (["YES\u00a0", "no"], "yes"),
        ([1, 0], 1),
        ([1.0, 0.0], 1),
        ([True, False], True),
        (["TRUE", "FALSE"], True),
        (["YES", "No"], "yes"),
    ],
)
@pytest.mark.parametrize("file", ["csv", "parquet"])
def test_the_positive_value_is_known_however_it_is_written(
    loads: Loads, outcomes: list[Any], positive: Any, file: str
) -> None:
    leads = loads({"won": cycle(*outcomes), "x": cycle(1, 2, 3)}, file=file, positive=positive)
    assert leads.target.tolist() == cycle(1, 0)


def test_several_values_may_mean_one_outcome_and_all_others_are_open_leads(loads: Loads) -> None:
    won = cycle("Closed Won", "renewed", "closed  LOST", "In Progress", None, "lost", "new", "LOST")
    leads = loads(
        {"won": won, "x": cycle(1.5, 2, 3, "no number", 5, 6, 7, 8)},
        positive=["closed won", "Renewed"],
        negative=["closed lost", "lost"],
    )
    assert leads.target.tolist() == [1, 1, 0, 0, 0] * 25
    assert leads.frame["x"].tolist() == [1.5, 2, 3, 6, 8] * 25
    states(leads.notes, "won", 75, "open", "'In Progress': 25", "'new': 25", "blank: 25")


def test_the_notes_name_no_value_that_only_few_leads_have(loads: Loads) -> None:
    won = ["waits for Jane Doe", *cycle("yes", "no", "open")[1:]]
    leads = loads({"won": won, "x": cycle(1, 2, 3)}, negative="no")
    states(leads.notes, 67, "'open': 66", "1 other values: 1")
    assert not any("Jane" in note for note in leads.notes)


@pytest.mark.parametrize(
    ("outcomes", "keys", "facts"),
    [
        (cycle("yes", "no", "maybe"), {}, ["'yes': 67", "'no': 67", "'maybe': 66", "negative", "absent_after_days"]),
        (cycle("yes", "no", None), {}, ["'yes': 67", "'no': 67", "blank: 66", "negative", "absent_after_days"]),
        (cycle("yes", "YES"), {}, ["'yes'", "only", "absent_after_days"]),
        (cycle("yes", None), {}, ["'yes'", "only", "blank: 100", "absent_after_days"]),
        (cycle("no", "not yet"), {}, ["positive", "'yes'", "never", "'no': 100", "'not yet': 100"]),
        (cycle("yes", "no"), {"negative": ["no", "lost"]}, ["negative", "'lost'", "never", "'no': 100"]),
        (cycle("yes", "no"), {"positive": ["yes", "won"]}, ["positive", "'won'", "never"]),
        (cycle("yes", "no"), {"negative": ["YES ", "no"]}, ["positive", "negative", "'yes'", "both"]),
    ],
)
def test_a_target_whose_outcomes_cannot_be_told_is_refused_with_its_values_and_the_key_that_decides(
    loads: Loads, outcomes: list[Any], keys: dict[str, Any], facts: list[Any]
) -> None:
    with pytest.raises(SourceError, match=stating(*facts)):
        loads({"won": outcomes, "x": cycle(1, 2, 3)}, **keys)


def test_in_an_export_of_wins_a_lead_without_a_win_is_lost_once_it_is_old_enough(loads: Loads) -> None:
    won = cycle("Yes", None, None, None)
    leads = loads({"won": won, "at": DAYS, "x": cycle(1, 2, 3)}, time_column="at", absent_after_days=90)
    assert leads.times is not None
    old = [day <= "2024-07-22" for day in DAYS]
    assert leads.target.tolist() == [int(cell == "Yes") for cell, kept in zip(won, old, strict=True) if kept]
    # 20 leads a month, those from 1 January to 20 July are at least 90 days older than the newest.
    states(leads.notes, 105, "lost", "blank: 105", 60, "younger", 15, "2024-10-20", "row 201")


def test_with_a_limit_of_days_other_values_are_no_win_and_a_young_win_says_nothing_yet(loads: Loads) -> None:
    won = cycle("yes", "open", "no", "yes")
    keys = {"time_column": "at", "absent_after_days": 30, "negative": "no"}
    leads = loads({"won": won, "at": DAYS, "x": cycle(1, 2, 3)}, **keys)
    assert leads.target.tolist() == [1, 0, 0, 1] * 45
    states(leads.notes, "'open': 45", 20, "younger", 10, "2024-10-20")


@pytest.mark.parametrize(
    ("days", "facts"),
    [
        ([*DAYS[:-1], "2093-10-20"], ["row 201", "'at'", "future"]),
        (cycle("2024-10-01", "2024-10-02"), ["no lead", "final", 200, "younger"]),
    ],
)
def test_ages_that_cannot_be_told_are_refused(loads: Loads, days: list[str], facts: list[Any]) -> None:
    with pytest.raises(SourceError, match=stating(*facts)):
        loads({"won": cycle("yes", None), "at": days, "x": cycle(1, 2, 3)}, time_column="at", absent_after_days=90)


LEADS = {"id": [f"{i:05d}" for i in range(200)], "x": cycle(1, 2, 3), "at": DAYS}


@pytest.fixture
def told(loads: Loads, tmp_path: Path) -> Loads:
    """Loads LEADS with a file of these outcomes beside them, a line each."""

    def loaded(lines: list[str], header: str = "id,won", outcomes: Any = (), **keys: Any) -> Any:
        (tmp_path / "outcomes.csv").write_text("\n".join([header, *lines]))
        beside = {"path": str(tmp_path / "outcomes.csv")} | dict(outcomes)
        return loads(LEADS | keys.pop("columns", {}), outcomes=beside, id_column="id", time_column="at", **keys)

    return loaded


def test_outcomes_beside_the_leads_join_by_id_and_a_lead_without_one_is_open(told: Loads) -> None:
    lines = [f"{i:05d},{'YES' if i % 5 == 0 else 'No'}" for i in range(120)]
    leads = told([*lines, "x1,yes", "x2,no", '="00130",yes', ",no"], columns={"won": [None] * 200})
    assert leads.ids is not None
    assert leads.ids.tolist() == [f"{i:05d}" for i in [*range(120), 130]]
    assert leads.target.tolist() == [int(i % 5 == 0) for i in range(120)] + [1]
    assert [f.name for f in leads.schema.features] == ["x"]
    states(leads.notes, "outcomes.csv", "2 of its leads", "leads.csv")
    states(leads.notes, "outcomes.csv", "row 125", "no lead is named")
    states(leads.notes, 79, "open", "blank: 79")
    states(leads.notes, "won", "left out", "outcomes.csv")


def test_the_digest_of_the_leads_is_another_when_the_outcomes_are(told: Loads) -> None:
    lines = [f"{i:05d},{'yes' if i % 5 == 0 else 'no'}" for i in range(120)]
    assert told(lines).sha256 == told(lines).sha256 != told([*lines, "x1,yes"]).sha256


def test_columns_of_the_outcomes_have_names_of_their_own_and_are_no_input(told: Loads) -> None:
    lines = [f"{i:05d};{'closed' if i % 5 == 0 else 'dropped'}" for i in range(200)]
    keys = {"id_column": "Lead", "target_column": "State"}
    leads = told(lines, "lead;state", keys, positive="closed", columns={"STATE": cycle("a", "b", "c", "d")})
    assert leads.target.tolist() == [1, 0, 0, 0, 0] * 40
    assert [f.name for f in leads.schema.features] == ["x"]


def test_of_two_outcomes_of_a_lead_the_last_by_time_holds_and_without_times_the_lead_is_left_out(told: Loads) -> None:
    lines = [f"{i:05d},{'yes' if i % 5 == 0 else 'no'},2024-11-01" for i in range(200)]
    lines = ["00001,yes,2024-11-02", *lines, "00002,yes,2024-10-01"]
    leads = told(lines, "id,won,when", {"time_column": "when"})
    assert leads.target.tolist() == [1, 1, 0, 0, 0] + [1, 0, 0, 0, 0] * 39
    leads = told(lines, "id,won,when")
    assert leads.ids is not None
    assert leads.ids.tolist() == [f"{i:05d}" for i in range(200) if i not in (1, 2)]
    states(leads.notes, "2 leads have two outcomes", "outcomes.time_column")
    states(leads.notes, "rows 2, 4, 5, 203", "not used")


def test_wins_alone_beside_the_leads_make_old_leads_without_one_losses(told: Loads) -> None:
    wins = [f"{i:05d},yes,2024-12-19" for i in range(0, 200, 4)]
    leads = told(wins, "id,won,when", {"time_column": "when"}, absent_after_days=90)
    # Ages are counted to the last outcome: what came until 20 September is old enough.
    assert leads.target.tolist() == [1, 0, 0, 0] * 45
    states(leads.notes, 135, "lost", 20, "younger", 5, "2024-12-19", "outcomes.csv")


@pytest.mark.parametrize(
    ("lines", "keys", "facts"),
    [
        (["A1,yes", "A2,no"], {}, ["outcomes.csv", "none", 2, "leads.csv", "'id'"]),
        (["1.23457E+17,yes", "00002,no"], {}, ["outcomes.csv", "'1.23457E+17'", "digits"]),
        (["00001,yes", "00002,open", "00003,no"], {}, ["outcomes.csv", "'open': 1", "negative"]),
        (["00001,yes", "00002,no"], {"outcomes": {"target_column": "state"}}, ["outcomes.csv", "no column 'state'"]),
    ],
)
def test_outcomes_that_cannot_be_used_are_refused(
    told: Loads, lines: list[str], keys: dict[str, Any], facts: list[Any]
) -> None:
    with pytest.raises(SourceError, match=stating(*facts)):
        told(lines, **keys)
