"""Records as tables: input columns have one type each, and names that differ in more than case."""

import string
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from service.lifecycle.relations.columns import FIXED, INPUT_TYPES, input_column, input_field, record_table
from tests.service.lifecycle.records import NOON, record

names = st.text(
    st.sampled_from(string.printable + "^{}ßẞ\u017f\u212ak\u212båİ\u0131Iiς\u03c3ΣǅǆǄŉ\u13a0\uab70")
    | st.characters(codec="utf-8"),
    max_size=8,
)
kinds = st.sampled_from(list(INPUT_TYPES))


@given(kinds, names)
@example("number", "^{df}")
def test_a_column_names_its_field_and_kind(kind: str, name: str) -> None:
    column = input_column(kind, name)  # type: ignore[arg-type]
    assert input_field(column) == (kind, name)
    assert input_field("lead_id") is None


@given(names, names)
@example("Visits", "visits")
@example("\u212a", "K")
@example("\u0131", "i")
def test_columns_of_two_fields_differ_in_more_than_case(one: str, other: str) -> None:
    columns = input_column("text", one), input_column("text", other)
    for ignore_case in (str.casefold, str.lower, str.upper, lambda text: text.upper().lower()):
        assert (ignore_case(columns[0]) == ignore_case(columns[1])) == (one == other)


def test_every_character_that_has_a_case_is_written_in_a_form_without_one() -> None:
    written = [input_column("text", chr(code)) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    assert len({column.upper().lower() for column in written}) == len({c.casefold() for c in written}) == len(written)


def test_duckdb_keeps_fields_apart_that_differ_in_case_only() -> None:
    table = record_table([record("a", inputs={"Visits": 1.0, "visits": 2.0})])
    with duckdb.connect() as engine:
        engine.register("records", table)
        found = engine.execute('SELECT "number:^visits", "number:visits" FROM records').fetchall()
    assert found == [(1.0, 2.0)]


def test_a_table_holds_each_record_and_each_kind_of_an_input_in_a_column() -> None:
    table = record_table(
        [
            record("0019000000oC4HkAAK", inputs={"visits": 3.0, "vip": True}, channel="batch", probability=0.25),
            record("1007", datetime(2026, 3, 1, 13, tzinfo=UTC), inputs={"visits": "many", "country": None}),
        ]
    )
    assert table.schema.names == [*FIXED.names, "number:visits", "text:visits", "boolean:vip"]
    first, second = table.to_pylist()
    assert (first["lead_key"], first["lead_id"], first["time"]) == ("0019000000oC4Hk", "0019000000oC4HkAAK", NOON)
    assert (first["channel"], first["probability"], first["line"]) == ("batch", 0.25, None)
    assert (first["number:visits"], first["text:visits"], first["boolean:vip"]) == (3.0, None, True)
    assert (second["number:visits"], second["text:visits"], second["boolean:vip"]) == (None, "many", None)


def test_no_records_make_a_table_with_the_fixed_columns() -> None:
    assert record_table([]).schema == pa.schema(FIXED)
