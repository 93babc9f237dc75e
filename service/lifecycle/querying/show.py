"""Writes the rows of an answer: a table for a terminal, CSV that is safe in a spreadsheet, or JSON lines."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import IO, Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.lifecycle.querying.read_only import CHUNK, Answer
from service.lifecycle.runtime.runner import printable
from service.lifecycle.scoring.sheet import SheetWriter

Cells = tuple[Any, ...]
Show = Callable[[Sequence[str], Iterator[Cells], IO[bytes]], None]

_JSON = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


def show(answer: Answer, form: str, rows: int, out: IO[bytes]) -> bool:
    """Write at most so many rows in this form of FORMS; return whether there are more. Raises QueryRefused."""
    left = [False]

    def bounded() -> Iterator[Cells]:
        yield from itertools.islice(answer.rows, rows)
        left[0] = next(answer.rows, None) is not None

    FORMS[form](answer.names, bounded(), out)
    out.flush()
    return left[0]


def _table(names: Sequence[str], rows: Iterator[Cells], out: IO[bytes]) -> None:
    found = list(rows)
    table = Table()
    for name, column in itertools.zip_longest(names, zip(*found, strict=True)):
        numeric = all(isinstance(v, int | float | Decimal | None) and not isinstance(v, bool) for v in column or ())
        table.add_column(Text(printable(name)), justify="right" if column and numeric else "left", overflow="fold")
    for row in found:
        table.add_row(*(Text(printable(_text(cell))) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1_000_000  # a line for each row, for whatever reads it
    with console.capture() as capture:
        console.print(table)
    out.write(capture.get().encode())


def _csv(names: Sequence[str], rows: Iterator[Cells], out: IO[bytes]) -> None:
    sheet = SheetWriter(out, names, ",", ".", byte_order_mark=False)  # type: ignore[arg-type]
    while chunk := list(itertools.islice(rows, CHUNK)):
        sheet.write([str(cell).lower() if isinstance(cell, bool) else cell for cell in row] for row in chunk)


def _json(names: Sequence[str], rows: Iterator[Cells], out: IO[bytes]) -> None:
    for row in rows:
        out.write(_JSON.encode(dict(zip(names, row, strict=True))) + b"\n")


FORMS: dict[str, Show] = {"table": _table, "csv": _csv, "json": _json}


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return f"{cell:.10g}"
    return "" if cell is None else str(cell)
