"""Compacts raw objects day by day. Every step may be the last: what is done again changes nothing.

For one day: read the raw objects and write their records to new tables; read these back and count; set broken lines
aside; merge the first scores; replace the manifest, from when on the tables count and the raw objects do not. The next
run deletes the raw objects.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby

import pyarrow as pa

from service.lifecycle.compaction.first_scores import add
from service.lifecycle.compaction.part_tables import PartTables, read_back, run_name
from service.lifecycle.compaction.raw_objects import Unreadable, digest, open_raw
from service.lifecycle.data.quarantine import Rejected, set_aside
from service.lifecycle.promotion.lease import Lease
from service.lifecycle.relations.earlier_scores import READ_COLUMNS, firsts
from service.lifecycle.relations.record_files import (
    DayManifest,
    InputObject,
    Output,
    due,
    raw_by_day,
    read_manifest,
    swap_manifest,
    table_place,
)
from service.lifecycle.runtime.runner import Progress
from service.storage import Storage, StorageError


class _PartlyReadable(Exception):
    """A raw object broke off after some of its records were taken."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass
class Compacted:
    """What a run did.

    `unreadable` says why raw objects are not prediction records, by key; `odd` are those of which a manifest lists
    other content: all of these stay as they are.
    """

    records: int = 0
    objects: int = 0
    deleted: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CompactRun:
    """Where a run works, and the lease that it holds."""

    predictions: Storage
    leads: Storage
    lease: Lease
    tell: Progress


def compact_all(run: CompactRun, until: datetime, oldest: date | None = None) -> Compacted:
    """Compact every raw object of an hour that ended by `until`, of `oldest` and later days.

    Raises StorageError and JobFailed.
    """
    done = Compacted()
    for day, ends in sorted(raw_by_day(run.predictions).items()):
        delete_compacted(run, day, ends, done)
        ended = due(run.predictions, day, ends, until)
        while ended and (oldest is None or day >= str(oldest)):
            try:
                _compact_day(run, day, ended, done)
                break
            except _PartlyReadable as error:  # some of its records are in the tables, which therefore do not count
                ended.remove(error.key)
    return done


def delete_compacted(run: CompactRun, day: str, keys: Iterable[str], done: Compacted) -> None:
    """Delete the day's raw objects that its manifest lists and that hold what was compacted; note the others."""
    listed = {each.key: each for each in read_manifest(run.predictions, day)[0].inputs}
    for key in keys:
        known = listed.get(key)
        opened = run.predictions.open(key) if known else None
        if known is None or opened is None:
            continue
        with opened.file:
            # An upload that is tried again after its object was deleted makes another generation of the same content.
            same = opened.generation == known.generation or digest(opened.file) == known.sha256
        if same:
            run.lease.check()
            run.predictions.delete(key, opened.generation)
            done.deleted += 1
        else:
            done.odd.append(key)


def _compact_day(run: CompactRun, day: str, keys: list[str], done: Compacted) -> None:
    """Raises StorageError, JobFailed and _PartlyReadable; then nothing counts as compacted."""
    manifest, generation = read_manifest(run.predictions, day)
    inputs, broken = list[InputObject](), list[Rejected]()
    with PartTables(run.predictions, day, run_name()) as tables:
        for number, key in enumerate(keys, 1):
            run.tell(f"compacting {day}: raw object {number:,} of {len(keys):,}")
            if found := _take(run, key, tables, done):
                inputs.append(found[0])
                broken += found[1]
        written = tables.end()
    if not inputs:
        return
    taken, expected = sum(written.values()), sum(each.records for each in inputs)
    if taken != expected:
        raise StorageError(f"{day}: {taken:,} records were written of {expected:,}; nothing counts as compacted")
    set_aside(run.leads, "predictions", broken)
    outputs = list[Output]()
    for part, keys_of_part in groupby(written, lambda key: (table_place(key) or ("", ""))[1]):
        new = list[pa.Table]()
        for key in keys_of_part:
            run.tell(f"reading back {key}")
            output, table = read_back(run.predictions, key, READ_COLUMNS, written[key])
            outputs.append(output)
            new.append(firsts(table))
        run.lease.check()
        add(run.predictions, part, new)
    run.lease.check()
    both = DayManifest((*manifest.inputs, *inputs), (*manifest.outputs, *outputs))
    swap_manifest(run.predictions, day, both, generation)
    done.records += taken
    done.objects += len(inputs)


def _take(run: CompactRun, key: str, tables: PartTables, done: Compacted) -> tuple[InputObject, list[Rejected]] | None:
    """Add a raw object's records to the tables; None where it is unreadable, or gone. Raises _PartlyReadable."""
    raw = open_raw(run.predictions, key)
    if raw is None:
        return None
    with raw:
        try:
            for table in raw.tables():
                tables.take(table)
        except Unreadable as error:
            done.unreadable[key] = str(error)
            if raw.records:
                raise _PartlyReadable(key) from error
            return None
    return InputObject(key, raw.generation, raw.records, raw.sha256, len(raw.broken)), raw.broken
