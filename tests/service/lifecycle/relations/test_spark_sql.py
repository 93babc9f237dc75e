"""Relations in Spark's SQL, without Spark."""

import pyarrow as pa
import pytest

from service.lifecycle.relations.relation import Relation
from service.lifecycle.relations.spark_sql import in_spark, needed, spark_type


def test_identifiers_and_texts_keep_their_meaning() -> None:
    query = """select "number:^amount `x`" from records where source = 'it''s a \\ b'"""
    assert in_spark(query) == r"SELECT `number:^amount ``x``` FROM records WHERE source = 'it\'s a \\ b'"


def test_an_order_puts_nulls_where_duckdb_puts_them() -> None:
    query = "select row_number() over (partition by lead_key order by time, request_id desc) as n from records"
    assert "ORDER BY time NULLS LAST, request_id DESC)" in in_spark(query)  # Spark's own place for them


def test_a_time_is_one_of_utc() -> None:
    assert "AS TIMESTAMP)" in in_spark("select cast('2026-01-01 00:00:00+00:00' as timestamptz) as t")


@pytest.mark.parametrize("part", ["round(score, 2)", "epoch_us(time)", "first(score order by time)", "log2(score)"])
def test_what_the_engines_differ_in_is_refused(part: str) -> None:
    with pytest.raises(ValueError, match="DuckDB and Spark differ in"):
        in_spark(f"select {part} from records")


def test_only_relations_that_the_results_read_are_made_each_after_what_it_reads() -> None:
    relations = {
        relation.name: relation
        for relation in (
            Relation("last", "select * from middle join first using (lead_key)"),
            Relation("middle", "with first_rows as (select * from first) select * from first_rows"),
            Relation("first", "select * from records"),
            Relation("other", "select * from records"),
        )
    }
    assert [each.name for each in needed(relations, ["last"])] == ["first", "middle", "last"]
    assert [each.name for each in needed(relations, ["other", "records"])] == ["other"]


def test_the_columns_of_tables_have_types_of_spark() -> None:
    assert spark_type(pa.timestamp("us", "UTC")) == "timestamp"
    with pytest.raises(ValueError, match="no type of Spark"):
        spark_type(pa.timestamp("ns"))
