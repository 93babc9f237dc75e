"""Compaction: exactly the raw objects' records are there after it, whatever it was stopped at."""

import gzip
import io
import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from service import records
from service.lifecycle.compact import compact, gauges
from service.lifecycle.compaction import part_tables
from service.lifecycle.compaction.days import Compacted
from service.lifecycle.promotion import lease
from service.lifecycle.relations.columns import record_table
from service.lifecycle.relations.lead_keys import part_of
from service.lifecycle.relations.record_files import read_manifest, record_files
from service.lifecycle.runtime.runner import JobFailed
from service.storage import Folder, Storage, open_storage
from tests.service.lifecycle.dying import Died, Dying, free_the_lease
from tests.service.lifecycle.records import NOON, record, upload

DAY = "2026-03-01"
SOON, LATER = NOON + timedelta(hours=5), NOON + timedelta(days=1)


def visible(predictions: Storage) -> Counter[tuple[str, str]]:
    """What readers find: lead and request of each record."""
    found: Counter[tuple[str, str]] = Counter()
    files = record_files(predictions, NOON - timedelta(days=9), NOON + timedelta(days=9))
    for key in files.tables:
        table = _table(predictions, key, ["lead_id", "request_id", "lead_key"])
        found.update((row["lead_id"], row["request_id"]) for row in table.to_pylist())
        assert {part_of(lead) for lead in table["lead_key"].to_pylist()} <= {key.split("part=")[1][0]}
    for key in files.raw:
        stored = predictions.read(key)
        assert stored
        if key.endswith(".parquet"):
            found.update(
                (row["lead_id"], row["request_id"]) for row in parquet.read_table(io.BytesIO(stored.data)).to_pylist()
            )
        else:
            found.update((r.lead_id, r.request_id) for r in records.sift_object(stored.data, key)[0])
    return found


def first_times(predictions: Storage) -> dict[str, datetime]:
    rows = [row for key in predictions.keys("records/first/") for row in _table(predictions, key).to_pylist()]
    return {row["lead_key"]: row["time"] for row in sorted(rows, key=lambda row: row["time"], reverse=True)}


def _table(predictions: Storage, key: str, columns: list[str] | None = None) -> pa.Table:
    stored = predictions.read(key)
    assert stored
    return parquet.read_table(io.BytesIO(stored.data), columns=columns)


def some_hours(predictions: Storage) -> Counter[tuple[str, str]]:
    """Raw objects of three hours: of the service, with a lead that is scored twice, and one of batch."""
    found = [record(f"L-{n}", NOON + timedelta(minutes=7 * n), inputs={"visits": float(n)}) for n in range(12)]
    found.append(record("L-0", NOON + timedelta(minutes=90), request_id="again", inputs={"Visits": "many"}))
    upload(predictions, found)
    batch = [record(f"B-{n}", NOON, channel="batch") for n in range(3)]
    out = io.BytesIO()
    parquet.write_table(record_table(batch), out)
    predictions.create(f"predictions/dt={DAY}/hh=12/one.parquet", out.getvalue())
    return Counter((r.lead_id, r.request_id) for r in [*found, *batch])


@pytest.fixture
def predictions(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "predictions")


@pytest.fixture
def leads(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "leads")


def test_records_are_the_same_before_and_after_and_raw_objects_go_one_run_later(
    predictions: Folder, leads: Folder
) -> None:
    expected = some_hours(predictions)
    assert visible(predictions) == expected
    done = compact(predictions, leads, SOON)
    assert (done.records, done.objects, done.deleted) == (16, 3, 0)
    assert visible(predictions) == expected
    assert not record_files(predictions, NOON, LATER).raw
    again = compact(predictions, leads, SOON)
    assert (again.records, again.objects, again.deleted) == (0, 0, 3)
    assert list(predictions.keys("predictions/")) == []
    assert visible(predictions) == expected
    manifest, _ = read_manifest(predictions, DAY)
    for output in manifest.outputs:
        table = _table(predictions, output.key)
        assert output.records == table.num_rows
        assert table["time"].to_pylist() == sorted(table["time"].to_pylist())
    assert sum(output.records for output in manifest.outputs) == sum(each.records for each in manifest.inputs) == 16


def test_an_hour_waits_until_it_is_finished(predictions: Folder, leads: Folder) -> None:
    some_hours(predictions)
    assert compact(predictions, leads, NOON + timedelta(hours=2, minutes=-1)).objects == 0
    assert compact(predictions, leads, NOON + timedelta(hours=2)).objects == 2
    left = gauges(predictions, SOON, timedelta(hours=1), compact(predictions, leads, NOON + timedelta(hours=2)))
    assert {g.name.removeprefix("leadscoring_compact_"): g.value for g in left} == {
        "waiting_objects": 1,
        "oldest_waiting_seconds": 3 * 3600,
        "records": 0,
        "unreadable_objects": 0,
    }


