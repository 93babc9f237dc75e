"""The sample that SQL draws is the one that Python draws of the same leads."""

import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from service.lifecycle.relations.sample_plan import HOUR, NEWEST, NOT_KEPT, KnownLeads, places_of, plan
from service.lifecycle.relations.sampling import HOURS, SAMPLED_FROM, LabelledRelation, counted, drawn, newest, recent
from tests.service.lifecycle.relations.labelled_leads import Tables, labelled_table, own_leads

NOW = 1_770_000_000_000_000
ROWS = 400


def both(count: int, seed: int, at_once: bool = False) -> tuple[KnownLeads, LabelledRelation]:
    """The same leads in memory and as a relation; `at_once`: in few moments."""
    draw = np.random.default_rng(seed)
    keys = [f"L-{seed}-{i}" for i in range(count)]
    moments = NOW - draw.integers(0, 3 if at_once else 1_000, count) * (HOUR // (1 if at_once else 7))
    target = (draw.random(count) < 0.2).astype(np.int64)
    table = labelled_table(keys, moments, target, pages=draw.random(count))
    relation, _ = counted(Tables(labelled=table, own_leads=own_leads()), ROWS, seed)
    return KnownLeads(moments, places_of(keys, seed), target), relation


def by_key(table: pa.Table) -> dict[str, int]:
    return dict(zip(table["lead_id"].to_pylist(), table["stratum"].to_pylist(), strict=True))


@pytest.mark.parametrize("at_once", [False, True])
@given(seed=st.integers(0, 10**6), count=st.integers(1, 3_000))
@settings(max_examples=15, deadline=None)
def test_sql_and_python_draw_the_same_sample(at_once: bool, seed: int, count: int) -> None:
    known, relation = both(count, seed, at_once)
    made = plan([known], ROWS, seed)
    assert plan([relation], ROWS, seed) == made
    kept = known.kept(made) if made else np.full(count, NEWEST)
    found = {f"L-{seed}-{i}": int(stratum) for i, stratum in enumerate(kept) if stratum != NOT_KEPT}
    assert by_key(relation.drawn(made, [])) == found


def test_own_leads_among_the_scored_ones_are_not_sampled_twice() -> None:
    table = labelled_table(["a", "b", "c"], [NOW, NOW, NOW], [0, 1, 0])
    relation, _ = counted(Tables(labelled=table, own_leads=own_leads("b", "x")), ROWS)
    assert relation.hours().leads.sum() == 2
    assert by_key(relation.drawn(None, [])) == {"a": NEWEST, "c": NEWEST}


def test_only_the_columns_that_are_asked_for_are_read() -> None:
    table = labelled_table(["a"], [NOW], [1], pages=[1.0], region=["x"])
    relation, _ = counted(Tables(labelled=table, own_leads=own_leads()), ROWS)
    names = relation.drawn(None, ["text:region"]).column_names
    assert names == ["lead_id", "time", "target", "weight", "explored", "text:region", "stratum"]


def test_leads_without_a_time_are_older_than_all_that_were_scored() -> None:
    known, relation = both(1_000, 1)
    untimed = KnownLeads(-(10**18) + np.arange(1_000) * HOUR, known.places, known.target)
    made = plan([untimed, relation], ROWS, 1)
    assert made is not None
    assert made.leads == 2_000
    strata = [*untimed.kept(made), *by_key(relation.drawn(made, [])).values()]
    assert (np.array(strata) == NEWEST).sum() == ROWS // 4
    kept = sum(stratum != NOT_KEPT for stratum in strata)
    assert kept == pytest.approx(ROWS, abs=4 * ROWS**0.5)


def test_spark_understands_every_relation() -> None:
    known, _ = both(2_000, 1)
    for relation in (
        SAMPLED_FROM,
        HOURS,
        newest(100, 1),
        recent(9, ["text:^region"]),
        drawn(plan([known], ROWS), ["text:^region"]),
    ):
        (text,) = sqlglot.transpile(
            relation.query, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE
        )
        assert "SELECT" in sqlglot.parse_one(text, read="spark").sql()
