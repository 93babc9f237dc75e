"""Columns that know the outcome are named, those that are merely good are not."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.outcome import OutcomeValues
from service.lifecycle.data.source import load_source
from service.lifecycle.training.columns_alone import auc_alone, telling_pairs
from service.lifecycle.training.leaks import find_leaks
from service.model.schema import Feature, LeadSchema
from tests.facts import states
from tests.service.lifecycle.training.leaks_proof import accused, alarms, found

EXAMPLES = Path(__file__).parents[4] / "service" / "examples"
ROWS = 1000
DRAW = np.random.default_rng(5)
NOISE = DRAW.normal(size=(ROWS, 4))
TARGET = (DRAW.random(ROWS) < 0.2).astype(np.int8)
HONEST = {"visits": NOISE[:, 0] + 0.5 * TARGET, "size": NOISE[:, 1] + 0.5 * TARGET, "age": NOISE[:, 2]}


def leads(columns: dict[str, Any], left_out: dict[str, Any] | None = None, rows: int = ROWS) -> Leads:
    """The first of so many leads with these inputs, and these columns that are none."""
    frame = pd.DataFrame({name: cells[:rows] for name, cells in columns.items()})
    texts = set(frame.select_dtypes(object))
    schema = LeadSchema(
        features=tuple(Feature(name=name, kind="category" if name in texts else "number") for name in frame.columns)
    )
    others = {name: cells[:rows] for name, cells in (left_out or {}).items()}
    outcomes = OutcomeValues(("yes",), ("no",))
    return Leads(schema, frame, TARGET[:rows], None, None, False, "", (), outcomes, others)


def text(mask: Any, value: str = "2025-03-01") -> Any:
    return np.where(mask, value, "").astype(object)


def test_chance_does_not_look_like_a_leak_even_with_many_values() -> None:
    draw = np.random.default_rng(3)
    target = (draw.random(2000) < 0.1).astype(np.int8)
    names = np.array([f"company {i}" for i in draw.integers(0, 1500, 2000)], dtype=object)
    for column in (names, draw.normal(size=2000)):
        value, error = auc_alone(column, target) or (0, 0)
        assert 0.4 < value < 0.6
        assert 0.01 < error < 0.04
    value, _ = auc_alone(np.abs(target * 5 - draw.random(2000)), target) or (0, 0)
    assert value > 0.95
    assert auc_alone(names, np.eye(1, 2000, dtype=np.int8)[0]) is None


def test_a_column_that_is_no_input_is_named_where_it_is_filled_for_converted_leads_only() -> None:
    report = find_leaks(leads(HONEST, {"closed": text(TARGET == 1), "note": text(NOISE[:, 3] > 0)}))
    (finding,) = report.findings
    assert (finding.columns, finding.likely, finding.is_input) == (("closed",), True, False)
    states(finding.why, "filled", "100%", "0%")
    assert report.roc_auc == report.honest


def test_values_that_nearly_all_have_one_outcome_are_named_though_the_column_ranks_modestly() -> None:
    contract = np.where((TARGET == 1) & (NOISE[:, 3] > 0.5), 1000.0 + 9 * NOISE[:, 2], 0.0)
    stage = np.where((TARGET == 1) & (NOISE[:, 3] < -0.5), "signed", "open").astype(object)
    report = find_leaks(leads(HONEST | {"contract": contract, "stage": stage}))
    assert accused(report) == {"contract", "stage"}
    assert all(finding.alone is not None and finding.alone < 0.7 for finding in report.findings)
    states(report.lines, "contract", "another value than 0", "100%")


def test_the_rest_is_looked_at_again_after_each_removal_and_the_honest_figure_is_given() -> None:
    clean = find_leaks(leads(HONEST))
    total = 40 * NOISE[:, 3]
    leaking = {"copy": TARGET + 0.3 * NOISE[:, 2], "then": total, "now": total + 2 * TARGET + 0.4 * NOISE[:, 0]}
    report = find_leaks(leads(HONEST | leaking))
    assert [finding.columns for finding in report.findings] == [("copy",), ("then", "now")]
    assert report.honest == pytest.approx(clean.honest, abs=0.06)
    assert report.roc_auc is not None
    assert report.honest is not None
    states(report.lines[-1], f"{report.honest:.3f}", f"{report.roc_auc:.3f}")
    assert "implausible" not in report.lines[-1]


def test_of_many_weak_leaks_as_many_are_removed_as_make_the_rest_plausible() -> None:
    weak = {f"weak_{i}": 1.1 * TARGET + DRAW.normal(size=ROWS) for i in range(5)}
    report = find_leaks(leads(HONEST | weak))
    assert accused(report) <= weak.keys()
    assert report.findings[0].before == report.roc_auc
    assert report.findings[-1].after == report.honest
    assert report.honest is not None
    assert report.honest < 0.93 < (report.roc_auc or 0)
    assert not any("implausible" in line for line in report.lines)


def test_two_categories_that_tell_only_by_being_equal_are_named_and_two_good_ones_are_not() -> None:
    names = np.array(["Ann", "Ben", "Cem"], dtype=object)
    owner = DRAW.integers(0, 3, ROWS)
    editor = (owner + np.where(TARGET == 1, 0, DRAW.integers(1, 3, ROWS))) % 3
    report = find_leaks(leads(HONEST | {"owner": names[owner], "editor": names[editor]}))
    assert accused(report) == {"owner", "editor"}
    good = pd.DataFrame({"one": NOISE[:, 0] + 1.5 * TARGET, "two": NOISE[:, 1] + 1.5 * TARGET})
    assert list(telling_pairs(good, TARGET)) == []


def test_a_column_that_carries_most_of_the_skill_is_named_but_not_called_a_leak() -> None:
    report = find_leaks(leads({"plan": NOISE[:, 0] + TARGET, "age": NOISE[:, 1], "size": NOISE[:, 2]}))
    (finding,) = report.findings
    assert (finding.columns, finding.likely) == (("plan",), False)
    assert accused(report) == set()
    states(report.lines[0], "plan", "most of the skill", "before the call", f"{finding.after:.3f}")


def test_of_a_known_leak_the_figure_is_given_that_was_computed_and_else_none() -> None:
    times = {"closed": text(TARGET == 1)}
    states(find_leaks(leads(HONEST, times), ["closed"]).lines[0], "closed", "left out as a leak", "1.00")
    few = find_leaks(leads(HONEST, times, rows=8), ["closed"])
    assert (few.findings, few.roc_auc, few.honest) == ((), None, None)
    assert [line for line in few.lines if any(mark.isdigit() for mark in line)] == []


@pytest.mark.skipif("BANK_MARKETING_CSV" not in os.environ, reason="BANK_MARKETING_CSV is not set")
def test_in_the_bank_data_the_length_of_the_call_alone_is_called_a_leak() -> None:
    report = find_leaks(load(load_source(EXAMPLES / "bank_marketing.toml").model_copy(update={"leaks": ()})))
    assert [finding.columns for finding in report.findings if finding.likely] == [("duration",)]


@pytest.mark.parametrize(("each", "honest"), [(1, 3), pytest.param(10, 50, marks=pytest.mark.nightly)])
def test_nine_of_ten_planted_leaks_are_found_and_nine_of_ten_honest_sources_are_not_accused(
    each: int, honest: int
) -> None:
    hits = [bool(accused(report) & source.leaks) for _, _, source, report in found(each)]
    assert sum(hits) >= 0.9 * len(hits)
    assert sum(bool(accused(report)) for _, _, report in alarms(honest)) <= 0.1 * honest
