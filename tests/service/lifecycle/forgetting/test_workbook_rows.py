"""A lead's rows are taken out of workbooks, and nothing else changes in them."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from service.lifecycle.data.source import SourceError
from service.lifecycle.data.table import FileForm, read_table
from service.lifecycle.forgetting.search import Search
from service.lifecycle.forgetting.sweep import forget_in
from service.storage import Folder
from tests.facts import stating
from tests.service.lifecycle.data.test_workbook import MAIN, workbook

ROWS: list[list[object]] = [["Report"], [], ["Lead_ID", "size"], ["L-1", 1.5], ["L-77", 2], ["L-2", 3], ["L-77 ", 4]]
GONE = Search(frozenset({"L-77"}))


def parts(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def changed(data: bytes, **texts: str) -> bytes:
    """The workbook with these parts besides, or in the place of its own."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (parts(data) | {name: text.encode() for name, text in texts.items()}).items():
            archive.writestr(name, content)
    return made.getvalue()


def shared() -> bytes:
    """A workbook with shared texts, as Excel writes it, and formulas."""
    texts = ["lead_id", "city", "L-1", "Bern", "L-77", "Chur"]
    rows = [(0, 1), (2, 3), (4, 5), (4, 3)]
    cells = "".join(
        f'<x:row r="{r}"><x:c r="A{r}" t="s"><x:v>{a}</x:v></x:c><x:c r="B{r}" s="1" t="s"><x:v>{b}</x:v></x:c>'
        f'<x:c r="C{r}"><x:f>1+{r}</x:f><x:v>{1 + r}</x:v></x:c></x:row>'
        for r, (a, b) in enumerate(rows, 1)
    )
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    items = "".join(f"<si><t>{text}</t></si>" for text in texts)
    return changed(
        workbook(Leads=[]),
        **{
            "xl/worksheets/s1.xml": f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData>{cells}</x:sheetData></x:worksheet>',
            "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{items}</sst>',
            "xl/calcChain.xml": f'<calcChain xmlns="{MAIN}"><c r="C2" i="1"/><c r="C3" i="1"/></calcChain>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}">'
            f'<Relationship Id="r1" Type="{office}/worksheet" Target="/xl/worksheets/s1.xml"/>'
            f'<Relationship Id="r2" Type="{office}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        },
    )


def test_the_leads_rows_are_gone_from_a_workbook_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    storage.create("x.xlsx", workbook(Leads=ROWS, Notes=[["n"], [7]]))
    found = forget_in(storage, "x.xlsx", GONE)
    assert found is not None
    assert found.rows == 2
    after = parts((tmp_path / "x.xlsx").read_bytes())
    assert not any(b"L-77" in part for part in after.values())
    assert after["xl/worksheets/s2.xml"] == parts(workbook(Leads=ROWS, Notes=[["n"], [7]]))["xl/worksheets/s2.xml"]
    table = read_table(tmp_path / "x.xlsx", form=FileForm(sheet="Leads"))
    assert (table.cells.column(0).to_pylist(), list(table.rows)) == (["L-1", "L-2"], [4, 6])


def test_a_text_that_only_the_lead_has_is_gone_and_a_shared_one_stays(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    storage.create("x.xlsx", shared())
    found = forget_in(storage, "x.xlsx", GONE)
    assert found is not None
    after = parts((tmp_path / "x.xlsx").read_bytes())
    assert not any(b"L-77" in part or b"Chur" in part for part in after.values())
    assert b"C3" not in after["xl/calcChain.xml"]
    assert read_table(tmp_path / "x.xlsx").cells.to_pydict()["city"] == ["Bern"]


BROKEN: dict[str, Any] = {
    "pivot table": lambda: changed(shared(), **{"xl/pivotCache/pivotCacheRecords1.xml": "<x/>"}),
    "part that is missing": lambda: changed(shared(), **{"xl/_rels/workbook.xml.rels": "<Relationships/>"}),
    "sheet of notes": lambda: workbook(Leads=ROWS, Notes=[["n"], ["L-77"]]),
    "no column of ids": lambda: workbook(Leads=[["x"], ["a"]]),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_workbook_that_cannot_be_rewritten_is_refused_and_stays(tmp_path: Path, kind: str) -> None:
    storage, data = Folder(tmp_path), BROKEN[kind]()
    storage.create("x.xlsx", data)
    with pytest.raises(SourceError, match=stating("x.xlsx")):
        forget_in(storage, "x.xlsx", GONE)
    assert (tmp_path / "x.xlsx").read_bytes() == data


def test_a_workbook_without_the_lead_stays(tmp_path: Path) -> None:
    storage, data = Folder(tmp_path), shared()
    storage.create("x.xlsx", data)
    assert forget_in(storage, "x.xlsx", Search(frozenset({"L-7"}))) is None
    assert (tmp_path / "x.xlsx").read_bytes() == data
