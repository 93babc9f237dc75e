"""Files are read by their content, and what is wrong with one is named by row."""

import csv
import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from service.lifecycle.data.source import SourceError
from service.lifecycle.data.table import FileForm, read_table
from service.reading.dialect import DELIMITERS
from service.reading.rows import is_total
from tests.facts import states, stating

CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from(',;|\t"\n '), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8), delimiter=st.sampled_from(DELIMITERS))
def test_what_a_spreadsheet_writes_is_read_back_cell_by_cell(
    tmp_path: Path, rows: list[tuple[str, ...]], delimiter: str
) -> None:
    text = io.StringIO()
    # A row whose cells are all filled is a lead, whatever they hold; the last shows where the table ends.
    rows = [*[row for row in rows if all(map(str.strip, row)) and not is_total(row)], ("x", "y", "z")]
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *rows])
    for data in (text.getvalue().encode(), gzip.compress(b"\xef\xbb\xbf" + text.getvalue().encode())):
        (tmp_path / "leads").write_bytes(data)
        table = read_table(tmp_path / "leads", FileForm(delimiter))
        assert [tuple(row.values()) for row in table.cells.to_pylist()] == rows


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_the_delimiter_is_told_from_the_first_rows(tmp_path: Path, delimiter: str) -> None:
    other = "," if delimiter != "," else ";"
    (tmp_path / "leads.csv").write_text(f"id{delimiter}text\n1{delimiter}a{other}b\n2{delimiter}c\n")
    assert read_table(tmp_path / "leads.csv").cells.column_names == ["id", "text"]


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_parquet_is_known_by_its_content_not_its_name(tmp_path: Path, compression: str) -> None:
    cells = pa.table({"a": [1.5, None], "b": ["x", "y"]})
    parquet.write_table(cells, tmp_path / "leads.csv", compression=compression)
    table = read_table(tmp_path / "leads.csv")
    assert table.cells.equals(cells)
    assert table.row(0) == 1


def zipped(name: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, "a,b\n1,2\n")
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (b"", ["empty"]),
        (b" \n\n", ["empty"]),
        (b"a,b\n", ["no leads"]),
        (b"a,b\n1,2\n3\n", ["row 3", "1 cells", 2]),
        (b"a,b\n1,2\n3,4,5\n", ["row 3", "3 cells", 2]),
        (b"a,b\n1,\x00\n", ["row 2", "NUL"]),
        (b"a,b\n1,2\n3,f\x9fr\n", ["row 3", "UTF-8", "Windows-1252", "encoding ="]),
        (b"a,b\n1,2\n3,\x81\n", ["row 3", "neither", "encoding ="]),
        (b"a,a\n1,2\n", ["'a'", "twice"]),
        (b"%PDF-1.7", ["PDF"]),
        (b"<!DOCTYPE html><html>", ["HTML", "sign in"]),
        (b'[{"id": 1}]', ["JSON"]),
        (zipped("leads.csv"), ["ZIP", "leads.csv", "unpack"]),
        (zipped("word/document.xml"), ["Word"]),
        (b'a,b\n1,"2\n3,4\n5,6\n', ["row 2", "quote", "closed"]),
        (b"a\n1\n", ["row 1", "one column"]),
        (b"\x1f\x8bnonsense", ["broken gzip"]),
        (gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-20], ["broken gzip"]),
        (b"PAR1nonsense", ["broken Parquet"]),
    ],
)
def test_a_broken_file_is_refused_by_file_and_row(tmp_path: Path, data: bytes, facts: list[Any]) -> None:
    (tmp_path / "leads.csv").write_bytes(data)
    with pytest.raises(SourceError) as refused:
        read_table(tmp_path / "leads.csv")
    assert str(refused.value).startswith(f"{tmp_path / 'leads.csv'}")
    states(str(refused.value), *facts)


@given(data=st.binary(max_size=60) | st.text(st.sampled_from('a,;"\n\x00é1'), max_size=40).map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_are_read_or_refused_with_the_file_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "leads.csv").write_bytes(data)
    try:
        read = f"{tmp_path}: {read_table(tmp_path / 'leads.csv').cells.num_rows} rows"
    except SourceError as error:
        read = str(error)
    assert read.startswith(str(tmp_path))
    assert ": 0 rows" not in read


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=stating("leads.csv", "No such file")):
        read_table(tmp_path / "leads.csv")
