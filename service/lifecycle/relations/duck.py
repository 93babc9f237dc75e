"""Runs relations in this process with DuckDB: out of core, within a memory limit, over a folder or a bucket."""

# ruff: noqa: S608 - names and values in the texts are quoted by `relation`

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from pyarrow import parquet

from service.lifecycle.relations import earlier_scores
from service.lifecycle.relations.columns import FIXED
from service.lifecycle.relations.raw_objects import RawObjects
from service.lifecycle.relations.record_files import FIRST, record_files
from service.lifecycle.relations.relation import Relation, Write, literal, quoted
from service.lifecycle.relations.stored_tables import Found, StoredTables
from service.records import RecordError
from service.storage import Storage, StorageError

MEMORY = 1_500_000_000
"""Bytes that DuckDB may use by default; what needs more goes to temporary files."""

BUFFERED = 0.85
"""Share of it that DuckDB's buffers get: it does not count all that it allocates."""


class DuckEngine:
    """A `RelationEngine` over one connection, whose tables lie in a folder of its own. Made by `opened`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path, stored: StoredTables | None = None) -> None:
        self.connection, self.folder, self._stored = connection, folder, stored
        self.broken: list[tuple[str, RecordError]] = []

    @property
    def columns(self) -> frozenset[str]:
        """See RelationEngine."""
        described = self.connection.execute("describe records").fetchall()
        return frozenset(str(name) for name, *_ in described)

    def define(self, relations: Iterable[Relation]) -> None:
        """See RelationEngine."""
        for relation in relations:
            kind = "table" if relation.kept else "view"
            self._run(f"create or replace {kind} {quoted(relation.name)} as {relation.query}")

    @contextmanager
    def writing(self, name: str, schema: pa.Schema) -> Iterator[Write]:
        """See RelationEngine."""
        file = self.folder / f"{name}.parquet"
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            yield lambda rows: writer.write_table(rows.cast(schema))
        self._view(name, [str(file)])

    def results(self, names: Sequence[str]) -> dict[str, pa.Table]:
        """See RelationEngine."""
        return {name: self._rows(f"select * from {quoted(name)}") for name in names}

    @property
    def failed(self) -> StorageError | None:
        """Why an object could not be read, where DuckDB read it and failed."""
        return self._stored.failed if self._stored else None

    def _run(self, statement: str) -> None:
        self._reading(lambda: self.connection.execute(statement))

    def _rows(self, query: str) -> pa.Table:
        return self._reading(lambda: self.connection.sql(query).to_arrow_table())

    def _reading(self, read: Callable[[], Found]) -> Found:
        return self._stored.reading(read) if self._stored else read()

    def _view(self, name: str, paths: Sequence[str], where: str = "true") -> None:
        files = ", ".join(map(literal, paths))
        query = f"select * from read_parquet([{files}], union_by_name = true) where {where}"
        self.define([Relation(name, query)])

    def open_records(self, predictions: Storage, stored: StoredTables, since: datetime, until: datetime) -> None:
        """Make `records` and `first_seen` of the objects in the storage. Raises StorageError."""
        found = record_files(predictions, since, until)
        raw = RawObjects(predictions, since, until)
        columnar = [key for key in found.raw if key.endswith(".parquet") and raw.schema(key)]
        lines = [key for key in found.raw if not key.endswith(".parquet")]
        empty = self.folder / "no_records.parquet"
        parquet.write_table(FIXED.empty_table(), empty)
        paths = [str(empty)]
        for number, rows in enumerate(raw.decoded(lines)):
            paths.append(str(self.folder / f"decoded-{number}.parquet"))
            parquet.write_table(rows, paths[-1], compression="zstd")
        self.broken += raw.broken
        within = f"time >= {literal(since)} and time < {literal(until)}"
        self._view("records", [*paths, *stored.paths([*found.tables, *columnar])], within)
        none_seen = self.folder / "none_seen.parquet"
        parquet.write_table(earlier_scores.SCHEMA.empty_table(), none_seen)
        paths = [str(none_seen)]
        # Before the tables: what is compacted meanwhile is in these.
        for number, rows in enumerate(earlier_scores.earlier_scores(predictions, since)):
            paths.append(str(self.folder / f"earlier-{number}.parquet"))
            parquet.write_table(rows, paths[-1], compression="zstd")
        seen = [key for key in predictions.keys(FIRST) if key.endswith(".parquet")]
        stored.pin(seen)  # sorted: the recent ones, which go into the others, are before these
        self._view("first_seen", [*paths, *stored.paths(seen)])


@contextmanager
def opened(
    predictions: Storage, since: datetime, until: datetime, memory: int = MEMORY, read_only: bool = False
) -> Iterator[DuckEngine]:
    """An engine over the records of [since, until). Its temporary files are gone when the block ends.

    The connection can read nothing but these records and its own files. With `read_only` no statement can write to the
    records. Raises StorageError.
    """
    stored = StoredTables(predictions, read_only)
    with _connected(stored, memory) as engine:
        engine.open_records(predictions, stored, since, until)
        yield engine


@contextmanager
def without_records(memory: int = MEMORY) -> Iterator[DuckEngine]:
    """An engine over nothing but the tables that are written to it."""
    with _connected(None, memory) as engine:
        yield engine


@contextmanager
def _connected(stored: StoredTables | None, memory: int) -> Iterator[DuckEngine]:
    with tempfile.TemporaryDirectory(prefix="relations-") as name:
        connection = duckdb.connect(str(Path(name) / "tables.db"))
        try:
            if stored and stored.files:  # before the settings: only then it is known that its paths are no local ones
                connection.register_filesystem(stored.files)
            for setting, value in _settings(stored, name, memory):
                connection.execute(f"set {setting} = {value}")
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
            yield DuckEngine(connection, Path(name), stored)
        finally:
            connection.close()


def _settings(stored: StoredTables | None, folder: str, memory: int) -> list[tuple[str, str]]:
    readable = [f"{folder}/", *([stored.place] if stored else [])]
    return [
        ("autoinstall_known_extensions", "false"),
        ("autoload_known_extensions", "false"),
        ("memory_limit", f"'{int(BUFFERED * memory)}B'"),
        ("threads", str(len(os.sched_getaffinity(0)))),
        ("temp_directory", literal(f"{folder}/spilled")),
        ("preserve_insertion_order", "false"),
        ("TimeZone", "'UTC'"),
        ("allowed_directories", f"[{', '.join(map(literal, readable))}]"),
    ]
