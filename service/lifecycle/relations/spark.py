"""Runs relations on Spark: a batch reads the records where they lie, and what it is asked for comes back as Parquet."""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from service.lifecycle.relations import earlier_scores
from service.lifecycle.relations.columns import FIXED
from service.lifecycle.relations.raw_objects import RawObjects
from service.lifecycle.relations.record_files import FIRST, record_files
from service.lifecycle.relations.relation import Relation, RelationsFailed, Write, literal
from service.lifecycle.relations.spark_batch import Progress, SparkPlace, run_batch
from service.lifecycle.relations.spark_sql import in_spark, needed, spark_type, tables
from service.records import RecordError
from service.storage import Storage, StorageError, open_storage

PROGRAM = Path(__file__).with_name("spark_main.py")
"""What a batch runs. It is not imported here: the jobs do not have PySpark."""

STORED = "stored_records"
FOOTERS = 16
"""Footers of Parquet files that are read at once."""


class SparkEngine:
    """A `RelationEngine` whose relations run as batches at `place`; each call of `results` is one. Made by `opened`.

    What goes to a batch and what comes from it lies below `run` in the staging storage.
    """

    def __init__(self, place: SparkPlace, staging: Storage, run: str, tell: Progress) -> None:
        self.place, self.staging, self.run, self._tell = place, staging, run, tell
        self._views: dict[str, tuple[pa.Schema, list[str]]] = {}
        self._relations: dict[str, Relation] = {}
        self._batches = self._tables = 0
        self.broken: list[tuple[str, RecordError]] = []

    @property
    def columns(self) -> frozenset[str]:
        """See RelationEngine."""
        return frozenset(self._views[STORED][0].names)

    def define(self, relations: Iterable[Relation]) -> None:
        """See RelationEngine."""
        for relation in relations:
            self._relations[relation.name] = relation
            self._views.pop(relation.name, None)

    def open_records(self, predictions: Storage, since: datetime, until: datetime) -> None:
        """Make `records` and `first_seen` of the objects in the storage. Raises StorageError.

        The batch reads Parquet where it lies. Objects of JSON lines are decoded here and staged as Parquet: the hours
        that are not compacted yet.
        """
        found = record_files(predictions, since, until)
        raw = RawObjects(predictions, since, until)
        keys = [*found.tables, *(key for key in found.raw if key.endswith(".parquet"))]
        with ThreadPoolExecutor(FOOTERS) as pool:
            schemas = {key: schema for key, schema in zip(keys, pool.map(raw.schema, keys), strict=True) if schema}
        if lost := [key for key in found.tables if key not in schemas]:
            raise StorageError(
                f"{predictions.url}/{lost[0]} is no whole Parquet file, or was deleted while it was read"
            )
        addresses, columns = [f"{predictions.url}/{key}" for key in schemas], [FIXED, *schemas.values()]
        for number, rows in enumerate(raw.decoded([key for key in found.raw if not key.endswith(".parquet")])):
            with self.writing(f"decoded-{number}", rows.schema) as write:
                write(rows)
            schema, decoded = self._views.pop(f"decoded-{number}")
            columns.append(schema)
            addresses += decoded
        self.broken += raw.broken
        self.read(STORED, pa.unify_schemas([each.remove_metadata() for each in columns]), addresses)
        within = f"time >= {literal(since)} and time < {literal(until)}"
        self.define([Relation("records", f"select * from {STORED} where {within}")])  # noqa: S608 - times alone
        # Before the tables: what is compacted meanwhile is in these.
        earlier = []
        for number, rows in enumerate(earlier_scores.earlier_scores(predictions, since)):
            with self.writing(f"earlier-{number}", rows.schema) as write:
                write(rows)
            earlier += self._views.pop(f"earlier-{number}")[1]
        first = [key for key in predictions.keys(FIRST) if key.endswith(".parquet")]
        seen = [*earlier, *(f"{predictions.url}/{key}" for key in first)]
        self.read("first_seen", earlier_scores.SCHEMA, seen)

    def read(self, name: str, schema: pa.Schema, addresses: Iterable[str]) -> None:
        """Make the rows of these Parquet files known under a name. A column that a file does not have is null there."""
        self._views[name] = schema, list(addresses)

    @contextmanager
    def writing(self, name: str, schema: pa.Schema) -> Iterator[Write]:
        """See RelationEngine."""
        self._tables += 1
        key = f"{self.run}/tables/{self._tables}.parquet"
        with (
            self.staging.writing(key, None) as file,
            parquet.ParquetWriter(pa.PythonFile(file, mode="w"), schema, compression="zstd") as writer,
        ):
            yield lambda rows: writer.write_table(rows.cast(schema))
        self.read(name, schema, [self._address(key)])

    def results(self, names: Sequence[str]) -> dict[str, pa.Table]:
        """See RelationEngine. Raises RelationsFailed, StorageError."""
        self._batches += 1
        batch = f"{self.run}-{self._batches}"
        program, job = f"{self.run}/{batch}.py", f"{self.run}/{batch}.json"
        folders = {name: f"{self.run}/{batch}/{number}" for number, name in enumerate(names)}
        relations = needed(self._relations, names)
        kept = {r.name: f"{self.run}/{batch}/kept-{number}" for number, r in enumerate(relations) if r.kept}
        self.staging.create(program, PROGRAM.read_bytes())
        self.staging.create(job, self._job(relations, folders, kept))
        run_batch(self.place, batch, self._address(program), self._address(job), self._tell)
        for name, folder in kept.items():
            self._read_kept(name, self._written(name, folder))
        return {name: self._result(name, folder) for name, folder in folders.items()}

    def _job(self, relations: Sequence[Relation], folders: Mapping[str, str], kept: Mapping[str, str]) -> bytes:
        read = {name for relation in relations for name in tables(relation.query)}.union(folders)
        job = {
            "views": [
                {"name": name, "columns": [(f.name, spark_type(f.type)) for f in schema], "files": addresses}
                for name, (schema, addresses) in self._views.items()
                if name in read
            ],
            "relations": [
                {"name": r.name, "query": in_spark(r.query), "kept": self._address(kept[r.name]) if r.kept else ""}
                for r in relations
            ],
            "results": {name: self._address(folder) for name, folder in folders.items()},
        }
        return json.dumps(job).encode()

    def _read_kept(self, name: str, keys: Sequence[str]) -> None:
        """Have later batches read the rows that this one has stored."""
        opened = self.staging.open(keys[0])
        if opened is None:
            raise StorageError(f"{self._address(keys[0])} was deleted while it was read")
        with opened.file as file:
            schema = parquet.ParquetFile(pa.PythonFile(file, mode="r")).schema_arrow.remove_metadata()
        del self._relations[name]
        self.read(name, schema, map(self._address, keys))

    def _result(self, name: str, folder: str) -> pa.Table:
        stored = [self.staging.read(key) for key in self._written(name, folder)]
        return pa.concat_tables([parquet.read_table(pa.BufferReader(each.data)) for each in stored if each])

    def _written(self, name: str, folder: str) -> list[str]:
        """The keys of the files that hold the rows. Raises RelationsFailed."""
        keys = list(self.staging.keys(f"{folder}/"))
        found = [key for key in keys if key.endswith(".parquet")]
        # Spark writes _SUCCESS when all rows are there.
        if f"{folder}/_SUCCESS" not in keys or not found:
            raise RelationsFailed(f"Spark wrote no result of {name} to {self._address(folder)}; run the job again")
        return found

    def _address(self, key: str) -> str:
        return f"{self.staging.url}/{key}"

    def clear(self) -> None:
        """Delete all that was staged: it names leads. What stays, the storage's owner deletes after its time."""
        try:
            for key in list(self.staging.keys(f"{self.run}/")):
                if opened := self.staging.open(key):
                    opened.file.close()
                    self.staging.delete(key, opened.generation)
        except StorageError as error:
            self._tell(f"what was staged for Spark could not be deleted, and names leads: {error}")


@contextmanager
def opened(
    predictions: Storage, since: datetime, until: datetime, job: str, tell: Progress, place: SparkPlace | None = None
) -> Iterator[SparkEngine]:
    """An engine over the records of [since, until), for the job of this name. What it staged is gone after the block.

    `place` is that of the environment by default. Raises RelationsFailed, StorageError.
    """
    place = place or SparkPlace.from_environment()
    engine = SparkEngine(place, open_storage(place.staging), f"{job}-{uuid.uuid4().hex[:12]}", tell)
    try:
        engine.open_records(predictions, since, until)
        yield engine
    finally:
        engine.clear()
