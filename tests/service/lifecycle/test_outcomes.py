import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from service.lifecycle.outcomes import Outcomes, judge, read_outcomes
from service.lifecycle.source import Source, load_source
from service.lifecycle.window import as_scored
from service.storage import open_storage
from tests.service.lifecycle.records import NOON, record

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


def crm(folder: Path, positive: str = '"yes"') -> Source:
    toml = folder / "crm.toml"
    toml.write_text(CRM.format(positive=positive))
    return load_source(toml)


def read(folder: Path, positive: str = '"yes"', **files: str | bytes) -> Outcomes:
    leads = open_storage(str(folder))
    for name, content in files.items():
        leads.create(f"outcomes/{name}", content.encode() if isinstance(content, str) else content)
    return read_outcomes(crm(folder, positive), leads)


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
    outcomes = read(tmp_path, "true", a=file.getvalue())
    assert outcomes.converted == {"1": True, "3": False}
    assert named(outcomes) == [("a", 2, "lead_id")]


@pytest.mark.parametrize(
    ("positive", "cells"),
    [("true", ["True", "FALSE"]), ("1", ["1.0", "0"]), ('"yes"', [" yes", "no"]), ("1.5", ["1.50", "2"])],
)
def test_the_positive_value_may_be_written_in_other_ways(positive: str, cells: list[str], tmp_path: Path) -> None:
    outcomes = read(tmp_path, positive, a=f"lead_id,won\na,{cells[0]}\nb,{cells[1]}\n")
    assert outcomes.converted == {"a": True, "b": False}


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


def test_a_changed_spelling_is_rejected_instead_of_read_as_not_converted(tmp_path: Path) -> None:
    outcomes = read(tmp_path, a="lead_id,won\n1,yes\n2,no\n3,no\n4,no\n", b="lead_id,won\n5,1\n6,0\n7,0\n")
    assert set(outcomes.converted) == {"1", "2", "3", "4"}
    assert named(outcomes) == [("b", 2, "won"), ("b", 3, "won"), ("b", 4, "won")]
    assert "neither 'yes' nor 'no'" in outcomes.rejected[0].reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("lead_id,gained\n1,yes\n", "has no column 'won' (it has: lead_id, gained)"),
        (b"\x1f\x8b broken", "is a broken gzip file"),
        (b"PAR1 broken", "is a broken Parquet file"),
        ("lead_id,won\n1,yes,3\n", "has 3 cells where the header has 2"),
        ("", "is empty"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_stops_nothing(content: Any, reason: str, tmp_path: Path) -> None:
    outcomes = read(tmp_path, a=content, b="lead_id,won\n2,yes\n")
    assert outcomes.converted == {"2": True}
    (bad,) = outcomes.rejected
    assert (bad.file, bad.row) == (str(tmp_path / "outcomes/a"), 0)
    assert reason in bad.reason


def test_a_lead_without_an_outcome_is_no_failure_and_a_young_one_is_not_counted() -> None:
    day = timedelta(days=1)
    scored = as_scored([record("old", NOON - 31 * day), record("silent", NOON - 30 * day), record("young", NOON)])
    judged = judge(scored, Outcomes({"old": True, "young": True, "stranger": False}, 0, ()), NOON, 30 * day)
    assert list(judged.scored.table["lead_id"]) == ["old"]
    assert judged.target.tolist() == [1]
    assert judged.without_outcome == 1
    assert judged.not_scored == 1
