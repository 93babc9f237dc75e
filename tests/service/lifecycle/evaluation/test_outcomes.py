import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from service.lifecycle.data.leads import outcome_values
from service.lifecycle.data.outcome import meaning
from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.data.sample import Sample
from service.lifecycle.data.source import Source, SourceError, load_source
from service.lifecycle.evaluation.labelled import matured
from service.lifecycle.evaluation.outcomes import Outcomes, judge, read_outcomes
from service.model.schema import Feature, LeadSchema
from service.storage import open_storage
from tests.facts import states
from tests.service.lifecycle.evaluation.row_wise import as_scored
from tests.service.lifecycle.records import NOON, record, upload
from tests.service.lifecycle.test_train import EXAMPLES
from tests.service.lifecycle.world import DECIDED

CRM = f"""
name = "crm"
path = "leads.csv"
target_column = "won"
positive = {{positive}}
{DECIDED}"""


def crm(folder: Path, positive: str, own: tuple[str, ...], more: str = "") -> Source:
    """A source whose own file holds these outcomes, with further lines of TOML."""
    toml = folder / "crm.toml"
    toml.write_text(CRM.format(positive=f"{positive}\n{more}"))
    days = [f"2026-01-{day + 1:02d}" for day in range(len(own))]
    pd.DataFrame({"visits": days, "at": days, "won": own}).to_csv(folder / "leads.csv", index=False)
    return load_source(toml)


def read(
    folder: Path, positive: str = '"yes"', own: tuple[str, ...] = ("yes", "no"), more: str = "", **files: str | bytes
) -> Outcomes:
    leads = open_storage(str(folder))
    for name, content in files.items():
        leads.create(f"outcomes/{name}", content.encode() if isinstance(content, str) else content)
    source = crm(folder, positive, own, more)
    return read_outcomes(source, outcome_values(source), leads)


def named(outcomes: Outcomes) -> list[tuple[str, int, str]]:
    return [(bad.file.rpartition("/")[2], bad.row, bad.column) for bad in outcomes.rejected]


def test_outcomes_come_in_pieces_and_the_later_file_holds(tmp_path: Path) -> None:
    outcomes = read(tmp_path, a="lead_id,won\n1,no\n2,no\n", b="won,lead_id\nyes,2\nno,3\nyes,4\n")
    assert outcomes.converted == {"1": False, "2": True, "3": False, "4": True}
    assert outcomes.rejected == ()


def test_parquet_is_read_too_and_ids_of_a_gappy_number_column_are_whole_numbers(tmp_path: Path) -> None:
    file = io.BytesIO()
    pd.DataFrame({"lead_id": [1.0, None, 3.0], "won": [True, True, False]}).to_parquet(file)
    outcomes = read(tmp_path, "true", ("true", "false"), a=file.getvalue())
    assert outcomes.converted == {"1": True, "3": False}
    assert named(outcomes) == [("a", 2, "lead_id")]


@pytest.mark.parametrize(
    ("positive", "own", "cells"),
    [
        ("true", ("true", "false"), ["True", "FALSE"]),
        ("1", ("1", "0"), ["1.0", "0.0"]),
        ("1", ("1.0", "0.0"), ["1", "0"]),
        ('"yes"', ("yes", "no"), [" yes", "no"]),
        ('"yes"', ("yes", "no"), ["Yes", "NO "]),
        ('"yes"', ("YES", "No"), ["yes", "no"]),
        ("1.5", ("1.5", "2"), ["1.50", "2"]),
    ],
)
def test_both_outcomes_may_be_written_in_other_ways(
    positive: str, own: tuple[str, str], cells: list[str], tmp_path: Path
) -> None:
    outcomes = read(tmp_path, positive, own, a=f"lead_id,won\na,{cells[0]}\nb,{cells[1]}\n")
    assert outcomes.converted == {"a": True, "b": False}
    assert outcomes.rejected == ()


