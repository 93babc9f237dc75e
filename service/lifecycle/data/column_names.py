"""The columns that a lead source names, found in a file whose names may differ in case and blanks."""

import difflib
from collections.abc import Iterable
from dataclasses import replace

from service.lifecycle.data.source import SourceError
from service.lifecycle.data.table import Table
from service.reading.header import Header


def with_columns(table: Table, named: Iterable[tuple[str, Iterable[str | None]]]) -> Table:
    """The table whose columns are called as named, given by the key that names them. Raises SourceError without one.

    A column whose name differs in case and blanks alone is the one that is meant, if no other does.
    """
    found = list(table.cells.column_names)
    notes = []
    for key, columns in named:
        for column in columns:
            if column is None or column in found:
                continue
            if (place := Header(found).place_of(column)) is None:
                close = difflib.get_close_matches(column, found, n=1)
                raise SourceError(
                    f"{table.origin}: has no column {column!r}, which {key} names"
                    f"{f' (did you mean {close[0]!r}?)' if close else ''}; it has: {', '.join(found)}"
                )
            notes.append(f"{column}: it is written {found[place]!r} in the file")
            found[place] = column
    return replace(table, cells=table.cells.rename_columns(found), notes=table.notes + tuple(notes)) if notes else table
