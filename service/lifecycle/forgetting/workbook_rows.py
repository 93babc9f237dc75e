"""Removes rows from an Excel workbook (.xlsx), and keeps all else of it as it is.

The workbook is a ZIP archive of XML parts (ECMA-376). A sheet's rows refer to texts that are kept once, in the part
of shared strings, so that a text must go with the last row that refers to it. The result is read again and compared.
"""

import html
import io
import itertools
import re
import zipfile
from collections.abc import Iterator, Mapping

from service.lifecycle.data import workbook
from service.lifecycle.data.source import SourceError
from service.lifecycle.forgetting.search import Search, Tally
from service.model.spelling import fold
from service.reading.dialect import SNIFFED_ROWS, header_place
from service.storage import Writable

_ROW = re.compile(rb"<((?:\w+:)?row)\b[^>]*?(?:/>|>.*?</\1>)", re.DOTALL)
_NUMBER = re.compile(rb'<[^>]*?\sr="(\d+)"')
_SHARED = re.compile(rb'<(?:\w+:)?c\b[^>]*?\st="s"[^>]*>\s*<(?:\w+:)?v>(\d+)<')
_TEXT = re.compile(rb"<((?:\w+:)?)si\b[^>]*?(?:/>|>.*?</\1si>)", re.DOTALL)
_CHAIN = re.compile(rb'<(?:\w+:)?c\b[^>]*?\sr="[A-Z]+(\d+)"[^>]*/>')
_RELATION = re.compile(rb"<(?:\w+:)?Relationship\b[^>]*>")
_SHEET = re.compile(rb"<(?:\w+:)?sheet\b[^>]*>")
STRINGS, CHAIN = "xl/sharedStrings.xml", "xl/calcChain.xml"


def without_workbook_rows(origin: str, data: bytes, out: Writable, search: Search) -> Tally:
    """Copy the workbook without the leads' rows, where it holds any. Raises SourceError."""
    sheets = workbook.read_sheets(origin, data)
    gone: dict[str, set[int]] = {}
    rows, seen = 0, False
    for name, cells in sheets.items():
        header = header_place(cells[:SNIFFED_ROWS])
        names = [fold(workbook.text(cell)) for cell in cells[header]]
        at = [place for place, column in enumerate(names) if column in set(map(fold, search.id_columns))]
        seen = seen or bool(at)
        for number, row in enumerate(cells[header + 1 :], header + 2):
            if not search.holds([row[place] for place in at] if at else row):
                rows += any(cell not in (None, "") for cell in row)
                continue
            if not at:
                raise SourceError(
                    f"{origin}, sheet {name!r}, row {number}: holds the id, in no column of ids; remove it"
                )
            gone.setdefault(name, set()).add(number)
            if search.trials:
                search.trials.learn(search.lead_of(row[place] for place in at), dict(zip(names, row, strict=True)))
    if not seen:
        raise search.no_column(origin)
    if gone:
        out.write(_rewritten(origin, data, sheets, gone))
    return Tally(rows, sum(map(len, gone.values())))


def _rewritten(path: str, data: bytes, sheets: Mapping[str, workbook.Rows], gone: Mapping[str, set[int]]) -> bytes:
    """The workbook without these rows of these sheets; their places stay empty. Raises SourceError."""
    by_hand = "remove the lead by hand, or replace the file by CSV"
    if not data.startswith(workbook.ZIP):
        raise SourceError(f"{path}: is a workbook of the old kind, which is not rewritten; {by_hand}")
    try:
        parts = _parts(data)
        if copies := [name for name in parts if name.startswith(("xl/pivotCache/", "xl/externalLinks/"))]:
            raise SourceError(f"{path}: copies of its rows may be in {copies[0]}; {by_hand}")
        places = _sheet_parts(parts)
        removed, stay = set[int](), set[int]()
        for name, part in places.items():
            parts[part] = _sheet(parts[part], gone.get(name, set()), removed, stay)
        if STRINGS in parts:
            parts[STRINGS] = _without_texts(parts[STRINGS], removed - stay)
        if CHAIN in parts:
            numbers = set[int]().union(*gone.values())
            parts[CHAIN] = _CHAIN.sub(lambda cell: b"" if int(cell[1]) in numbers else cell[0], parts[CHAIN])
    except (KeyError, StopIteration, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path}: is a workbook that cannot be rewritten ({error!r}); {by_hand}") from error
    made = _archive(data, parts)
    if not _same(workbook.read_sheets(path, made), sheets, gone):
        raise SourceError(f"{path}: is a workbook that would read otherwise without the lead; {by_hand}")
    return made


def _parts(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _archive(data: bytes, parts: Mapping[str, bytes]) -> bytes:
    """The archive with these contents, in its own order, with its own times."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for info in old.infolist():
            new.writestr(info, parts[info.filename], info.compress_type)
    return made.getvalue()


def _sheet_parts(parts: Mapping[str, bytes]) -> dict[str, str]:
    """The part of each sheet, by the sheet's name. Raises KeyError."""
    relations = [_attributes(found[0]) for found in _RELATION.finditer(parts["xl/_rels/workbook.xml.rels"])]
    targets = {each["Id"]: each["Target"] for each in relations}
    found = {}
    for sheet in map(_attributes, (found[0] for found in _SHEET.finditer(parts["xl/workbook.xml"]))):
        target = targets[next(value for name, value in sheet.items() if name.endswith(":id"))]
        found[sheet["name"]] = target.removeprefix("/") if target[0] == "/" else f"xl/{target}"
    return found


def _attributes(element: bytes) -> dict[str, str]:
    pairs = re.findall(r"""([\w:]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""", element.decode())
    return {name: html.unescape(first or second) for name, first, second in pairs}


def _sheet(xml: bytes, gone: set[int], removed: set[int], stay: set[int]) -> bytes:
    """The sheet without these rows; add the shared texts of the rows to those `removed` and those that `stay`."""

    def kept() -> Iterator[bytes]:
        end = number = 0
        for row in _ROW.finditer(xml):
            stated = _NUMBER.match(row[0].partition(b">")[0])
            number = int(stated[1]) if stated else number + 1
            (removed if number in gone else stay).update(int(index) for index in _SHARED.findall(row[0]))
            yield xml[end : row.start()]
            if number not in gone:
                yield row[0]
            end = row.end()
        yield xml[end:]

    return b"".join(kept())


def _without_texts(xml: bytes, gone: set[int]) -> bytes:
    """The shared texts, of which these are empty: their places count, so they stay."""
    places = itertools.count()

    def text(found: re.Match[bytes]) -> bytes:
        return b"<%bsi><%bt/></%bsi>" % (found[1], found[1], found[1]) if next(places) in gone else found[0]

    return _TEXT.sub(text, xml)


def _same(made: Mapping[str, workbook.Rows], sheets: Mapping[str, workbook.Rows], gone: Mapping[str, set[int]]) -> bool:
    """Whether all other rows have the same cells."""

    def cells(read: Mapping[str, workbook.Rows]) -> dict[tuple[str, int, int], object]:
        return {
            (name, number, place): cell
            for name, rows in read.items()
            for number, row in enumerate(rows, 1)
            for place, cell in enumerate(row)
            if cell not in (None, "") and number not in gone.get(name, ())
        }

    return cells(made) == cells(sheets)