def test_the_negative_value_is_the_sources_and_not_what_most_rows_say(tmp_path: Path) -> None:
    outcomes = read(tmp_path, a="lead_id,won\n1,open\n2,open\n3,open\n4,no\n5,yes\n", b="lead_id,won\n6,yes\n7,no\n")
    assert outcomes.converted == {"6": True, "7": False}
    assert named(outcomes) == [("a", 0, "")]
    states(outcomes.rejected[0].reason, "'open'", "3 rows", "row 2")


def test_where_negative_values_are_stated_all_others_and_blanks_are_open_leads(tmp_path: Path) -> None:
    file = "lead_id,won\n1,WON\n2,renewed\n3,Lost\n4,withdrawn\n5,whatever\n6,\n"
    outcomes = read(
        tmp_path,
        '["won", "Renewed"]',
        ("won", "renewed", "lost", "withdrawn"),
        'negative = ["lost", "Withdrawn"]',
        a=file,
    )
    assert outcomes.converted == {"1": True, "2": True, "3": False, "4": False}
    assert outcomes.open == {"5", "6"}
    assert outcomes.rejected == ()


def test_a_later_file_may_reopen_a_lead_and_close_it_again(tmp_path: Path) -> None:
    lost, reopened = "lead_id,won\n1,no\n2,no\n", "lead_id,won\n1,open\n2,open\n"
    outcomes = read(tmp_path, more='negative = "no"', a=lost, b=reopened, c="lead_id,won\n2,yes\n")
    assert outcomes.converted == {"2": True}
    assert outcomes.open == {"1"}


def test_files_of_outcomes_have_the_columns_and_times_of_the_one_beside_the_leads(tmp_path: Path) -> None:
    (tmp_path / "first.csv").write_text("lead,state,closed\n1,yes,2026-01-01\n2,no,2026-01-01\n")
    more = """id_column = "visits"
        outcomes = {path = "first.csv", id_column = "lead", target_column = "state", time_column = "closed"}"""
    file = "Lead,STATE,closed\n1,no,2026-02-01\n1,yes,2026-03-01\n2,yes,2026-02-01\n2,no,2026-02-01\n"
    outcomes = read(tmp_path, more=more, a=file)
    assert outcomes.converted == {"1": True}
    assert [bad.row for bad in outcomes.rejected] == [4, 5]
    assert outcomes.until == datetime(2026, 3, 1, tzinfo=UTC)


ABSENT = 'time_column = "at"\nabsent_after_days = 30'


def test_in_files_of_wins_a_value_that_the_leads_do_not_have_is_not_taken_for_no_win(tmp_path: Path) -> None:
    own = ("yes", "in talks")
    outcomes = read(tmp_path, own=own, more=ABSENT, a="lead_id,won\n1,YES\n2,in talks\n3,\n", b="lead_id,won\n4,Ja\n")
    assert outcomes.converted == {"1": True}
    assert outcomes.open == {"2", "3"}
    assert named(outcomes) == [("b", 0, "")]
    states(outcomes.doubt_of_absence, "b", "set aside")


def test_a_file_of_conversions_alone_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, a="lead_id,won\n1,Yes\n2,Yes\n").converted == {"1": True, "2": True}


def test_the_sample_is_its_own_data(tmp_path: Path) -> None:
    source = load_source(EXAMPLES / "sample.toml").model_copy(update={"sample": Sample(rows=200)})
    leads = open_storage(str(tmp_path))
    leads.create("outcomes/a.csv", b"lead_id,converted\n1,TRUE\n2,false\n")
    leads.create("outcomes/b.csv", b"lead_id,converted\n3,1\n4,0\n")
    outcomes = read_outcomes(source, outcome_values(source), leads)
    assert outcomes.converted == {"1": True, "2": False}
    assert [Path(bad.file).name for bad in outcomes.rejected] == ["b.csv"]


@pytest.mark.parametrize("own", [("yes", "YES"), ("no", "No")])
def test_a_source_that_does_not_hold_both_outcomes_says_neither(own: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="column 'won'"):
        read(tmp_path, own=own, a="lead_id,won\n1,yes\n")


def test_many_unknown_spellings_are_counted_and_a_few_named(tmp_path: Path) -> None:
    (bad,) = read(tmp_path, a="lead_id,won\n" + "".join(f"{i},{'x' * 99}{i}\n" for i in range(1_000))).rejected
    assert "and 995 other spellings" in bad.reason
    assert len(bad.reason) < 1_000


