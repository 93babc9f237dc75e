"""Rows of a file that are no leads: blank ones, totals, and the lines below a report's table."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from service.reading.rows import LAST_ROWS, SPARSE_WIDTH, below_the_table, is_total

Mask = npt.NDArray[np.bool_]


def blank(table: pa.Table) -> Mask:
    """Which rows have no filled cell."""
    empty = np.ones(table.num_rows, dtype=bool)
    for column in table.columns:
        if not empty.any():
            break
        empty &= _empty(column)
    return empty


def totals_and_footers(table: pa.Table, kept: Mask) -> Mask:
    """Which of the kept rows are totals anywhere, or totals, lone texts and sums without a name at the end."""
    found = np.zeros(table.num_rows, dtype=bool)
    if table.num_columns < SPARSE_WIDTH:
        return found
    last = np.flatnonzero(kept)[-LAST_ROWS:]
    found[last[len(last) - below_the_table([_cells(table, place) for place in last]) :]] = True
    first = table.column(0)
    if pa.types.is_string(first.type):
        named = pc.match_substring_regex(first, r"(?i)^\s*(grand|sub|zwischen|gesamt|sous-)?[ -]?(total|summe|somme)")
        for place in np.flatnonzero(named.fill_null(False).to_numpy()):
            found[place] |= is_total(_cells(table, place))
    return found & kept


def _cells(table: pa.Table, place: Any) -> list[Any]:
    return [column[int(place)].as_py() for column in table.columns]


def _empty(column: pa.ChunkedArray) -> Mask:
    if pa.types.is_string(column.type):
        column = pc.equal(pc.utf8_trim_whitespace(column), "").fill_null(True)
        mask: Mask = column.to_numpy()
        return mask
    missing: Mask = column.is_null().to_numpy()
    return missing
