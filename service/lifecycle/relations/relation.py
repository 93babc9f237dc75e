"""What the jobs compute from records and outcomes: named queries, which DuckDB and Spark run alike.

The texts are DuckDB's SQL, of which they use what sqlglot turns into Spark's: IEEE doubles, exact aggregates, windows.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import pyarrow as pa

from service.records import RecordError


class RelationsFailed(Exception):
    """An engine could not run relations; the message says what happened, where, and what to do next."""


class Relation(NamedTuple):
    """A query, and the name by which later ones read its rows.

    The rows of a `kept` one are computed once and kept; those of others where they are read.
    """

    name: str
    query: str
    kept: bool = False


class Write(Protocol):
    """Appends rows to a table that is being written."""

    def __call__(self, rows: pa.Table) -> None:
        """Append these rows."""


class RelationEngine(Protocol):
    """Runs relations over `records`, the prediction records of a stretch of time, and `first_seen`.

    `columns` are the columns of `records`. It has `relations.columns.FIXED`, and one for each input field and kind that
    a record of that time has. `first_seen` has the first score of each lead over all history before that time, and may
    have later ones of it too. `broken` are objects and lines that hold no record, each with its object's key.
    """

    broken: list[tuple[str, RecordError]]

    @property
    def columns(self) -> frozenset[str]:
        """The columns of `records`."""

    def define(self, relations: Iterable[Relation]) -> None:
        """Make these relations known, in this order; one of a name that is known replaces it."""

    def writing(self, name: str, schema: pa.Schema) -> AbstractContextManager[Write]:
        """Write a table of this name, part by part; relations may read it after the block."""

    def results(self, names: Sequence[str]) -> dict[str, pa.Table]:
        """The rows of these relations, which must fit into memory.

        On Spark each call is a batch, which costs about a minute to start: ask for all at once. Later calls read the
        `kept` relations that it has computed.
        """


def quoted(name: str) -> str:
    """The name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | float | datetime) -> str:
    """The value as SQL writes it: texts in quotes, floats as doubles, times in UTC."""
    if isinstance(value, datetime):
        return f"cast('{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00' as timestamptz)"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"cast({float(value)!r} as double)"
