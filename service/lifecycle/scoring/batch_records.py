"""Prediction records of leads that are scored from files, so that they are evaluated, watched for drift and trained on.

A piece is what is scored into one object: a file, or a part of one. Its records are one Parquet object in the storage
of records, `predictions/dt=D/hh=H/<name>.parquet`, with the columns of `relations.columns`. All of them have one time,
that of the piece's first start, which `predictions/claims/<name>.json` keeps; that of a file keeps the contact rule,
by which all its parts are scored, whatever takes that one's place meanwhile. A task that was killed and is started
again therefore writes the same records to the same object, or finds them there: none is lost, none is there twice.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from service import records
from service.lifecycle.relations.columns import FIXED, InputKind, input_column
from service.lifecycle.relations.lead_keys import lead_keys
from service.lifecycle.relations.record_files import CLAIMS, read_manifest
from service.lifecycle.scoring.cells import is_blank
from service.lifecycle.scoring.encoder import Encoded, Encoder
from service.model.bundle import Bundle
from service.model.contact_rule import POLICIES, ContactRule
from service.model.decide import DECISIONS, Chosen, ContactList
from service.model.schema import Kind
from service.model.trees import Matrix
from service.reading.cells import as_text
from service.storage import Conflict, Storage, StorageError

ROWS = 131_072
"""Records that are gathered before they are written: a row group."""

_KINDS: dict[Kind, InputKind] = {"number": "number", "boolean": "boolean", "category": "text"}
_TEXT = pa.dictionary(pa.int32(), pa.string())
"""Texts that repeat. In the file they are plain texts."""
CODEC = "lz4"
"""Half as much work as zstd for half as many bytes more. The object is read once or twice, then compacted."""

_now = partial(datetime.now, UTC)
Record = Callable[[pa.RecordBatch], None]


class Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a piece was first begun: the time of its records. Of a file also the contact rule of its first start."""

    time: datetime
    rule: dict[str, Any] | None = None


def piece_id(piece: str, id_column: str) -> str:
    """The id of a piece's records as a request, and the name of their object: the same in every start."""
    digest = hashlib.sha256(f"{piece}/{id_column}".encode()).hexdigest()
    return f"batch-{digest[:24]}"


def rows_of(
    encoder: Encoder, cells: pa.RecordBatch, encoded: Encoded, scores: Matrix, decision: pa.Array, band: pa.Array
) -> pa.RecordBatch:
    """What differs between the records of these leads: keys, ids, scores, decisions by the score alone, and inputs.

    The inputs are those that the service would record for the same cells.
    """
    columns = {
        "lead_key": lead_keys(encoded.ids),
        "lead_id": encoded.ids,
        "score": pa.array(scores),
        "decision": decision,
        "band": band,
    }
    kept = None if encoded.kept is None else pa.array(encoded.kept)
    for name, kind in encoder.kinds.items():
        if name in cells.schema.names:
            values = _inputs(encoder, cells, encoded, name, kind)
            columns[input_column(_KINDS[kind], name)] = values if kept is None else values.filter(kept)
    return pa.RecordBatch.from_pydict(columns)


def ruled(records: pa.RecordBatch, contacts: ContactList, rule: ContactRule) -> pa.RecordBatch:
    """The records with these decisions, and where leads are explored with policy and probability."""
    explored = contacts.explored
    columns = {"decision": _named(contacts.ranked | explored, DECISIONS)}
    if rule.explores:
        columns["policy"] = _named(explored, POLICIES)
        columns["probability"] = pa.array(np.where(contacts.ranked, 1.0, rule.explore_probability))
    others = {name: records.column(name) for name in records.schema.names if name not in columns}
    return pa.RecordBatch.from_pydict(others | columns)


