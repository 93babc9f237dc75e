"""DuckDB reads a bucket as it reads a folder: it names what is broken, and reads each record once."""

import io
import json
import urllib.request
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from service.lifecycle.compact import compact
from service.lifecycle.relations import duck
from service.lifecycle.relations.columns import record_table
from service.lifecycle.relations.duck import DuckEngine, opened
from service.lifecycle.relations.first_scores import first_scores
from service.lifecycle.relations.lead_keys import part_of
from service.lifecycle.relations.record_files import record_files
from service.storage import Storage, StorageError, open_storage
from tests.facts import stating
from tests.service.lifecycle.records import NOON, record, upload

SINCE, SOON, UNTIL = NOON - timedelta(hours=12), NOON + timedelta(hours=3), NOON + timedelta(hours=12)
BATCH = "predictions/dt=2026-03-01/hh=12/leads [1], #2*.parquet"


@pytest.fixture(params=["folder", "bucket"])
def predictions(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    root = str(tmp_path / "[x] 'y'") if request.param == "folder" else request.getfixturevalue("gcs_url")
    return open_storage(root)


def as_parquet(*leads: str, **more: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(record_table([record(lead, channel="batch", **more) for lead in leads]), sink)
    return sink.getvalue()


def ids(engine: DuckEngine, relation: str = "records") -> Counter[str]:
    return Counter(engine.results([relation])[relation]["lead_id"].to_pylist())


def replace(storage: Storage, key: str, change: Callable[[bytes], bytes | None]) -> None:
    stored = storage.read(key)
    assert stored
    data = change(stored.data)
    if data is None:
        storage.delete(key, stored.generation)
    else:
        storage.swap(key, data, stored.generation)


def cut(data: bytes) -> bytes:
    return data[:-9]


def scrambled(data: bytes) -> bytes:
    """Its footer is whole, its pages are not."""
    return data[:4] + b"\xff" * (len(data) // 2) + data[4 + len(data) // 2 :]


def test_tables_raw_lines_batch_files_and_first_scores_are_read_alike(predictions: Storage) -> None:
    upload(predictions, [record("old", SINCE - timedelta(hours=2)), *(record(f"L-{n}") for n in range(12))])
    compact(predictions, predictions, SOON)
    upload(predictions, [record("old", NOON + timedelta(hours=3)), record("raw", NOON + timedelta(hours=3))], "late")
    predictions.create(BATCH, as_parquet("B-1", "L-1"))
    found = record_files(predictions, SINCE, UNTIL)
    assert len(found.tables) > 4
    assert {key.rpartition(".")[2] for key in found.raw} == {"gz", "parquet"}
    with opened(predictions, SINCE, UNTIL) as engine:
        leads = [f"L-{n}" for n in range(12)]
        assert ids(engine) == Counter([*leads, "L-1", "B-1", "raw", "old"])
        assert ids(engine, "first_seen") == Counter([*leads, "old"])
        engine.define(first_scores(SINCE))
        assert ids(engine, "first_scores") == Counter([*leads, "B-1", "raw"])
        assert engine.broken == []


@pytest.mark.parametrize("path", ["/etc/passwd", "objects:///etc/passwd", "objects://../outside", "outside"])
def test_nothing_else_can_be_read(predictions: Storage, path: str, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("1\n")
    given = str(tmp_path / path) if path == "outside" else path
    with opened(predictions, SINCE, UNTIL) as engine, pytest.raises(duckdb.Error):
        engine.connection.execute(f"select * from read_csv('{given}')")


def test_a_raw_file_that_holds_no_records_is_named_and_the_others_are_read(predictions: Storage) -> None:
    other = io.BytesIO()
    parquet.write_table(pa.table({"lead_id": ["x"], "score": ["high"]}), other)
    typed = io.BytesIO()
    table = record_table([record("x")])
    parquet.write_table(table.set_column(5, "score", pa.array(["high"])), typed)
    broken = {"cut": cut(as_parquet("a")), "empty": b"", "other": other.getvalue(), "typed": typed.getvalue()}
    for name, data in broken.items():
        predictions.create(f"predictions/dt=2026-03-01/hh=12/{name}.parquet", data)
    predictions.create(BATCH, as_parquet("good"))
    with opened(predictions, SINCE, UNTIL) as engine:
        assert ids(engine) == Counter(["good"])
        assert [key.rpartition("/")[2].removesuffix(".parquet") for key, _ in engine.broken] == list(broken)
        assert all(key in str(error) for key, error in engine.broken)
    done = compact(predictions, predictions, SOON)
    assert (done.records, [key.rpartition("/")[2].removesuffix(".parquet") for key in done.unreadable]) == (
        1,
        list(broken),
    )


@pytest.mark.parametrize(
    ("of", "harm"), [("day", cut), ("day", scrambled), ("day", lambda _: None), ("first", scrambled)]
)
def test_a_table_that_is_broken_or_gone_is_an_error_that_names_it(
    predictions: Storage, harm: Callable[[bytes], bytes | None], of: str
) -> None:
    upload(predictions, [record(f"L-{n}") for n in range(3)])
    compact(predictions, predictions, SOON)
    key = list(predictions.keys(f"records/{of}"))[1]
    replace(predictions, key, harm)
    with (
        pytest.raises(StorageError, match=stating(f"{predictions.url}/{key}", "run again")),
        opened(predictions, SINCE, UNTIL) as engine,
    ):
        engine.results(["records", "first_seen"])


def test_a_raw_file_whose_pages_are_broken_is_an_error_that_names_it(predictions: Storage) -> None:
    predictions.create(BATCH, scrambled(as_parquet(*map(str, range(500)))))
    with (
        pytest.raises(StorageError, match=stating(f"{predictions.url}/{BATCH}", "broken")),
        opened(predictions, SINCE, UNTIL) as engine,
    ):
        engine.results(["records"])


def test_a_wrong_query_is_no_error_of_the_storage(predictions: Storage) -> None:
    with opened(predictions, SINCE, UNTIL) as engine, pytest.raises(duckdb.BinderException):
        engine._run("select nothing from records")


@pytest.mark.parametrize("kind", ["jsonl.gz", "parquet"])
def test_a_raw_object_that_is_deleted_between_listing_and_reading_is_never_left_out(
    predictions: Storage, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    upload(predictions, [record("a")])
    predictions.create(BATCH, as_parquet("b"))

    def listed(*arguments: Any) -> Any:
        found = record_files(*arguments)
        for key in found.raw:
            if key.endswith(kind):
                replace(predictions, key, lambda _: None)
        return found

    monkeypatch.setattr(duck, "record_files", listed)
    with (
        pytest.raises(StorageError, match=stating(kind, "run again")),
        opened(predictions, SINCE, UNTIL) as engine,
    ):
        engine.results(["records"])


def test_compaction_beside_a_reader_shows_it_each_record_once(
    predictions: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(predictions, [record(f"L-{n}") for n in range(5)])
    predictions.create(BATCH, as_parquet("B-1"))
    expected = Counter([*(f"L-{n}" for n in range(5)), "B-1"])

    def listed(*arguments: Any) -> Any:
        found = record_files(*arguments)
        compact(predictions, predictions, SOON)
        return found

    monkeypatch.setattr(duck, "record_files", listed)
    with opened(predictions, SINCE, UNTIL) as engine:  # it listed raw objects, which are compacted now
        assert ids(engine) == expected
    with opened(predictions, SINCE, UNTIL) as engine:  # it listed tables; the raw objects are deleted now
        assert ids(engine) == expected


def test_what_a_versioned_bucket_keeps_is_read_as_it_was(gcs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs)
    body = json.dumps({"name": "versioned", "versioning": {"enabled": True}}).encode()
    asked = urllib.request.Request(f"{gcs}/storage/v1/b?project=p", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(asked, timeout=60).close()
    predictions = open_storage("gs://versioned")
    upload(predictions, [record(f"L-{n}") for n in range(3)])
    compact(predictions, predictions, SOON)
    predictions.create(BATCH, as_parquet("B-1"))
    with opened(predictions, SINCE, UNTIL) as engine:
        expected = ids(engine)
        other = as_parquet(*map(str, range(500)))
        for key in list(predictions.keys("records/day=")):
            replace(predictions, key, lambda _: other)
        replace(predictions, BATCH, lambda _: None)
        assert ids(engine) == expected
        assert expected.total() == 4


def test_a_table_that_is_replaced_while_a_query_reads_is_read_old_or_new(predictions: Storage) -> None:
    upload(predictions, [record("gone"), record("stays")])
    compact(predictions, predictions, SOON)
    key = next(key for key in predictions.keys("records/day=") if f"part={part_of('gone')}" in key)
    with opened(predictions, SINCE, UNTIL) as engine:
        read, times = engine.connection.sql, list[str]()

        class Meanwhile:
            def sql(self, query: str) -> Any:
                found = read(query)  # its files are opened
                if not times:
                    replace(predictions, key, lambda _: as_parquet())
                times.append(query)
                return found

        engine.connection = Meanwhile()  # type: ignore[assignment]
        if predictions.url.startswith("gs://"):  # without versions, which this bucket has not
            with pytest.raises(StorageError, match=stating(key, "run again")):
                ids(engine)
        else:
            assert ids(engine) == Counter(["stays"])
            assert len(times) == 2