def test_objects_of_days_that_are_not_kept_do_not_wait(predictions: Folder, leads: Folder) -> None:
    some_hours(predictions)
    now = NOON + timedelta(days=3)
    for keep_days, waiting in ((3, 0), (4, 3), (None, 3)):
        found = {g.name: g.value for g in gauges(predictions, now, timedelta(hours=1), Compacted(), keep_days)}
        assert found["leadscoring_compact_waiting_objects"] == waiting
        assert compact(predictions, leads, now, keep_days=3).objects == 0
    assert compact(predictions, leads, now, keep_days=4).objects == 3


def test_records_that_arrive_late_are_taken_by_the_next_run(predictions: Folder, leads: Folder) -> None:
    expected = some_hours(predictions)
    compact(predictions, leads, SOON)
    late = record("late", NOON - timedelta(minutes=1))
    upload(predictions, [late, record("L-5", NOON, request_id="earlier")], name="other")
    expected.update([("late", "r-late"), ("L-5", "earlier")])
    assert visible(predictions) == expected
    assert compact(predictions, leads, SOON).records == 2
    assert visible(predictions) == expected
    assert first_times(predictions)["L-5"] == NOON


def test_an_upload_that_is_tried_again_is_not_doubled(predictions: Folder, leads: Folder) -> None:
    expected = some_hours(predictions)
    raw = {key: stored.data for key in predictions.keys("predictions/") if (stored := predictions.read(key))}
    compact(predictions, leads, SOON)
    compact(predictions, leads, SOON)
    for key, data in raw.items():
        predictions.create(key, data)
    assert visible(predictions) == expected
    assert compact(predictions, leads, SOON).deleted == 3
    key = next(iter(raw))
    predictions.create(key, records.to_object(records.to_lines([record("other")])))
    done = compact(predictions, leads, SOON)
    assert (done.odd, done.records) == ([key], 0)
    assert visible(predictions) == expected


def test_broken_lines_are_set_aside_and_unreadable_objects_stay(predictions: Folder, leads: Folder) -> None:
    key = f"predictions/dt={DAY}/hh=12/"
    predictions.create(f"{key}a.jsonl.gz", gzip.compress(records.to_lines([record("a")]) + b'{"lead_id": "b"}\n'))
    predictions.create(f"{key}b.jsonl.gz", b"nothing")
    predictions.create(f"{key}c.parquet", b"PAR1 nothing")
    done = compact(predictions, leads, SOON)
    assert done.records == 1
    assert list(done.unreadable) == [f"{key}b.jsonl.gz", f"{key}c.parquet"]
    (listed,) = read_manifest(predictions, DAY)[0].inputs
    assert (listed.records, listed.broken) == (1, 1)
    compact(predictions, leads, SOON)
    assert list(predictions.keys(key)) == [f"{key}b.jsonl.gz", f"{key}c.parquet"]
    (aside,) = leads.keys("quarantine/predictions/")
    stored = leads.read(aside)
    assert stored
    assert json.loads(gzip.decompress(stored.data))["content"] == '{"lead_id": "b"}'


def test_an_object_that_breaks_off_after_some_records_is_left_whole(predictions: Folder, leads: Folder) -> None:
    table = record_table([record(str(n)) for n in range(100)])
    bad = table.set_column(1, pa.field("lead_id", pa.string()), pa.array([*map(str, range(99)), None]))
    out = io.BytesIO()
    parquet.write_table(bad, out, row_group_size=50)
    name = f"predictions/dt={DAY}/hh=12/bad.parquet"
    predictions.create(name, out.getvalue())
    expected = Counter((r.lead_id, r.request_id) for r in [record("a"), record("z")])
    upload(predictions, [record("a")], "a")
    upload(predictions, [record("z")], "z")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.lifecycle.compaction.raw_objects.BATCH_ROWS", 50)
        done = compact(predictions, leads, SOON)
    assert (done.records, len(done.unreadable)) == (2, 1)
    predictions.delete(name, predictions.read(name).generation)  # type: ignore[union-attr]
    assert visible(predictions) == expected


