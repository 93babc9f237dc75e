"""Records at the edges: raw or compacted, the engine finds each once, and the same first scores."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from service import records
from service.lifecycle.compact import compact
from service.lifecycle.relations.columns import record_table
from service.lifecycle.relations.duck import DuckEngine, opened
from service.lifecycle.relations.earlier_scores import SCHEMA, earlier_scores
from service.lifecycle.relations.first_scores import first_scores
from service.storage import Folder
from tests.service.lifecycle.records import NOON, record, upload

MIDNIGHT = NOON + timedelta(hours=12)
MOMENT = timedelta(microseconds=1)
WIDE = {f"Field {n}": float(n) for n in range(300)}


def _version_1() -> bytes:
    """A line as version 1 of the service wrote it."""
    line = json.loads(records.to_lines([record("v1", NOON + timedelta(minutes=5))]))
    kept = {key: line[key] for key in line if key not in ("source", "channel", "line", "role", "policy", "probability")}
    return json.dumps({**kept, "record_version": 1}).encode() + b"\n"


@pytest.fixture(scope="module", params=["raw", "compacted", "both"])
def predictions(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    storage = Folder(tmp_path_factory.mktemp(request.param))
    same: dict[str, Any] = {"request_id": "one", "score": 0.25}
    first = [
        record("1007", **same),
        record("1007.0", **same),
        record("00Q5g00000AbCdE", **same),
        record("00Q5g00000AbCdEEAV", **same),
        record("case", inputs={"visits": 1.0, "Visits": 2.0, "VISITS": "x"}),
        record("wide", inputs=WIDE),
        record("last of the day", MIDNIGHT - MOMENT),
        record("first of the next", MIDNIGHT),
    ]
    upload(storage, first)
    storage.create(records.object_key("20260301T120500Z-old"), records.to_object(_version_1()))
    # A segment that was opened at 12:40 and closed at 13:40.
    upload(storage, [record("late", NOON + timedelta(minutes=95))], "segment", late=55)
    if request.param != "raw":
        compact(storage, storage, MIDNIGHT if request.param == "both" else MIDNIGHT + timedelta(hours=3))
    return storage


def first_ids(predictions: Folder, since: datetime, until: datetime) -> list[str]:
    with opened(predictions, since, until) as engine:
        engine.define(first_scores(since))
        return sorted(engine.results(["first_scores"])["first_scores"]["lead_id"].to_pylist())


@pytest.fixture
def day(predictions: Folder) -> Iterator[DuckEngine]:
    with opened(predictions, MIDNIGHT - timedelta(days=1), MIDNIGHT) as engine:
        yield engine


def test_ids_of_one_key_are_one_lead_and_of_equal_records_the_least_id_is_taken(day: DuckEngine) -> None:
    day.define(first_scores(MIDNIGHT - timedelta(days=1)))
    found = day.results(["first_scores", "record_counts"])
    leads = sorted(found["first_scores"]["lead_id"].to_pylist())
    assert leads == ["00Q5g00000AbCdE", "1007", "case", "last of the day", "late", "v1", "wide"]
    assert found["record_counts"].to_pylist() == [{"channel": None, "records": 9, "leads": 9}]


def test_a_record_of_the_first_version_has_no_channel_and_is_a_lead(day: DuckEngine) -> None:
    assert day._rows("select channel, role, line from records where lead_id = 'v1'").to_pylist() == [
        {"channel": None, "role": None, "line": None}
    ]


def test_names_that_differ_in_case_and_hundreds_of_columns_stay_apart(day: DuckEngine) -> None:
    (found,) = day._rows("select * from records where lead_id = 'case'").to_pylist()
    assert {key: value for key, value in found.items() if ":" in key and value is not None} == {
        "number:visits": 1.0,
        "number:^visits": 2.0,
        "text:^v^i^s^i^t^s": "x",
    }
    (found,) = day._rows("select * from records where lead_id = 'wide'").to_pylist()
    assert {key: value for key, value in found.items() if ":^field" in key} == {
        f"number:^field {n}": float(n) for n in range(300)
    }


def test_windows_meet_at_midnight_and_at_the_hour_without_gap_or_overlap(predictions: Folder) -> None:
    before = first_ids(predictions, MIDNIGHT - timedelta(hours=1), MIDNIGHT)
    assert (before, first_ids(predictions, MIDNIGHT, MIDNIGHT + MOMENT)) == (["last of the day"], ["first of the next"])
    assert first_ids(predictions, NOON + timedelta(hours=1), NOON + timedelta(hours=2)) == ["late"]
    assert first_ids(predictions, NOON + timedelta(hours=2), NOON + timedelta(hours=3)) == []


def test_days_without_records_are_an_engine_without_rows(predictions: Folder) -> None:
    assert first_ids(predictions, NOON + timedelta(days=30), NOON + timedelta(days=40)) == []


BEFORE = NOON - timedelta(days=2)
BATCH = f"predictions/dt={BEFORE:%Y-%m-%d}/hh=12/batch.parquet"


def given(folder: Path) -> Folder:
    """Leads of the window; `line` and `file` were scored two days before it too, others by trial or shadow alone."""
    predictions = Folder(folder)
    earlier = [
        record("line", BEFORE),
        record("trial", BEFORE, channel="trial"),
        record("shadow", BEFORE, role="shadow"),
        record("forgotten", BEFORE, channel=None, role=None),
    ]
    upload(predictions, earlier)
    sink = pa.BufferOutputStream()
    parquet.write_table(record_table([record("file", BEFORE)]), sink)
    predictions.create(BATCH, sink.getvalue().to_pybytes())
    upload(predictions, [record(name, NOON) for name in ("line", "file", "trial", "shadow", "new")])
    return predictions


def judged(predictions: Folder) -> set[str]:
    with opened(predictions, NOON, NOON + timedelta(days=1)) as engine:
        engine.define(first_scores(NOON))
        return set(engine.results(["first_scores"])["first_scores"]["lead_id"].to_pylist())


def test_a_lead_that_was_scored_before_the_window_is_not_judged_again_though_nothing_is_compacted(
    tmp_path: Path,
) -> None:
    predictions = given(tmp_path)
    assert judged(predictions) == {"trial", "shadow", "new"}
    compact(predictions, Folder(tmp_path / "leads"), NOON - timedelta(hours=1))
    assert judged(predictions) == {"trial", "shadow", "new"}


def test_what_a_table_holds_is_not_read_again(tmp_path: Path) -> None:
    predictions = given(tmp_path)
    tables = list(earlier_scores(predictions, NOON))
    assert {lead for table in tables for lead in table["lead_id"].to_pylist()} == {"line", "file", "forgotten"}
    assert all(table.schema == SCHEMA for table in tables)
    compact(predictions, Folder(tmp_path / "leads"), NOON - timedelta(hours=1))
    assert list(earlier_scores(predictions, NOON)) == []
