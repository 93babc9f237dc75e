import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from service import records
from service.lifecycle import forget
from service.lifecycle.erase import Search
from service.lifecycle.quarantine import Rejected, set_aside
from service.records import PredictionRecord
from service.storage import Conflict, Folder, Storage, open_storage

GONE = Search(frozenset({"b"}))
CSV = b'lead_id,note\r\na,1\r\nb,2\r\n"c","x\ny, b"\r\nbb,3\r\n'


@pytest.fixture(params=["folder", "bucket"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Storage]:
    root = str(tmp_path) if request.param == "folder" else request.getfixturevalue("gcs_url")
    return {name: open_storage(f"{root}/{name}") for name in ("leads", "predictions")}


def content(storage: Storage, key: str) -> bytes:
    stored = storage.read(key)
    assert stored is not None
    return stored.data


def as_parquet(ids: list[Any]) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.table({"lead_id": ids, "score": [0.5] * len(ids)}), sink)
    return sink.getvalue()


def as_records(*ids: str) -> bytes:
    made = [
        PredictionRecord(
            request_id="r",
            lead_id=lead,
            time=datetime(2026, 1, 1, tzinfo=UTC),
            model_version="v",
            inputs={"note": "b"},
            score=0.5,
            decision="skip",
            band="C",
            latency_ms=1.0,
        )
        for lead in ids
    ]
    return records.to_object(records.to_lines(made))


def test_a_lead_is_gone_from_every_kind_of_object_and_nothing_else_is(places: dict[str, Storage]) -> None:
    leads, predictions = places["leads"], places["predictions"]
    leads.create("outcomes/may.csv", CSV)
    leads.create("batch/may", gzip.compress(CSV))
    leads.create("batch/june.parquet", as_parquet(["a", "b", "c"]))
    leads.create("other/may.csv", CSV)
    set_aside(
        leads,
        "outcomes",
        [
            Rejected(file="f", row=2, column="", reason="no", lead_id="b"),
            Rejected(file="f", row=3, column="", reason="no", lead_id="", content="b,maybe"),
            Rejected(file="f", row=4, column="", reason="not b", lead_id="c"),
        ],
    )
    predictions.create("predictions/dt=2026-01-01/hh=00/x.jsonl.gz", as_records("a", "b", "b", "c"))
    predictions.create("batch/may.csv.v.1.parquet", as_parquet(["b", "c"]))
    predictions.create("batch/july.csv.v.1.csv", b'"lead_id","score"\n"a",0.5\n"b",0.25\n')
    removed, failed = forget.forget(places, GONE)
    assert failed == []
    assert {each.object.rpartition("/")[2].partition("-")[0]: each.rows for each in removed} == {
        "may.csv": 1,
        "may": 1,
        "june.parquet": 1,
        "f": 2,
        "x.jsonl.gz": 2,
        "may.csv.v.1.parquet": 1,
        "july.csv.v.1.csv": 1,
    }
    without = CSV.replace(b"b,2\r\n", b"", 1)
    assert content(leads, "outcomes/may.csv") == without
    assert gzip.decompress(content(leads, "batch/may")) == without
    assert content(leads, "other/may.csv") == CSV
    assert parquet.read_table(io.BytesIO(content(leads, "batch/june.parquet")))["lead_id"].to_pylist() == ["a", "c"]
    (aside,) = leads.keys("quarantine/")
    assert [json.loads(line)["row"] for line in gzip.decompress(content(leads, aside)).splitlines()] == [4]
    kept = records.read_object(content(predictions, "predictions/dt=2026-01-01/hh=00/x.jsonl.gz"))
    assert [record.lead_id for record in kept] == ["a", "c"]
    assert b"0.25" not in content(predictions, "batch/july.csv.v.1.csv")
    assert forget.forget(places, GONE) == ([], [])


def test_an_object_of_this_lead_alone_is_deleted(places: dict[str, Storage]) -> None:
    key = "predictions/dt=2026-01-01/hh=00/x.jsonl.gz"
    places["predictions"].create(key, as_records("b"))
    ((found,), failed) = forget.forget(places, GONE)
    assert (found.rows, found.deleted, failed) == (1, True, [])
    assert places["predictions"].read(key) is None


def test_a_dry_run_changes_nothing(places: dict[str, Storage]) -> None:
    places["leads"].create("outcomes/may.csv", CSV)
    ((found,), _) = forget.forget(places, GONE, dry_run=True)
    assert found.rows == 1
    assert content(places["leads"], "outcomes/may.csv") == CSV


def test_objects_without_the_lead_keep_their_generation(places: dict[str, Storage]) -> None:
    generation = places["leads"].swap("outcomes/may.csv", CSV, None)
    assert forget.forget(places, Search(frozenset({"nobody"}))) == ([], [])
    stored = places["leads"].read("outcomes/may.csv")
    assert stored is not None
    assert stored.generation == generation


