"""CSV for people's spreadsheets: safe to open, and written as the file that it answers.

A spreadsheet takes a cell that begins with one of STARTS for a formula, and runs it. An apostrophe before it makes it
text: https://owasp.org/www-community/attacks/CSV_Injection and, for NUL, requirement 1.2.10 of
https://github.com/OWASP/ASVS/blob/master/5.0/en/0x10-V1-Encoding-and-Sanitization.md.
"""

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

from service.model.spelling import Mark
from service.storage import Writable

STARTS = "=+-@\uff1d\uff0b\uff0d\uff20"
"""First characters of a formula, and their full-width forms; blanks may stand before them."""
_RISKY = re.compile(rf"'*(?:\s*[{re.escape(STARTS)}]|[\t\r\n\0])")
BYTE_ORDER_MARK = "\ufeff"


def safe(text: str) -> str:
    """The text as no spreadsheet takes it for a formula. `exact` gives back what it was."""
    return f"'{text}" if _RISKY.match(text) else text


def exact(text: str) -> str:
    """The text of which `safe` made this one; one that it did not change is itself."""
    return text[1:] if text.startswith("'") and _RISKY.match(text) else text


class SheetWriter:
    """Writes rows of cells as CSV. Numbers stay numbers, with this decimal mark; texts are made safe."""

    def __init__(
        self, out: Writable, names: Iterable[str], delimiter: str, decimal: Mark, byte_order_mark: bool
    ) -> None:
        self._out, self._decimal = out, decimal
        self._lines = io.StringIO(newline="")
        if byte_order_mark:
            self._lines.write(BYTE_ORDER_MARK)
        self._csv = csv.writer(self._lines, delimiter=delimiter, lineterminator="\r\n")
        self.write([list(names)])

    def write(self, rows: Iterable[Iterable[Any]]) -> None:
        """Write these rows; None is an empty cell."""
        self._csv.writerows([self._cell(cell) for cell in row] for row in rows)
        self._out.write(self._lines.getvalue().encode())
        self._lines.seek(0)
        self._lines.truncate()

    def _cell(self, cell: Any) -> str:
        if isinstance(cell, str):
            return safe(cell)
        if isinstance(cell, float):
            text = repr(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
            return text.replace(".", self._decimal)
        return "" if cell is None else str(cell)
