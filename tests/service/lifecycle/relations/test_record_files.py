"""Readers find the records of a time in tables and raw objects, each once."""

from datetime import timedelta
from pathlib import Path

import pytest

from service.lifecycle.relations.record_files import (
    DayManifest,
    InputObject,
    Output,
    manifest_key,
    read_manifest,
    record_files,
    swap_manifest,
    table_place,
)
from service.storage import Folder, StorageError
from tests.facts import stating
from tests.service.lifecycle.records import NOON, record, upload


def test_a_raw_object_that_a_manifest_lists_is_not_read_and_its_table_is(tmp_path: Path) -> None:
    predictions = Folder(tmp_path)
    compacted, *rest = upload(predictions, [record("a"), record("b", NOON + timedelta(hours=1))])
    table = "records/day=2026-03-01/part=0/one.parquet"
    manifest = DayManifest((InputObject(compacted, "1", 1, "00"),), (Output(table, "2", 1, "0"),))
    swap_manifest(predictions, "2026-03-01", manifest, None)
    predictions.create("records/day=2026-03-01/part=0/orphan.parquet", b"")
    found = record_files(predictions, NOON, NOON + timedelta(hours=2))
    assert found == ((table,), tuple(rest))
    assert read_manifest(predictions, "2026-03-01")[0] == manifest
    assert table_place(table) == ("2026-03-01", "0")


def test_days_and_hours_that_may_hold_records_of_the_time_are_read(tmp_path: Path) -> None:
    predictions = Folder(tmp_path)
    keys = upload(predictions, [record(str(n), NOON + timedelta(hours=n)) for n in range(-2, 15)])
    late = [key for key in keys if "hh=11" in key or "hh=12" in key]  # an hour's object may hold the next one's records
    assert record_files(predictions, NOON, NOON + timedelta(minutes=59)).raw == tuple(late)
    midnight = NOON + timedelta(hours=12)
    across = record_files(predictions, midnight, midnight + timedelta(minutes=1)).raw
    assert across == tuple(key for key in keys if "hh=23" in key or "2026-03-02/hh=00" in key)


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    predictions = Folder(tmp_path)
    predictions.create(manifest_key("2026-03-01"), b"{")
    with pytest.raises(StorageError, match=stating("day=2026-03-01.json", "manifest")):
        record_files(predictions, NOON, NOON)
