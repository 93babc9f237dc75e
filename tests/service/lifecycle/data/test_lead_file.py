import gzip
import io
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from service.lifecycle.data.csv_batches import BLOCK, ROWS, LeadBatch
from service.lifecycle.data.lead_file import LeadFile
from service.lifecycle.data.source import SourceError
from tests.facts import states, stating
from tests.service.lifecycle.data.test_workbook import workbook


def opened(folder: Path, data: bytes, delimiter: str | None = None) -> LeadFile:
    (folder / "leads").write_bytes(data)
    return LeadFile("leads", io.FileIO(folder / "leads"), len(data), delimiter)


def read(folder: Path, data: bytes, repeating: tuple[str, ...] = ("b",)) -> list[LeadBatch]:
    with opened(folder, data) as leads:
        batches = list(leads.batches(("a", "b"), repeating))
        assert leads.share() == 1
        return batches


def as_parquet(**columns: object) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


def values(batches: list[LeadBatch]) -> list[dict[str, object]]:
    return [row for batch in batches for row in batch.cells.to_pylist()]


TWO = [{"a": "1", "b": "x"}, {"a": None, "b": "y"}]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        b"a,b\n1,x\n,y\n",
        b"\xef\xbb\xbfa;b\r\n1;x\r\n;y\r\n",
        b'other,a,b\n"\n",1,x\n\nz,"",y\n',
        as_parquet(a=["1", None], b=["x", "y"], other=[1, 2]),
    ],
)
def test_csv_and_parquet_give_the_same_cells(tmp_path: Path, data: bytes, packed: bool) -> None:
    assert values(read(tmp_path, gzip.compress(data) if packed else data)) == TWO


def test_columns_with_dots_in_their_names_are_read(tmp_path: Path) -> None:
    with opened(tmp_path, as_parquet(**{"emp.var.rate": [1.5], "emp.b": ["x"]})) as leads:
        (batch,) = leads.batches(("emp.var.rate", "emp.b"), ("emp.b",))
    assert batch.cells.to_pylist() == [{"emp.var.rate": 1.5, "emp.b": "x"}]


@pytest.mark.parametrize("kind", ["csv", "parquet", "workbook"])
def test_a_column_whose_name_differs_in_case_and_blanks_is_read_in_every_kind_of_file(
    tmp_path: Path, kind: str
) -> None:
    files = {
        "csv": b"other,B ,A\n1,x,1\n",
        "parquet": as_parquet(**{"other": ["1"], "B ": ["x"], "A": ["1"]}),
        "workbook": workbook(Leads=[["other", "B ", "A"], ["1", "x", "1"]]),
    }
    with opened(tmp_path, files[kind]) as leads:
        assert len(leads.call(("a", "b"))) == 2
        (batch,) = leads.batches(("a", "b"), ("b",))
    assert batch.cells.to_pylist() == [{"b": "x", "a": "1"}]


def test_rows_keep_their_numbers_beside_ragged_ones(tmp_path: Path) -> None:
    (batch,) = read(tmp_path, b"a,b\n1,x\n2\n3,y\n4,5,6\n5,z\n")
    assert list(batch.rows) == [2, 4, 6]
    fewer, more = batch.ragged
    assert (fewer.row, more.row) == (3, 5)
    states(fewer.reason, "1 cells", 2)
    states(more.reason, "3 cells", 2)


def test_a_row_keeps_its_number_in_every_batch(tmp_path: Path) -> None:
    lines = [b"%d" % i if i % 1_000 == 7 and i > 7 else b"%d,x" % i for i in range(2, 200_000)]
    batches = read(tmp_path, b"a,b\n" + b"\n".join(lines))
    assert len(batches) > 5
    assert max(batch.cells.num_rows for batch in batches) <= ROWS
    numbered = [row for batch in batches for row in batch.rows]
    assert [int(str(row["a"])) for row in values(batches)] == numbered
    assert [r.row for batch in batches for r in batch.ragged] == list(range(1_007, 200_000, 1_000))


def test_parquet_comes_in_bounded_batches(tmp_path: Path) -> None:
    batches = read(tmp_path, as_parquet(a=range(50_000), b=["x"] * 50_000))
    assert [batch.cells.num_rows for batch in batches] == [ROWS, ROWS, ROWS, 50_000 - 3 * ROWS]
    assert [row for batch in batches for row in batch.rows] == list(range(1, 50_001))


def test_a_file_without_rows_gives_none(tmp_path: Path) -> None:
    assert values(read(tmp_path, b"a,b\n")) == []


def test_an_inch_mark_is_no_quote(tmp_path: Path) -> None:
    assert values(read(tmp_path, b'a,b\n1,5" pipe\n2,y\n')) == [{"a": "1", "b": '5" pipe'}, {"a": "2", "b": "y"}]


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (b"", ["empty"]),
        (b"a,b\n1,\0\n", ["row 2", "NUL"]),
        (b"a,b\n" + b"1,x\n" * 600_000 + b"2,\0\n", ["row 600002", "NUL"]),
        (b"a,b\n" + b"1,x\n" * 600_000 + b"2,\xe4\n", ["row 600002", "UTF-8"]),
        (b'a,b\n1,x\n2,"y\n3,z\n', ["row 3", "quote", "closed"]),
        (b'a,b\n1,x\n2,"' + b"y" * 2 * BLOCK + b'"\n', ["no CSV"]),
        (b"PAR1 but nothing more", ["broken Parquet"]),
        (as_parquet(a=["1"] * 9_000, b=["x"] * 9_000)[:-50], ["broken Parquet"]),
        (gzip.compress(b"a,b\n" + b"1,x\n" * 9_000, mtime=0)[:-20], ["broken gzip"]),
        (gzip.compress(b"a,b\n", mtime=0)[:5], ["broken gzip"]),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_with_its_row(tmp_path: Path, data: bytes, facts: list[str]) -> None:
    with pytest.raises(SourceError, match=stating("leads", *facts)):
        read(tmp_path, data)
