import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from service.lifecycle.data import file_parts
from service.lifecycle.data.csv_batches import LeadBatch
from service.lifecycle.data.file_parts import FilePart
from service.lifecycle.data.lead_file import LeadFile
from service.read_ahead import Window

Rows = list[tuple[int, dict[str, Any]]]
MANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
CELL = st.one_of(
    st.sampled_from(["", "x", "12.5", "München", " a "]),
    st.sampled_from(['"a;b,c"', '"line\nline"', '"a\r\nb"', '"a\rb"', '""', '"""q"""', '"a""\n""b"']),
)
LINE = st.one_of(st.lists(CELL, min_size=2, max_size=2), st.sampled_from([[""], ["x"], ["x", "y", "z"]]))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_parts, "PART_BYTES", 40)
    monkeypatch.setattr(file_parts, "BLOCK", 7)


def opened(data: bytes, part: FilePart | None = None, delimiter: str | None = ",") -> LeadFile:
    return LeadFile("leads", Window(io.BytesIO(data), 0, len(data)), len(data), delimiter, part=part)  # type: ignore[arg-type]


def rows(batches: list[LeadBatch]) -> tuple[Rows, list[tuple[int, str]]]:
    """Cells and rows that could not be cut, each with its number."""
    cut = [row for batch in batches for row in zip(batch.rows, batch.cells.to_pylist(), strict=True)]
    return cut, [(each.row, each.reason) for batch in batches for each in batch.ragged]


def read(data: bytes, part: FilePart | None = None) -> tuple[Rows, list[tuple[int, str]]]:
    with opened(data, part) as leads:
        return rows(list(leads.batches(("a", "b"), ("b",))))


def parts_of(data: bytes) -> list[FilePart]:
    with opened(data) as leads:
        return leads.parts()


def together(data: bytes, parts: list[FilePart]) -> tuple[Rows, list[tuple[int, str]]]:
    found = [read(data, part) for part in parts]
    return [row for cut, _ in found for row in cut], [row for _, ragged in found for row in ragged]


@MANY
@given(
    lines=st.lists(LINE, min_size=40, max_size=80),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    closed=st.booleans(),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
@pytest.mark.usefixtures("small")
def test_the_parts_of_csv_hold_the_rows_of_the_whole_with_their_numbers(
    lines: list[list[str]], end: str, closed: bool, mark: bytes
) -> None:
    # The last rows are leads: fewer may lie in these small parts than could lie below a table.
    texts = ["a,b", *(",".join(line) for line in lines), *["1,y"] * 20]
    data = mark + (end.join(texts) + end * closed).encode()
    parts = parts_of(data)
    assert len(parts) > 1
    assert [part.stop for part in parts[:-1]] == [part.start for part in parts[1:]]
    assert together(data, parts) == read(data)


@MANY
@given(data=st.text(alphabet='a",\n\r', min_size=100, max_size=300).map(lambda text: f"a,b\n{text}\n".encode()))
@pytest.mark.usefixtures("small")
def test_any_text_is_divided_as_it_is_read_or_not_at_all(data: bytes) -> None:
    try:
        whole = read(data)
    except ValueError:
        return
    parts = parts_of(data)
    if len(parts) > 1:
        assert together(data, parts) == whole


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "row", ['1,5" pipe\n', '1,"a" b\n', '1, "a"\n', "1,'a\n", "1,x\n"], ids=["inch", "after", "blank", "none", "plain"]
)
def test_text_with_a_quote_amid_a_cell_is_not_divided(row: str) -> None:
    assert (len(parts_of(b"a,b\n" + row.encode() * 60)) > 1) is ('"' not in row)


@pytest.mark.usefixtures("small")
def test_a_quoted_cell_that_is_longer_than_a_part_is_not_cut() -> None:
    data = b'a,b\n1,"' + b"x\n" * 200 + b'"\n' + b"2,y\n" * 30
    parts = parts_of(data)
    assert len(parts) > 1
    assert together(data, parts) == read(data)
    assert read(data, parts[0])[0][0][1]["b"] == "x\n" * 200


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_other_encodings_stay_whole(encoding: str) -> None:
    assert parts_of(("a,b\n" + "1,Käse\n" * 200).encode(encoding)) == []


@pytest.mark.usefixtures("small")
def test_a_footer_is_set_aside_by_the_last_part_with_its_number(tmp_path: Path) -> None:
    data = b"a,b,c\n" + b"1,x,2\n" * 100 + b"Total,,200\n"
    parts = parts_of(data)
    assert len(parts) > 1
    assert together(data, parts) == read(data)
    assert [row for row, _ in read(data)[1]] == [102]


@pytest.mark.parametrize("sizes", [[20] * 100, [7], [1_200, 1, 1, 600], [1] * 30, []])
def test_row_groups_are_shared_out_whole_in_order_with_the_numbers_of_their_rows(
    sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_parts, "PART_ROWS", 500)
    groups = [pa.table({"a": pa.array(range(size), pa.int32())}) for size in sizes]
    sink = io.BytesIO()
    with parquet.ParquetWriter(sink, pa.schema([("a", pa.int32())])) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=max(1, len(group)))
    data = sink.getvalue()
    parts = parts_of(data)
    assert [group for part in parts for group in range(part.start, part.stop)] == list(range(len(sizes)))
    assert all(
        sum(sizes[part.start : part.stop]) <= 2 * file_parts.PART_ROWS or part.stop == part.start + 1 for part in parts
    )
    assert [part.above for part in parts] == [sum(sizes[: part.start]) for part in parts]
    numbered, _ = together(data, parts or [None])  # type: ignore[list-item]
    assert [row for row, _ in numbered] == list(range(1, sum(sizes) + 1))
    assert [row["a"] for _, row in numbered] == [value for size in sizes for value in range(size)]