def test_many_records_make_row_groups_and_new_fields_further_tables(
    predictions: Folder, leads: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_tables, "ROW_GROUP", 4)
    for number in range(4):
        inputs = {"visits": 1.0} if number < 2 else {"visits": "many", "vip": True}
        upload(predictions, [record(f"{number}-{n}", inputs=inputs) for n in range(100)], str(number))
    expected = visible(predictions)
    compact(predictions, leads, SOON)
    assert visible(predictions) == expected
    outputs = read_manifest(predictions, DAY)[0].outputs
    assert len(outputs) == 32
    row = next(r for o in outputs for r in _table(predictions, o.key).to_pylist() if r["lead_id"] == "3-7")
    assert (row["text:visits"], row["boolean:vip"], row["number:visits"]) == ("many", True, None)


def test_first_scores_leave_out_trials_and_shadows_and_keep_the_earliest(predictions: Folder, leads: Folder) -> None:
    found = [
        record("1007", NOON + timedelta(minutes=2)),
        record("1007.0", NOON + timedelta(minutes=1)),
        record("page-1", NOON),
        record("t", NOON, channel="trial"),
        record("s", NOON, role="shadow"),
        record("s", NOON + timedelta(minutes=3)),
    ]
    upload(predictions, found)
    compact(predictions, leads, SOON)
    expected = {"1007": NOON + timedelta(minutes=1), "s": NOON + timedelta(minutes=3)}
    assert first_times(predictions) == expected
    upload(predictions, [record("1007", NOON + timedelta(hours=7)), record("new", NOON + timedelta(hours=7))])
    compact(predictions, leads, LATER)
    assert first_times(predictions) == {**expected, "new": NOON + timedelta(hours=7)}


def test_days_before_those_that_are_kept_are_deleted(predictions: Folder, leads: Folder) -> None:
    some_hours(predictions)
    upload(predictions, [record("kept", LATER), record("L-1", LATER, request_id="again")])
    compact(predictions, leads, LATER + timedelta(hours=3))
    compact(predictions, leads, LATER + timedelta(days=10), keep_days=11)
    assert visible(predictions) == Counter([("kept", "r-kept"), ("L-1", "again")])
    assert set(first_times(predictions)) == {"kept"}
    assert list(predictions.keys(f"records/day={DAY}/")) == []


def test_two_runs_at_once_compact_once(predictions: Folder, leads: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = some_hours(predictions)
    with lease.hold(predictions, "records") as held:
        held._renew(60)
        monkeypatch.setattr("time.sleep", lambda _: held._renew(60))
        with pytest.raises(JobFailed, match="is at work"):
            compact(predictions, leads, SOON)
    assert visible(predictions) == expected


@pytest.mark.parametrize(
    ("kind", "which", "each"), [("folder", "predictions", 1), ("folder", "leads", 1), ("bucket", "predictions", 17)]
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_run_that_dies_at_any_step_loses_and_doubles_nothing(
    tmp_path: Path, gcs_url: str, kind: str, which: str, each: int
) -> None:
    root = str(tmp_path) if kind == "folder" else gcs_url
    for at in range(1, 1000, each):
        places = {name: open_storage(f"{root}/{at}/{name}") for name in ("predictions", "leads")}
        upload(places["predictions"], [record("a"), record("d", NOON + timedelta(hours=1))])
        compact(places["predictions"], places["leads"], SOON)  # so that the dying run deletes and merges, too
        new = [record("a", NOON + timedelta(minutes=1), request_id="2"), record("b", NOON), record("c", NOON)]
        lines = records.to_lines(new) + b"broken\n"
        places["predictions"].create(f"predictions/dt={DAY}/hh=12/new.jsonl.gz", records.to_object(lines))
        expected = visible(places["predictions"])
        assert expected.total() == 5
        dying = Dying(places[which], at)
        mixed: dict[str, Storage] = {**places, which: dying}
        try:
            compact(mixed["predictions"], mixed["leads"], SOON)
        except Died:
            pass
        else:
            assert at > (20 if which == "predictions" else 0)
            return
        free_the_lease(places["predictions"])
        assert visible(places["predictions"]) == expected
        for _ in range(2):
            compact(places["predictions"], places["leads"], SOON)
            assert visible(places["predictions"]) == expected
        assert not list(places["predictions"].keys("predictions/"))
        assert list(places["leads"].keys("quarantine/"))
        assert set(first_times(places["predictions"])) == {"a", "b", "c", "d"}
    pytest.fail("it never ended")


def test_tables_of_runs_that_died_are_deleted_after_a_day(predictions: Folder, leads: Folder) -> None:
    old, new = (
        f"records/day={DAY}/part=0/{time}-abcdef12-0.parquet" for time in ("20260101T000000Z", "29990101T000000Z")
    )
    for key in (old, new):
        predictions.create(key, b"")
    compact(predictions, leads, SOON)
    assert list(predictions.keys("records/")) == [new]
