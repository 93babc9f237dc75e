"""A file for programs holds the best leads that fit, though it is read and scored once."""

import csv
import gzip
import io
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from service.lifecycle import batch
from service.lifecycle.data import csv_batches, file_parts
from service.lifecycle.data.form import Form
from service.lifecycle.scoring import split
from service.lifecycle.scoring.batch_scoring import FileJob
from service.model.bundle import Bundle
from service.model.contact_rule import ContactRule
from service.model.decide import contact_list
from service.storage import Folder
from tests.facts import states

LEADS = 300
INDUSTRIES = ["retail", "health", "energy"]
BATCH = 64
"""Rows of a batch, of which each has other values than the one before."""


def limited(served: Bundle, capacity: float) -> Bundle:
    """The same model of a team that makes so many contacts of 1,000 leads."""
    money = served.manifest.economics.model_copy(update={"contacts_per_1000_leads": capacity})
    return replace(served, manifest=served.manifest.model_copy(update={"economics": money}))


def leads() -> bytes:
    """Some of them cannot be scored."""
    lines = [
        f"L-{i:04d},{'many' if i % 50 == 7 else i * 7 % 13},{'yes' if i % 2 else 'no'},{INDUSTRIES[i // BATCH % 3]}"
        for i in range(LEADS)
    ]
    return "\n".join(["lead_id,visits,opted_in,industry", *lines]).encode()


class Scored:
    """The job's output and records of one file, in its order, and what the job said."""

    def __init__(self, served: Bundle, root: Path, rule: ContactRule, data: bytes) -> None:
        places = [Folder(root / name) for name in ("in", "out", "predictions")]
        places[0].create("may.csv", data)
        said: list[str] = []
        job = FileJob(served, Form(), 2, rule=rule)
        batch.run(batch.BatchJob(job, places[0], places[1], "csv", places[2], say=said.append))
        self.said = "\n".join(said)
        self.rows: list[dict[str, Any]] = []
        for key in sorted(key for key in places[1].keys("may") if key.endswith(".csv")):
            self.rows += csv.DictReader(io.StringIO((places[1].root / key).read_text()))
        found = [row for path in places[2].root.rglob("*.parquet") for row in parquet.read_table(path).to_pylist()]
        by_id = {row["lead_id"]: row for row in found}
        assert len(found) == len(by_id) == len(self.rows) == LEADS - 6
        self.records = [by_id[row["lead_id"]] for row in self.rows]
        self.scores = np.array([float(row["score"]) for row in self.rows])


@pytest.mark.parametrize(("line", "probability"), [(0.9, 0.0), (0.9, 0.15), (0.1, 0.15)])
def test_a_whole_file_is_decided_by_rank_and_its_records_say_the_same(
    served: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: float, probability: float
) -> None:
    monkeypatch.setattr(csv_batches, "ROWS", BATCH)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    few, rule = limited(served, 300), ContactRule(line=line, explore_probability=probability)
    found = Scored(few, tmp_path, rule, leads())
    assert list((tmp_path / "temporary").iterdir()) == []
    drawn = np.array(rule.drawn("forge", [row["lead_id"] for row in found.rows])) & rule.explores
    ranked, explored = contact_list(found.scores, drawn, served.manifest.threshold, few.manifest.economics)
    assert ranked.sum() + explored.sum() == round(0.3 * len(found.rows))
    # Rank and line differ, above it or below.
    assert (ranked != (found.scores >= line)).sum() > 10
    names = np.where(ranked, "line", np.where(explored, "explore", ""))
    decisions = np.where(ranked | explored, "contact", "skip").tolist()
    assert [row["decision"] for row in found.rows] == decisions
    assert [row["decision"] for row in found.records] == decisions
    assert {row["line"] for row in found.records} == {line}
    states(found.said, "294 scored", "88 to contact", "the best that fit")
    if not probability:
        assert "policy" not in found.rows[0]
        return
    assert explored.sum() > 10
    assert [row["policy"] for row in found.rows] == names.tolist()
    assert [row["policy"] for row in found.records] == np.where(explored, "explore", "line").tolist()
    assert [row["probability"] for row in found.records] == np.where(ranked, 1.0, probability).tolist()


def test_a_divided_file_is_decided_by_the_line_and_the_job_says_so(
    served: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split, "LEAST", 500)
    monkeypatch.setattr(file_parts, "PART_BYTES", 2_000)
    few, rule = limited(served, 300), ContactRule(line=0.9)
    divided = Scored(few, tmp_path / "divided", rule, leads())
    assert [row["decision"] == "contact" for row in divided.rows] == (divided.scores >= 0.9).tolist()
    assert [row["decision"] for row in divided.records] == [row["decision"] for row in divided.rows]
    states(divided.said, "part 2 of", "from the line on", "divided")
    # As a gzip file it stays whole.
    whole = Scored(few, tmp_path / "whole", rule, gzip.compress(leads()))
    assert sum(row["decision"] == "contact" for row in whole.rows) == 88


def test_without_a_limit_a_file_is_decided_by_the_line(served: Bundle, tmp_path: Path) -> None:
    found = Scored(served, tmp_path, ContactRule(line=0.9), leads())
    assert [row["decision"] == "contact" for row in found.rows] == (found.scores >= 0.9).tolist()
    assert "to contact are" not in found.said