def _named(second: Chosen, names: tuple[str, str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(second.astype(np.int8)), pa.array(names))


def _inputs(encoder: Encoder, cells: pa.RecordBatch, encoded: Encoded, name: str, kind: Kind) -> pa.Array:
    """A column of inputs, null where they are missing. Of a column that the model does not use, what can be read."""
    if kind == "category":
        return _texts(cells.column(name))
    values = encoded.numbers.get(name)
    if values is None:
        values, bad = encoder.read_numbers(cells, name)
        values = values if bad is None else np.where(bad, np.nan, values)
    if kind == "boolean":
        return pa.array(values == 1, mask=np.isnan(values))
    return pa.array(values, from_pandas=True)


def _texts(cells: pa.Array) -> pa.DictionaryArray:
    """The cells as texts, each distinct one made once."""
    encoded = cells if pa.types.is_dictionary(cells.type) else cells.dictionary_encode()
    values = encoded.dictionary.to_pylist()
    texts = [None if is_blank(value) else as_text(value) for value in values]
    if texts == values and encoded.type == _TEXT:
        return encoded
    distinct = list(dict.fromkeys(text for text in texts if text is not None))
    places = {text: place for place, text in enumerate(distinct)}
    found = pa.array([None if text is None else places[text] for text in texts], pa.int32())
    return pa.DictionaryArray.from_arrays(found.take(encoded.indices), pa.array(distinct, pa.string()))


def rule_of_file(storage: Storage | None, file: str, id_column: str, rule: ContactRule) -> ContactRule:
    """The rule to score this state of the file by: the given one, or that of an earlier start. Raises StorageError."""
    if storage is None:
        return rule
    claim, _ = _claimed(storage, piece_id(file, id_column), rule)
    return rule if claim.rule is None else ContactRule.model_validate(claim.rule)


@contextmanager
def recording(
    storage: Storage | None, piece: str, bundle: Bundle, id_column: str, rule: ContactRule
) -> Iterator[Record | None]:
    """Takes the rows of a piece's records; the object appears whole when the block ends without an error.

    None where there is no storage, or where the records are there from an earlier start. A piece without a lead has
    none. Raises StorageError.
    """
    if storage is None:
        yield None
        return
    name = piece_id(piece, id_column)
    claim, known = _claimed(storage, name)
    time = claim.time.astimezone(UTC)
    key = f"{records.PREFIX}dt={time:%Y-%m-%d}/hh={time:%H}/{name}.parquet"
    if known and _is_there(storage, f"{time:%Y-%m-%d}", key):
        yield None
        return
    writing = _RecordObject(storage, key, _constants(bundle, name, time, rule))
    try:
        yield writing.take
    except BaseException as error:
        writing.abandon(error)
        raise
    writing.end()


def _claimed(storage: Storage, name: str, rule: ContactRule | None = None) -> tuple[Claim, bool]:
    """The claim of the piece, and whether an earlier start, or another one, has made it. Raises StorageError."""
    key, claim = f"{CLAIMS}{name}.json", Claim(_now(), rule.model_dump(mode="json") if rule else None)
    try:
        storage.create(key, msgspec.json.encode(claim))
        return claim, False
    except Conflict:
        stored = storage.read(key)
    try:
        return msgspec.json.decode(stored.data if stored else b"", type=Claim), True
    except msgspec.DecodeError as error:
        raise StorageError(f"{storage.url}/{key}: holds no time ({error}); restore an earlier version of it") from error


def _is_there(storage: Storage, day: str, key: str) -> bool:
    """Whether the object is there, or was, and its records are in the day's tables."""
    if (opened := storage.open(key)) is not None:
        opened.file.close()
        return True
    return any(each.key == key for each in read_manifest(storage, day)[0].inputs)


def _constants(bundle: Bundle, name: str, time: datetime, rule: ContactRule) -> dict[str, Any]:
    """What is the same in all records of a piece. No request was answered, so that there is no latency."""
    manifest = bundle.manifest
    return {
        "time": time,
        "request_id": name,
        "model_version": bundle.version,
        "source": manifest.provenance.source,
        "channel": "batch",
        "line": rule.line,
        "role": "champion",
    }


class _RecordObject:
    """The object of a piece's records, being written. Another start of the task may be faster, and writes the same."""

    def __init__(self, storage: Storage, key: str, constants: dict[str, Any]) -> None:
        self._storage, self._key, self._constants = storage, key, constants
        self._gathered: list[pa.RecordBatch] = []
        self._rows = 0
        self._open = ExitStack()
        self._writer: parquet.ParquetWriter | None = None
        self._lost = False

    def take(self, rows: pa.RecordBatch) -> None:
        self._gathered.append(rows)
        self._rows += len(rows)
        if self._rows >= ROWS:
            self._flush()

    def end(self) -> None:
        if self._rows:
            self._flush()
        try:
            self._open.close()
        except Conflict:
            self._lost = True

    def abandon(self, error: BaseException) -> None:
        self._open.__exit__(type(error), error, error.__traceback__)

    def _flush(self) -> None:
        gathered, self._gathered, self._rows = self._gathered, [], 0
        if self._lost:
            return
        table = self._whole(pa.Table.from_batches(gathered).unify_dictionaries())
        try:
            writer = self._writer or self._begin(table.schema)
            writer.write_table(table)
        except Conflict as error:
            self._lost = True
            self.abandon(error)

    def _whole(self, rows: pa.Table) -> pa.Table:
        """The rows with all columns of records."""
        columns = {field.name: self._column(field, rows) for field in FIXED}
        columns |= {name: rows[name] for name in rows.column_names if name not in columns}
        required = {field.name: field.nullable for field in FIXED}
        schema = [pa.field(name, values.type, required.get(name, True)) for name, values in columns.items()]
        return pa.table(list(columns.values()), schema=pa.schema(schema))

    def _column(self, field: pa.Field, rows: pa.Table) -> pa.Array | pa.ChunkedArray:
        if field.name in rows.column_names:
            return rows[field.name]
        if (value := self._constants.get(field.name)) is None:
            return pa.nulls(len(rows), field.type)
        if pa.types.is_string(field.type):
            return pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(rows), np.int32)), pa.array([value]))
        return pa.repeat(pa.scalar(value, field.type), len(rows))

    def _begin(self, schema: pa.Schema) -> parquet.ParquetWriter:
        file = self._open.enter_context(self._storage.writing(self._key, None))
        repeating = [f.name for f in schema if f.name in self._constants or pa.types.is_dictionary(f.type)]
        self._writer = self._open.enter_context(
            parquet.ParquetWriter(
                file,
                schema,
                compression=CODEC,
                use_dictionary=repeating,
                write_statistics=["time"],
                store_schema=False,  # with it readers would get dictionaries
            )
        )
        return self._writer
