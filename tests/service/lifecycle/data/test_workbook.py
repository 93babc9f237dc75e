"""A workbook is read as the CSV file of the same leads is."""

import io
import zipfile
from pathlib import Path

import pytest

from service.lifecycle.data.source import SourceError
from service.lifecycle.data.table import FileForm, read_table
from tests.facts import stating

pytest.importorskip("python_calamine", reason="python-calamine is not installed")

ROWS: list[list[object]] = [["Report"], [], ["id", "size", "won"], ["a", 1.5, True], ["b", None, False], ["c", 3, True]]
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def workbook(**sheets: list[list[object]]) -> bytes:
    """An .xlsx of these sheets: the least that ECMA-376 asks for."""

    def cell(value: object) -> str:
        if isinstance(value, bool):
            return f'<c t="b"><v>{int(value)}</v></c>'
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return "<c/>" if value is None else f"<c><v>{value}</v></c>"

    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    listed = "".join(f'<sheet name="{name}" sheetId="{i}" r:id="r{i}"/>' for i, name in enumerate(sheets, 1))
    links = "".join(
        f'<Relationship Id="r{i}" Type="{RELATED}/worksheet" Target="worksheets/s{i}.xml"/>'
        for i in range(1, len(sheets) + 1)
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="xml" '
        f'ContentType="{kind}.worksheet+xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{kind}.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{RELATED}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATED}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{links}</Relationships>',
    }
    for number, rows in enumerate(sheets.values(), 1):
        written = "".join(f'<row r="{r}">{"".join(map(cell, row))}</row>' for r, row in enumerate(rows, 1))
        parts[f"xl/worksheets/s{number}.xml"] = (
            f'<worksheet xmlns="{MAIN}"><sheetData>{written}</sheetData></worksheet>'
        )
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return data.getvalue()


def test_cells_keep_their_types_and_rows_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_bytes(workbook(Leads=ROWS))
    table = read_table(tmp_path / "leads.csv")
    assert table.cells.to_pydict() == {"id": ["a", "b", "c"], "size": [1.5, None, 3.0], "won": [True, False, True]}
    assert [table.row(index) for index in range(3)] == [4, 5, 6]


def test_of_several_sheets_one_must_be_named(tmp_path: Path) -> None:
    (tmp_path / "leads.xlsx").write_bytes(workbook(Leads=ROWS, Notes=[["x", "y"], ["1", "2"]]))
    with pytest.raises(SourceError, match=stating("Leads", "Notes", "sheet")):
        read_table(tmp_path / "leads.xlsx")
    assert read_table(tmp_path / "leads.xlsx", FileForm(sheet="Leads")).cells.num_rows == 3
    with pytest.raises(SourceError, match=stating("no sheet", "'Lead'")):
        read_table(tmp_path / "leads.xlsx", FileForm(sheet="Lead"))


def test_a_broken_workbook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "leads.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
    with pytest.raises(SourceError, match=stating("leads.xls", "workbook")):
        read_table(tmp_path / "leads.xls")
