import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from service.lifecycle.data.leads import outcome_values
from service.lifecycle.data.outcome import meaning
from service.lifecycle.data.sample import Sample
from service.lifecycle.data.source import Source, SourceError, load_source
from service.lifecycle.evaluation.outcomes import Outcomes, judge, read_outcomes
from service.lifecycle.evaluation.scored import as_scored
from service.storage import open_storage
from tests.facts import states
from tests.service.lifecycle.records import NOON, record
from tests.service.lifecycle.test_train import EXAMPLES

CRM = """
name = "crm"
path = "leads.csv"
target_column = "won"
positive = {positive}
metric = "roc_auc"
metric_reason = "a test"
agreed_by = "us"
agreed_on = 2026-01-01
[economics]
conversion_value = 100
contact_cost = 10
"""


def crm(folder: Path, positive: str, own: tuple[str, str]) -> Source:
    """A source whose own file holds these two outcomes."""
    toml = folder / "crm.toml"
    toml.write_text(CRM.format(positive=positive))
    pd.DataFrame({"visits": [1, 2], "won": own}).to_csv(folder / "leads.csv", index=False)
    return load_source(toml)


def read(folder: Path, positive: str = '"yes"', own: tuple[str, str] = ("yes", "no"), **files: str | bytes) -> Outcomes:
    leads = open_storage(str(folder))
    for name, content in files.items():
        leads.create(f"outcomes/{name}", content.encode() if isinstance(content, str) else content)
    source = crm(folder, positive, own)
    return read_outcomes(source, outcome_values(source), leads)


def named(outcomes: Outcomes) -> list[tuple[str, int, str]]:
    return [(bad.file.rpartition("/")[2], bad.row, bad.column) for bad in outcomes.rejected]


def test_outcomes_come_in_pieces_and_the_later_file_holds(tmp_path: Path) -> None:
    outcomes = read(tmp_path, a="lead_id,won\n1,no\n2,no\n", b="won,lead_id\nyes,2\nno,3\nyes,4\n")
    assert outcomes.converted == {"1": False, "2": True, "3": False, "4": True}
    assert outcomes.corrected == 1
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
    assert read_outcomes(source, outcome_values(source), leads) == Outcomes({"1": True}, 0, ())


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
    judged = judge(scored, Outcomes({"old": True, "young": True, "stranger": False}, 0, ()), NOON, 30 * day)
    assert list(judged.scored.table["lead_id"]) == ["old"]
    assert judged.target.tolist() == [1]
    assert judged.without_outcome == 1
    assert judged.not_scored == 1
