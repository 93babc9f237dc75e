"""Runs one query that a person wrote, which can only read, and tells its errors in plain words.

Three things keep it from writing: it must be one statement that DuckDB takes for a query; its transaction is read-only;
and the connection of `duck.opened(read_only=True)` reaches no file but the engine's own and, to read, the records.
DuckDB takes a COPY within a WITH for a query, and runs one in a read-only transaction: the last of the three stops it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import duckdb

from service.lifecycle.querying.views import SCHEMA, VIEWS
from service.lifecycle.relations.duck import DuckEngine
from service.storage import StorageError

CHUNK = 1_000
"""Rows that are fetched at once."""

_PLACE = re.compile(r"\n\s*LINE (\d+): (.*)\n( *)\^+\s*\Z")
_KIND = re.compile(r"\A(?:[A-Z]\w* )+Error: ")
_NO_COLUMN = re.compile(r'Referenced column (".*") not found in FROM clause!\nCandidate bindings: (.*)')
_NO_TABLE = re.compile(r"Table with name (.*) does not exist!(?:\nDid you mean .*)?")
_CANDIDATES = re.compile(r"\n\tCandidate functions:.*", re.DOTALL)


class QueryRefused(Exception):
    """The query is none that may run, or it failed; the message says where and why."""


class Answer(NamedTuple):
    """Names of the columns, no two alike, and the rows, which come as they are fetched."""

    names: list[str]
    rows: Iterator[tuple[Any, ...]]


def check(sql: str) -> None:
    """Raises QueryRefused where it is not one query."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryRefused(_in_words(str(error), sql)) from error
    if not statements:
        raise QueryRefused("there is no SQL in it; scripts/query --examples shows some")
    if any(statement.type is duckdb.StatementType.MULTI for statement in statements):
        raise QueryRefused("PIVOT must name its values: pivot ... on column in ('one', 'other') using count(*)")
    if len(statements) > 1:
        raise QueryRefused(f"these are {len(statements)} statements; give one")
    if statements[0].type is not duckdb.StatementType.SELECT:
        raise QueryRefused(f"{statements[0].type.name} is no query; only SELECT, DESCRIBE and the like are run")


def answer(engine: DuckEngine, sql: str) -> Answer:
    """The rows of the query. Raises QueryRefused and StorageError, also while the rows are fetched."""
    check(sql)
    try:
        engine.connection.execute(f"use {SCHEMA}")
        engine.connection.execute("begin transaction read only")
        engine.connection.execute(sql)
    except duckdb.Error as error:
        raise _failure(engine, error, sql) from error
    described = engine.connection.description or []
    return Answer(_unique([str(name) for name, *_ in described]), _fetched(engine, sql))


def _fetched(engine: DuckEngine, sql: str) -> Iterator[tuple[Any, ...]]:
    try:
        while rows := engine.connection.fetchmany(CHUNK):
            yield from rows
    except duckdb.Error as error:
        raise _failure(engine, error, sql) from error


def _failure(engine: DuckEngine, error: duckdb.Error, sql: str) -> QueryRefused | StorageError:
    return engine.failed or QueryRefused(_in_words(str(error), sql))


def _in_words(message: str, sql: str) -> str:
    """DuckDB's message, with line and column, and the line itself with a mark below the place."""
    place = _PLACE.search(message)
    reason = _KIND.sub("", _CANDIDATES.sub("", message[: place.start()] if place else message)).strip()
    reason = _NO_COLUMN.sub(r"there is no column \1; the nearest are \2", reason)
    reason = _NO_TABLE.sub(rf'there is no view "\1"; there are {", ".join(VIEWS)}', reason)
    if "file system operations are disabled" in reason:
        reason = "a query reads the views, and no files"
    if "read-only mode" in reason or "can be read only" in reason:
        reason = "a query cannot write"
    if message.startswith("Out of Memory"):
        reason = "it needs more memory than a query gets; read fewer days (--days), or sort and join fewer columns"
    if place is None:
        return reason
    number, shown, indent = int(place[1]), place[2], len(place[3]) - len(f"LINE {place[1]}: ")
    line = sql.split("\n")[number - 1]
    column = indent + 1
    if shown.startswith("..."):  # DuckDB shows a part of a long line
        column += line.find(shown.removeprefix("...").removesuffix("...")) - len("...")
    return f"line {number}, column {column}: {reason}\n  {shown}\n  {' ' * indent}^"


def _unique(names: Sequence[str]) -> list[str]:
    """The names, with a number where one was there before."""
    found: dict[str, None] = {}
    for name in names:
        candidate, number = name, 2
        while candidate in found:
            candidate, number = f"{name}_{number}", number + 1
        found[candidate] = None
    return list(found)
