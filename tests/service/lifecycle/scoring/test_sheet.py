import csv
import io
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.lifecycle.data.lead_file import LeadFile
from service.lifecycle.scoring.sheet import BYTE_ORDER_MARK, SheetWriter
from service.model.spelling import NumberSpelling
from service.reading.formulas import STARTS, exact

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
formulas = st.text(alphabet="'=+-@ \t\r\n;,\"|a1", max_size=6)
numbers = st.floats(-1e15, 1e15, allow_nan=False)
delimiters = st.sampled_from(",;\t|")
sheets = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(texts | formulas | numbers | st.none(), min_size=width, max_size=width), max_size=6)
)


def written(rows: list[list[Any]], delimiter: str, decimal: Any, mark: bool = False) -> bytes:
    out = io.BytesIO()
    names = [f"c{place}" for place in range(len(rows[0]) if rows else 1)]
    SheetWriter(out, names, delimiter, decimal, mark).write(rows)
    return out.getvalue()


@given(rows=sheets, delimiter=delimiters, decimal=st.sampled_from(".,"), mark=st.booleans())
def test_a_csv_reader_gets_back_what_was_written_and_no_formula(
    rows: list[list[Any]], delimiter: str, decimal: Any, mark: bool
) -> None:
    text = written(rows, delimiter, decimal, mark).decode()
    assert text.startswith(BYTE_ORDER_MARK) == mark
    _, *read = csv.reader(io.StringIO(text.removeprefix(BYTE_ORDER_MARK), newline=""), delimiter=delimiter)
    assert len(read) == len(rows)
    spelling = NumberSpelling(decimal=decimal)
    for row, cells in zip(rows, read, strict=True):
        for value, cell in zip(row, cells, strict=True):
            if isinstance(value, float):
                found = spelling.number(cell)
                assert found is not None
                assert math.isclose(found, value, rel_tol=1e-15)
            else:
                assert exact(cell) == (value or "")
                assert cell.lstrip()[:1] not in set(STARTS) or spelling.number(cell) is not None or cell[0] == "-"


@given(rows=st.lists(st.tuples(st.integers(1, 10**6), texts | formulas), min_size=1, max_size=6), delimiter=delimiters)
def test_the_reader_of_leads_gets_back_what_was_written(rows: list[tuple[int, str]], delimiter: str) -> None:
    data = written([[f"L{number}", text, "end"] for number, text in rows], delimiter, ".")
    with LeadFile("scores", io.BytesIO(data), len(data), delimiter) as leads:  # type: ignore[arg-type]
        read = [row for batch in leads.batches({"c0", "c1"}, ()) for row in batch.cells.to_pylist()]
    assert [(row["c0"], exact(row["c1"] or "")) for row in read] == [(f"L{number}", text) for number, text in rows]
