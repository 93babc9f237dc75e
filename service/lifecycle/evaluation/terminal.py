"""Tables for the terminal."""

from collections.abc import Collection, Sequence

from rich import box
from rich.table import Table


def terminal_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str | None = None,
    text: Collection[str] = (),
    padding: int = 0,
) -> Table:
    """The rows, numbers to the right, the first column and those of `text` to the left.

    `padding` is on the right alone, so that wide tables fit into 80 columns.
    """
    shown = Table(*header, title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, padding, 0, 0))
    for column in shown.columns:
        column.justify, column.overflow = "left" if column.header in (header[0], *text) else "right", "fold"
    for row in rows:
        shown.add_row(*row)
    return shown
