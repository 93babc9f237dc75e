"""Which objects hold the records of a stretch of time: compacted tables, and raw objects that no table holds yet.

    predictions/dt=D/hh=H/*.jsonl.gz, *.parquet   raw objects, of the service and of batch
    predictions/claims/*.json                     times of batch's records, which hold no lead
    records/day=D/part=P/RUN-N.parquet            compacted records of the raw objects of day D
    records/manifest/day=D.json                   which raw objects of day D the tables hold, and which tables count
    records/first/part=P.parquet, P.new.parquet   each lead's first score, and recent ones that are not merged yet

A table that no manifest names is never read, and neither is a raw object that a manifest lists.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import msgspec

from service import records
from service.storage import Storage, StorageError

TABLES = "records/"
MANIFESTS = f"{TABLES}manifest/"
FIRST = f"{TABLES}first/"
CLAIMS = f"{records.PREFIX}claims/"

LEASE = "records"
"""The lease, in the storage of the predictions, of whoever rewrites records: compact and forget."""

LATE = timedelta(hours=1)
"""How much earlier than its records a raw object may be named: the service closes a segment each hour."""

_RAW = re.compile(rf"{records.PREFIX}dt=(\d{{4}}-\d\d-\d\d)/hh=(\d\d)/[^/]+")
_TABLE = re.compile(rf"{TABLES}day=(\d{{4}}-\d\d-\d\d)/part=([0-9a-f])/[^/]+\.parquet")


class InputObject(msgspec.Struct, frozen=True):
    """A raw object whose records are in the day's tables; `broken` lines of it were set aside."""

    key: str
    generation: str
    records: int
    sha256: str
    broken: int = 0


class Output(msgspec.Struct, frozen=True):
    """A table of the day."""

    key: str
    generation: str
    records: int
    part: str


class DayManifest(msgspec.Struct, frozen=True):
    """What the tables of one day hold. It is replaced by compare-and-swap."""

    inputs: tuple[InputObject, ...] = ()
    outputs: tuple[Output, ...] = ()


class RecordFiles(NamedTuple):
    """Keys of the objects that hold records: Parquet tables, and raw objects."""

    tables: tuple[str, ...]
    raw: tuple[str, ...]


def record_files(predictions: Storage, since: datetime, until: datetime) -> RecordFiles:
    """The objects that may hold records of [since, until). Raises StorageError.

    Raw objects are listed before the manifest is read: one that is compacted meanwhile is then in a table. `compact`
    deletes a raw object at the earliest one run after the one that compacted it, so that a reader finds what it listed.
    """
    first, last = since.astimezone(UTC) - LATE, until.astimezone(UTC)
    bounds = f"{first:%Y-%m-%dT%H}", f"{last:%Y-%m-%dT%H}"
    tables, raw = list[str](), list[str]()
    for number in range((last.date() - first.date()).days + 1):
        day = str(first.date() + timedelta(days=number))
        there = [key for key in predictions.keys(f"{records.PREFIX}dt={day}/") if raw_hour(key)]
        manifest, _ = read_manifest(predictions, day)
        compacted = {each.key for each in manifest.inputs}
        tables += [output.key for output in manifest.outputs]
        raw += [k for k in there if k not in compacted and bounds[0] <= f"{raw_hour(k):%Y-%m-%dT%H}" <= bounds[1]]
    return RecordFiles(tuple(tables), tuple(raw))


def raw_hour(key: str) -> datetime | None:
    """The beginning of the hour that a raw object's folder names; None for the key of anything else."""
    found = _RAW.fullmatch(key)
    return datetime.fromisoformat(f"{found[1]}T{found[2]}:00:00+00:00") if found else None


def raw_by_day(predictions: Storage) -> dict[str, dict[str, datetime]]:
    """The raw objects by day, each with the end of its hour. Raises StorageError."""
    found = defaultdict[str, dict[str, datetime]](dict)
    for key in predictions.keys(records.PREFIX):
        if hour := raw_hour(key):
            found[f"{hour:%Y-%m-%d}"][key] = hour + timedelta(hours=1)
    return dict(found)


def waiting_hours(predictions: Storage, until: datetime) -> dict[str, datetime]:
    """Raw objects of hours that ended by `until` and that no manifest lists, with that end. Raises StorageError."""
    found = dict[str, datetime]()
    for day, ends in raw_by_day(predictions).items():
        found |= {key: ends[key] for key in due(predictions, day, ends, until)}
    return found


def due(predictions: Storage, day: str, ends: Mapping[str, datetime], until: datetime) -> list[str]:
    """Those of the day's raw objects, each with the end of its hour, that no manifest lists and that ended by then."""
    listed = {each.key for each in read_manifest(predictions, day)[0].inputs}
    return [key for key, end in ends.items() if key not in listed and end <= until]


def table_place(key: str) -> tuple[str, str] | None:
    """Day and part of a compacted table; None for the key of anything else."""
    found = _TABLE.fullmatch(key)
    return (found[1], found[2]) if found else None


def first_keys(part: str) -> tuple[str, str]:
    """The keys of a part's first scores: the recent ones, and all others. They are to be read in this order."""
    return f"{FIRST}part={part}.new.parquet", f"{FIRST}part={part}.parquet"


def manifest_key(day: str | date) -> str:
    """Where a day's manifest lies."""
    return f"{MANIFESTS}day={day}.json"


def read_manifest(predictions: Storage, day: str | date) -> tuple[DayManifest, str | None]:
    """The day's manifest and its generation; an empty one and None where there is none yet. Raises StorageError."""
    stored = predictions.read(manifest_key(day))
    if stored is None:
        return DayManifest(), None
    try:
        return msgspec.json.decode(stored.data, type=DayManifest), stored.generation
    except msgspec.DecodeError as error:
        raise StorageError(
            f"{predictions.url}/{manifest_key(day)} is no manifest ({error}); restore an earlier version of it"
        ) from error


def swap_manifest(predictions: Storage, day: str | date, manifest: DayManifest, generation: str | None) -> str:
    """Replace the manifest that was read at this generation; return the new one. Raises StorageError."""
    return predictions.swap(manifest_key(day), msgspec.json.encode(manifest), generation)