CASES = (str, str.upper, str.lower, str.title, str.swapcase, str.casefold, lambda text: f" {text} ")
WORDS = st.text(st.characters(categories=["L", "N", "P"], exclude_characters='"'), min_size=1, max_size=9)


@given(
    positive=st.sampled_from(["yes", "Ja", "won", "1", "true"]) | WORDS,
    negative=WORDS,
    cells=st.lists(st.sampled_from(CASES) | WORDS, min_size=1, max_size=8),
)
@example(positive="yes", negative="no", cells=[str.title, str.title, str.title])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_a_lead_that_a_file_calls_converted_in_any_case_is_never_booked_as_lost(
    tmp_path_factory: pytest.TempPathFactory, positive: str, negative: str, cells: list[Any]
) -> None:
    spelled = [cell(positive) if callable(cell) else cell for cell in cells]
    # A source whose two outcomes differ in case alone, or are one number, is refused.
    assume(not {meaning(case(positive)) for case in CASES} & {meaning(negative)})
    frame = pd.DataFrame({"lead_id": [f"L{row}" for row in range(len(spelled))], "won": spelled})
    key = json.dumps(positive, ensure_ascii=False)
    outcomes = read(tmp_path_factory.mktemp("crm"), key, (positive, negative), a=frame.to_csv(index=False))
    for lead, cell, text in zip(frame["lead_id"], cells, spelled, strict=True):
        if callable(cell):
            assert outcomes.converted.get(lead, True), text
    assert bool(outcomes.converted) != bool(outcomes.rejected)


def test_rows_without_lead_or_outcome_are_rejected_and_the_others_count(tmp_path: Path) -> None:
    outcomes = read(tmp_path, a="lead_id,won\n1,yes\n ,yes\n3,\n4,no\n")
    assert outcomes.converted == {"1": True, "4": False}
    assert named(outcomes) == [("a", 3, "lead_id"), ("a", 4, "won")]
    assert outcomes.rejected[1].lead_id == "3"


def test_two_outcomes_of_one_lead_in_one_file_are_rejected_and_name_each_other(tmp_path: Path) -> None:
    outcomes = read(tmp_path, a="lead_id,won\n1,yes\n2,no\n1,no\n2,no\n")
    assert outcomes.converted == {"2": False}
    assert named(outcomes) == [("a", 2, "won"), ("a", 4, "won")]
    assert "rows 2, 4" in outcomes.rejected[0].reason
    assert outcomes.rejected[0].content == "lead_id=1 won=yes"


def test_a_contradiction_does_not_undo_what_an_earlier_file_said(tmp_path: Path) -> None:
    outcomes = read(tmp_path, a="lead_id,won\n1,yes\n9,no\n", b="lead_id,won\n1,yes\n1,no\n")
    assert outcomes.converted["1"] is True


def test_a_file_with_an_unknown_spelling_is_set_aside_whole(tmp_path: Path) -> None:
    outcomes = read(tmp_path, a="lead_id,won\n1,yes\n2,no\n", b="lead_id,won\n5,yes\n6,nope\n,no\n8,\n")
    assert outcomes.converted == {"1": True, "2": False}
    assert named(outcomes) == [("b", 0, "")]
    states(outcomes.rejected[0].reason, "neither", "'yes'", "'no'", "'nope'", "1 rows", "row 3")


def test_a_consoles_folder_is_no_file(tmp_path: Path, gcs_url: str) -> None:
    leads = open_storage(f"{gcs_url}/leads")
    leads.create("outcomes/", b"")
    leads.create("outcomes/2026/", b"")
    leads.create("outcomes/2026/a.csv", b"lead_id,won\n1,yes\n")
    source = crm(tmp_path, '"yes"', ("yes", "no"))
    assert read_outcomes(source, outcome_values(source), leads) == Outcomes({"1": True}, ())


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        ("lead_id,gained\n1,yes\n", ["no column 'won'", "lead_id, gained"]),
        (b"\x1f\x8b broken", ["broken gzip"]),
        (b"PAR1 broken", ["broken Parquet"]),
        ("lead_id,won\n1,yes,3\n", ["3 cells", 2]),
        ("", ["empty"]),
    ],
)
def test_a_file_that_is_not_what_it_should_be_stops_nothing(content: Any, facts: list[object], tmp_path: Path) -> None:
    outcomes = read(tmp_path, a=content, b="lead_id,won\n2,yes\n")
    assert outcomes.converted == {"2": True}
    (bad,) = outcomes.rejected
    assert (bad.file, bad.row) == (str(tmp_path / "outcomes/a"), 0)
    states(bad.reason, *facts)


