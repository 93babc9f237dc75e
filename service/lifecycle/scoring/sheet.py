"""CSV for people's spreadsheets: safe to open, and written as the file that it answers."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from service.model.spelling import Mark
from service.reading.formulas import safe
from service.storage import Writable

BYTE_ORDER_MARK = "\ufeff"


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
