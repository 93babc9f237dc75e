"""An Excel or OpenDocument workbook as a table of raw cells, read by python-calamine (Rust, no macros are run)."""

import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import pyarrow as pa

from service.lifecycle.data.source import SourceError

ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
Rows = list[list[Any]]


def is_workbook(path: str, data: bytes) -> bool:
    """Whether the bytes are a workbook. Raises SourceError for another ZIP archive, naming what it is."""
    if data.startswith(OLE):
        return True
    if not data.startswith(ZIP):
        return False
    try:
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except zipfile.BadZipFile as error:
        raise SourceError(f"{path}: is a broken ZIP archive or workbook ({error}); fetch it again") from error
    if any(name.startswith("xl/") for name in names) or "content.xml" in names:
        return True
    if any(name.startswith("word/") for name in names):
        raise SourceError(f"{path}: is a Word document; export the leads as CSV")
    raise SourceError(f"{path}: is a ZIP archive that holds {', '.join(names[:3]) or 'nothing'}; unpack it")


def read_rows(path: str, data: bytes, sheet: str | None) -> tuple[str, Rows]:
    """The name and the rows of the sheet, from row 1; of the only one with cells where none is named."""
    filled = read_sheets(path, data, sheet)
    if not filled:
        raise SourceError(f"{path}: is a workbook without a filled cell")
    if len(filled) > 1:
        raise SourceError(f"{path}: has the sheets {', '.join(filled)}; name the one with the leads: sheet = ...")
    return next(iter(filled.items()))


def read_sheets(path: str, data: bytes, sheet: str | None = None) -> dict[str, Rows]:
    """The rows of each sheet with a filled cell, from row 1; of the one that is named. Raises SourceError."""
    import python_calamine as calamine  # a workbook alone needs it

    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        if sheet is not None and sheet not in book.sheet_names:
            raise SourceError(f"{path}: has no sheet {sheet!r}; it has: {', '.join(book.sheet_names)}")
        names = [sheet] if sheet is not None else book.sheet_names
        read = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in names}
    except (calamine.CalamineError, OSError) as error:
        raise SourceError(f"{path}: is a workbook that cannot be read ({error}); save it again, or as CSV") from error
    return {name: rows for name, rows in read.items() if any(not _blank(cell) for row in rows for cell in row)}


def column(cells: Sequence[Any]) -> pa.Array:
    """The cells with the one type that they share, else as text."""
    present = [cell for cell in cells if not _blank(cell)]
    kept = [None if _blank(cell) else cell for cell in cells]
    if present and all(isinstance(cell, bool) for cell in present):
        return pa.array(kept, pa.bool_())
    if present and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in present):
        return pa.array([None if cell is None else float(cell) for cell in kept], pa.float64())
    return pa.array(["" if cell is None else text(cell) for cell in kept], pa.string())


def text(cell: Any) -> str:
    """A cell as text: numbers and times as programs write them, a whole number without a decimal point."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    return f"{cell / timedelta(days=1)}" if isinstance(cell, timedelta) else str(cell)


def _blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())