def test_an_object_that_cannot_be_searched_is_named_and_the_others_are_done(places: dict[str, Storage]) -> None:
    places["leads"].create("batch/broken.parquet", as_parquet(["b"])[:-9])
    places["leads"].create("batch/cut.csv", gzip.compress(CSV * 99)[:-9])
    places["leads"].create("batch/other.csv", b"customer,note\nb,1\n")
    places["leads"].create("outcomes/may.csv", CSV)
    removed, failed = forget.forget(places, GONE)
    assert [each.rows for each in removed] == [1]
    assert [each.partition(": ")[0].rpartition("/")[2] for each in failed] == ["broken.parquet", "cut.csv", "other.csv"]
    assert "name it with --id-column" in failed[2]


def test_ids_may_stand_in_the_sources_column(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    storage.create("x.csv", b"customer;note\n b ;1\nc;2\n")
    storage.create("x.parquet", as_parquet([1, 2]))
    assert forget.forget_in(storage, "x.csv", Search(frozenset({"b"}), ("customer", "lead_id"), ";")) is not None
    assert content(storage, "x.csv") == b"customer;note\nc;2\n"
    assert forget.forget_in(storage, "x.parquet", Search(frozenset({"2"}))) is not None
    assert parquet.read_table(tmp_path / "x.parquet")["lead_id"].to_pylist() == [1]


def test_the_same_text_in_another_column_is_no_lead(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    storage.create("x.csv", b"note,lead_id\nb,a\n1,b\n")
    assert forget.forget_in(storage, "x.csv", GONE) is not None
    assert content(storage, "x.csv") == b"note,lead_id\nb,a\n"


def test_a_row_that_is_not_cut_like_the_header_is_found_by_any_cell(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    storage.create("x.csv", b"note,lead_id\n1,a\nb\nb,c\n")
    found = forget.forget_in(storage, "x.csv", GONE)
    assert found is not None
    assert content(storage, "x.csv") == b"note,lead_id\n1,a\nb,c\n"


@pytest.mark.parametrize("lead", ['say "hi"', "ä, ö", "back\\slash"])
def test_ids_that_are_written_in_several_ways_are_found(tmp_path: Path, lead: str) -> None:
    storage = Folder(tmp_path)
    escaped = lead.replace('"', '""')
    storage.create("x.csv", f'lead_id,note\n"{escaped}",1\nc,2\n'.encode())
    storage.create("x.jsonl", (json.dumps({"lead_id": lead}) + '\n{"lead_id": "c"}\n').encode())
    for key in ("x.csv", "x.jsonl"):
        found = forget.forget_in(storage, key, Search(frozenset({lead})))
        assert found is not None
        assert found.rows == 1


def test_an_object_that_changes_meanwhile_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Folder(tmp_path)
    generation = storage.swap("x.csv", CSV, None)
    replace, tries = forget._replace, 0

    def late(*arguments: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            storage.swap("x.csv", CSV + b"b,9\r\nd,4\r\n", generation)
        replace(*arguments)

    monkeypatch.setattr(forget, "_replace", late)
    found = forget.forget_in(storage, "x.csv", GONE)
    assert found is not None
    assert found.rows == 2
    assert content(storage, "x.csv").endswith(b"bb,3\r\nd,4\r\n")
    assert tries == 2


def test_an_object_that_never_holds_still_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Folder(tmp_path)
    storage.create("x.csv", CSV)

    def conflict(*_: Any) -> None:
        raise Conflict("x.csv was changed by someone else")

    monkeypatch.setattr(forget, "_replace", conflict)
    with pytest.raises(Conflict):
        forget.forget_in(storage, "x.csv", GONE)
    assert content(storage, "x.csv") == CSV


def test_the_command_prints_what_remains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Folder(tmp_path / "leads").create("outcomes/may.csv", CSV)
    options = ["--leads", str(tmp_path / "leads"), "--predictions", str(tmp_path / "predictions")]
    assert forget.main([*options, "--lead-id", "b", "--dry-run"]) == 0
    assert "would remove 1 rows" in capsys.readouterr().out
    assert forget.main([*options, "--lead-id", "b"]) == 0
    said = capsys.readouterr().out
    assert "outcomes/may.csv: removed 1 rows" in said
    assert "What remains" in said
    assert "spool" in said
    Folder(tmp_path / "leads").create("outcomes/bad.csv", b"customer,note\nb,1\n")
    assert forget.main([*options, "--lead-id", "b"]) == 1
    assert "could not be searched" in capsys.readouterr().err


def test_days_come_from_the_options_or_are_named(tmp_path: Path) -> None:
    assert "14 days" in forget.remains(14, 7, bucket=True)[0]
    assert "then soft-deleted for 7 days" in forget.remains(14, 7, bucket=True)[0]
    assert "noncurrent_days (infra/environments.py)" in forget.remains(None, None, bucket=True)[0]


@pytest.mark.parametrize("options", [[], ["--lead-id", " "], ["--lead-id", "b", "--leads", "s3://x"]])
def test_wrong_use_is_refused(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADSCORING_LEADS_URL", str(tmp_path / "leads"))
    monkeypatch.setenv("LEADSCORING_PREDICTIONS_URL", str(tmp_path / "predictions"))
    try:
        code: object = forget.main(options)
    except SystemExit as left:
        code = left.code
    assert code == 2
