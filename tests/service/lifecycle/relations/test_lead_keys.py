"""A lead has one key and one part, in Python, DuckDB and Spark's SQL."""

import hashlib

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.lifecycle.relations import lead_keys as module
from service.lifecycle.relations.lead_keys import PARTS, lead_keys, part_of, parts_of
from service.reading.ids import CHECK_CHARACTERS, join_key, spellings

short = st.from_regex(r"[A-Za-z0-9]{15}", fullmatch=True)
of_salesforce = short.map(lambda key: max(spellings(key), key=len))
almost = st.builds(str.__add__, short, st.text(CHECK_CHARACTERS, min_size=3, max_size=3))
ids = st.text(max_size=25) | st.text("'=\"+- .,0123aA\t\n\0", max_size=8) | of_salesforce | almost


@given(st.lists(st.none() | ids, max_size=8))
@example(["1007.00", '="00Q1"', "'=1", " a  b ", "0019000000oC4HkAAK", "0019000000oC4HkAAA"])
def test_keys_are_those_that_python_makes_of_each_id(texts: list[str | None]) -> None:
    expected = [join_key(text) for text in texts]
    assert lead_keys(pa.array(texts, pa.string())).to_pylist() == expected
    assert lead_keys(pa.array([None, *texts], pa.string())[1:]).to_pylist() == expected


def test_plain_ids_and_those_of_salesforce_do_not_pass_through_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> str:
        raise AssertionError("one by one")

    monkeypatch.setattr(module, "as_id", refuse)
    assert lead_keys(pa.array(["L-1", "1007", "0019000000oC4HkAAK"])).to_pylist() == ["L-1", "1007", "0019000000oC4Hk"]


@given(st.lists(st.text(max_size=20), min_size=1, max_size=20))
def test_the_part_is_the_first_digit_of_the_md5_as_duckdb_computes_it(keys: list[str]) -> None:
    table = pa.table({"lead_key": pa.array(keys, pa.string())})
    with duckdb.connect() as engine:
        engine.register("keys", table)
        found = [row[0] for row in engine.execute("SELECT substr(md5(lead_key), 1, 1) FROM keys").fetchall()]
    assert found == [part_of(key) for key in keys] == [PARTS[index] for index in parts_of(keys)]


def test_the_part_is_that_of_the_md5_of_rfc_1321() -> None:
    # Spark's md5 gives the same 32 hexadecimal digits of a text's UTF-8 bytes, and its `substr` counts from 1:
    # https://spark.apache.org/docs/latest/api/sql/#md5
    assert hashlib.md5(b"abc").hexdigest() == "900150983cd24fb0d6963f7d28e17f72"  # appendix A.5
    assert [part_of("abc"), part_of("")] == ["9", "d"]
