"""What is done to compacted tables later: those of a day become few, orphans and days past keeping are deleted."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

from service.lifecycle.compaction.days import CompactRun
from service.lifecycle.compaction.first_scores import drop_before
from service.lifecycle.compaction.part_tables import PartTables, copy, read_back, run_began, run_name, schema_of
from service.lifecycle.relations.lead_keys import PARTS
from service.lifecycle.relations.record_files import (
    MANIFESTS,
    TABLES,
    DayManifest,
    first_keys,
    manifest_key,
    read_manifest,
    swap_manifest,
    table_place,
)
from service.storage import StorageError

ORPHANS = timedelta(days=1)
"""How long a table stays that no manifest names: a run that is at work has not named its tables yet."""
TABLES_A_PART = 4
"""How many tables a part of a day that is over may have: a reader opens each of them for each of its queries."""


def merge_tables(run: CompactRun, until: datetime) -> None:
    """Make one table a part of the tables of each day that ended by `until`, where a part has more than TABLES_A_PART.

    What a reader has listed stays for now, as orphans. Raises StorageError and JobFailed.
    """
    counts = Counter(filter(None, map(table_place, run.predictions.keys(f"{TABLES}day="))))
    for day in sorted({day for (day, _), number in counts.items() if number > TABLES_A_PART}):
        manifest, generation = read_manifest(run.predictions, day)
        most = max(Counter(output.part for output in manifest.outputs).values(), default=0)
        if day >= f"{until.astimezone(UTC):%Y-%m-%d}" or most <= TABLES_A_PART:
            continue
        keys = [output.key for output in manifest.outputs]
        with PartTables(run.predictions, day, run_name(), schema_of(run.predictions, keys)) as tables:
            run.tell(f"merging {len(keys):,} tables of {day}")
            expected = sum(copy(run.predictions, key, tables) for key in keys)
            written = tables.end()
        outputs = tuple(read_back(run.predictions, key, ["lead_key"], rows)[0] for key, rows in written.items())
        if (found := sum(written.values())) != expected:
            raise StorageError(f"{day}: {found:,} records were written of {expected:,}; its tables stay as they are")
        run.lease.check()
        swap_manifest(run.predictions, day, DayManifest(manifest.inputs, outputs), generation)


def delete_orphans(run: CompactRun, now: datetime) -> None:
    """Delete the tables that no manifest names and whose run began a day ago or earlier. Raises StorageError."""
    named: dict[str, set[str]] = {}
    for key in run.predictions.keys(f"{TABLES}day="):
        place, began = table_place(key), run_began(key)
        if place is None or began is None:
            continue
        if place[0] not in named:
            named[place[0]] = {output.key for output in read_manifest(run.predictions, place[0])[0].outputs}
        if key not in named[place[0]] and began + ORPHANS <= now:
            _delete(run, key)


def expire(run: CompactRun, oldest: date) -> None:
    """Delete the compacted records of earlier days, and earlier first scores. Raises StorageError.

    A day's raw objects go first and its manifest before its tables, so that nothing is read twice after any step.
    """
    for manifest_of_day in list(run.predictions.keys(MANIFESTS)):
        day = manifest_of_day.removeprefix(f"{MANIFESTS}day=").removesuffix(".json")
        if day < str(oldest):
            manifest, _ = read_manifest(run.predictions, day)
            for key in (*(i.key for i in manifest.inputs), manifest_key(day), *(o.key for o in manifest.outputs)):
                _delete(run, key)
    for key in [key for part in PARTS for key in first_keys(part)]:
        run.lease.check()
        drop_before(run.predictions, key, datetime.combine(oldest, time(), UTC))


def _delete(run: CompactRun, key: str) -> None:
    if opened := run.predictions.open(key):
        opened.file.close()
        run.lease.check()
        run.predictions.delete(key, opened.generation)
