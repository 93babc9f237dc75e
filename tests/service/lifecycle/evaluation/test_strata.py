"""Contacted leads stand for all leads of their side of the line, however many of them have an outcome."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
import sqlglot

from service.lifecycle.evaluation.strata import STRATA, Strata
from tests.service.lifecycle.relations.labelled_leads import Tables

START = datetime(2026, 3, 2, tzinfo=UTC)
Row = tuple[int, bool, bool, bool, float]
"""Day, is_chosen, explored, is_labelled and weight of a scored lead."""


def strata(*rows: Row, ripe: bool = True) -> Strata | None:
    names = ("time", "is_chosen", "explored", "is_labelled", "weight")
    made = [dict(zip(names, (START + timedelta(days=day), *of), strict=True)) for day, *of in rows]
    every = [row | {"is_ripe": ripe, "is_after": False} for row in made]
    tables = Tables(scored_outcomes=pa.Table.from_pylist(every))
    tables.define([STRATA])
    return Strata.of(tables.results([STRATA.name])[STRATA.name])


ABOVE, SILENT = (5, True, False, True, 1.0), (5, True, False, False, 1.0)
EXPLORED, BELOW = (4, True, True, True, 10.0), (6, False, False, False, 10.0)


def test_outcomes_that_are_missing_on_one_side_of_the_line_leave_its_share_as_it_is() -> None:
    found = strata(*[ABOVE] * 30, *[SILENT] * 30, *[EXPLORED] * 2, *[BELOW] * 38)
    assert found
    assert found.since == START + timedelta(days=4)
    assert found.below == pytest.approx(0.4)
    weights, explored = np.array([1.0] * 30 + [10.0] * 2), np.array([False] * 30 + [True] * 2)
    standing = found.normalised(weights, explored)
    assert standing[explored].sum() == pytest.approx(40)
    assert standing[~explored].sum() == pytest.approx(60)


def test_leads_of_before_exploring_and_of_sales_own_choice_stand_for_nobody() -> None:
    early, picked = [(day, False, False, day % 2 == 0, 1.0) for day in range(4)], (6, False, False, True, 1.0)
    found = strata(*early, *[ABOVE] * 60, *[EXPLORED] * 2, *[BELOW] * 37, picked)
    assert found
    assert [found.below, found.factor_below, found.factor_above] == pytest.approx([0.4, 2.0, 1.0])


def test_where_nobody_was_explored_there_are_no_strata() -> None:
    assert strata(*[ABOVE] * 6, *[BELOW] * 4) is None
    assert strata(*[ABOVE] * 6, *[EXPLORED] * 4, ripe=False) is None


def test_spark_understands_the_relation() -> None:
    (text,) = sqlglot.transpile(STRATA.query, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE)
    assert "SELECT" in sqlglot.parse_one(text, read="spark").sql()