def test_a_lead_without_an_outcome_is_no_failure_and_a_young_one_is_not_counted() -> None:
    day = timedelta(days=1)
    scored = as_scored([record("old", NOON - 31 * day), record("silent", NOON - 30 * day), record("young", NOON)])
    judged = judge(scored, Outcomes({"old": True, "young": True, "stranger": False}, ()), NOON, 30 * day)
    assert list(judged.scored.table["lead_id"]) == ["old"]
    assert judged.target.tolist() == [1]
    assert judged.without_outcome == 1
    assert judged.not_scored == 1


def test_a_scored_lead_without_an_outcome_is_lost_after_the_days_that_the_source_states() -> None:
    day = timedelta(days=1)
    names = {"won": 31, "silent": 30, "open": 40, "unclear": 40, "young": 29}
    scored = as_scored([record(lead, NOON - age * day) for lead, age in names.items()])
    open_, contradicted = frozenset({"open"}), frozenset({"unclear"})
    outcomes = Outcomes({"won": True, "young": True}, (), open_, contradicted)
    judged = judge(scored, outcomes, NOON, 30 * day, absent_is_lost=True)
    found = dict(zip(judged.scored.table["lead_id"], judged.target.tolist(), strict=True))
    assert found == {"open": 0, "won": 1, "silent": 0}
    assert (judged.taken_as_lost, judged.without_outcome) == (2, 1)

    until = replace(outcomes, until=NOON - 9 * day)
    judged = judge(scored, until, NOON, 30 * day, absent_is_lost=True)
    assert set(judged.scored.table["lead_id"]) == {"open"}  # of leads as old as "won", only conversions are known


@pytest.mark.parametrize(
    "doubted", [Outcomes({}, ()), Outcomes({"won": True}, (Rejected(file="a", row=0, column="", reason="r"),))]
)
def test_nobody_is_judged_while_files_may_be_missing_where_silence_is_a_loss(doubted: Outcomes) -> None:
    day = timedelta(days=1)
    scored = as_scored([record("won", NOON - 31 * day), record("silent", NOON - 31 * day)])
    judged = judge(scored, doubted, NOON, 30 * day, absent_is_lost=True)
    assert (judged.taken_as_lost, len(judged.scored)) == (0, 0)  # conversions alone would be a rate of 100 %
    assert doubted.doubt_of_absence


def test_retraining_takes_a_scored_lead_without_an_outcome_as_lost(tmp_path: Path) -> None:
    schema = LeadSchema(features=(Feature(name="visits", kind="number"),))
    source = crm(tmp_path, '"yes"', ("Yes", "", "no"), f'{ABSENT}\nleave_out = ["visits"]')
    (tmp_path / "leads.csv").write_text("visits,at,won\n1,2026-01-01,Yes\n2,2026-01-02,\n3,2026-03-01,no\n")
    source = source.model_copy(update={"leave_out": ()})
    leads, predictions = open_storage(str(tmp_path / "store")), open_storage(str(tmp_path / "predictions"))
    at = datetime(2026, 4, 1, 9, tzinfo=UTC)
    upload(predictions, [record(lead, at, inputs={"visits": 1}) for lead in ("a", "b")])
    leads.create("outcomes/a.csv", b"lead_id,won\na,YES\n")
    every = matured(source, schema, predictions, leads, at + timedelta(days=31))
    assert every.leads.target.tolist() == [1, 0, 1, 0]
    assert every.place.tolist() == [1, 2, 0, 0]
