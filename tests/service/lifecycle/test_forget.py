import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from service import records
from service.lifecycle import forget
from service.lifecycle.data.quarantine import Rejected, set_aside
from service.lifecycle.data.source import SourceError
from service.lifecycle.forgetting import sweep as sweeping
from service.lifecycle.forgetting.erasure import without
from service.lifecycle.forgetting.places import remains, targets
from service.lifecycle.forgetting.search import Search
from service.lifecycle.forgetting.sweep import Removed, forget_in, sweep
from service.reading.ids import as_id
from service.records import PredictionRecord
from service.storage import Conflict, Folder, Opened, Storage, StorageError, open_storage
from tests.conftest import HANG_S
from tests.facts import stating

GONE = Search(frozenset({"b"}))
CSV = b'lead_id,note\r\na,1\r\nb,2\r\n"c","x\ny, b"\r\nbb,3\r\n'


@pytest.fixture(params=["folder", "bucket"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Storage]:
    root = str(tmp_path) if request.param == "folder" else request.getfixturevalue("gcs_url")
    return {name: open_storage(f"{root}/{name}") for name in ("leads", "predictions")}


def swept(places: dict[str, Storage], search: Search, dry_run: bool = False) -> tuple[list[Removed], list[str]]:
    """What was removed from all places, and what could not be searched."""
    found = sweep(targets(places), search, dry_run)
    return [each for place in found for each in place.removed], [each for place in found for each in place.failed]


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
    removed, failed = swept(places, GONE)
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
    assert swept(places, GONE) == ([], [])


def test_a_lead_is_gone_from_files_of_contacts_in_every_form(places: dict[str, Storage]) -> None:
    leads = places["leads"]
    leads.create("contacts/ids.csv", b"lead_id\na\nb\nc\n")
    leads.create("contacts/times.csv", b"Lead;called\na;2026-03-01\nb;2026-03-02\n")
    leads.create("contacts/calls.parquet", as_parquet(["a", "b", "c"]))
    found = sweep(targets(places, ("lead_id", "lead")), GONE, False)
    assert [failure for place in found for failure in place.failed] == []
    assert content(leads, "contacts/ids.csv") == b"lead_id\na\nc\n"
    assert content(leads, "contacts/times.csv") == b"Lead;called\na;2026-03-01\n"
    assert parquet.read_table(io.BytesIO(content(leads, "contacts/calls.parquet")))["lead_id"].to_pylist() == ["a", "c"]


def test_an_object_of_this_lead_alone_is_deleted(places: dict[str, Storage]) -> None:
    key = "predictions/dt=2026-01-01/hh=00/x.jsonl.gz"
    places["predictions"].create(key, as_records("b"))
    ((found,), failed) = swept(places, GONE)
    assert (found.rows, found.deleted, failed) == (1, True, [])
    assert places["predictions"].read(key) is None


def test_a_dry_run_changes_nothing(places: dict[str, Storage]) -> None:
    places["leads"].create("outcomes/may.csv", CSV)
    ((found,), _) = swept(places, GONE, dry_run=True)
    assert found.rows == 1
    assert content(places["leads"], "outcomes/may.csv") == CSV


def test_objects_without_the_lead_keep_their_generation(places: dict[str, Storage]) -> None:
    generation = places["leads"].swap("outcomes/may.csv", CSV, None)
    assert swept(places, Search(frozenset({"nobody"}))) == ([], [])
    stored = places["leads"].read("outcomes/may.csv")
    assert stored is not None
    assert stored.generation == generation


def test_an_object_that_cannot_be_searched_is_named_and_the_others_are_done(places: dict[str, Storage]) -> None:
    places["leads"].create("batch/broken.parquet", as_parquet(["b"])[:-9])
    places["leads"].create("batch/cut.csv", gzip.compress(CSV * 99)[:-9])
    places["leads"].create("batch/other.csv", b"customer,note\nb,1\n")
    places["leads"].create("outcomes/may.csv", CSV)
    removed, failed = swept(places, GONE)
    assert [each.rows for each in removed] == [1]
    assert [each.partition(": ")[0].rpartition("/")[2] for each in failed] == ["broken.parquet", "cut.csv", "other.csv"]
    assert "name it with --id-column" in failed[2]


def test_empty_objects_and_a_consoles_folders_hold_nobody(places: dict[str, Storage]) -> None:
    for key in ("outcomes/empty.csv", "batch/empty.gz", "batch/blank.csv", "batch/header.csv"):
        data = {".gz": gzip.compress(b""), "k.csv": b"\r\n\r\n", "r.csv": b"lead_id,x\r"}
        places["leads"].create(key, next((value for end, value in data.items() if key.endswith(end)), b""))
    if places["leads"].url.startswith("gs://"):
        places["leads"].create("outcomes/", b"")
        places["leads"].create("batch/2026/", b"")
    places["leads"].create("outcomes/may.csv", CSV)
    removed, failed = swept(places, GONE)
    assert ([each.rows for each in removed], failed) == ([1], [])
    assert content(places["leads"], "batch/header.csv") == b"lead_id,x\r"


BROKEN = {
    "a-parquet": as_parquet(["b"])[:-9],
    "b-gzip": gzip.compress(CSV * 99)[:-9],
    "c-deflate": gzip.compress(CSV)[:12] + b"\xff" * 40,
    "d-json": b'{"lead_id": "b"\n',
    "e-list": b'{"lead_id": "a"}\n["b"]\n',
    "g-quote": b'lead_id,note\nb,"open\na,1\n',
}


def test_whatever_is_wrong_with_an_object_it_is_named_and_all_others_are_searched(places: dict[str, Storage]) -> None:
    nested = io.BytesIO()
    parquet.write_table(pa.table({"lead_id": [["b"]]}), nested)
    broken = BROKEN | {"h-nested": nested.getvalue()}
    for name, data in broken.items():
        places["leads"].create(f"batch/{name}", data)
    places["predictions"].create("predictions/dt=2026-01-01/hh=00/x.jsonl.gz", as_records("a", "b"))
    removed, failed = swept(places, GONE)
    assert [each.object.rpartition("/")[2] for each in removed] == ["x.jsonl.gz"]
    assert [each.partition(": ")[0].rpartition("/")[2].partition(",")[0] for each in failed] == list(broken)
    assert all(each.partition(": ")[2] for each in failed)


def test_a_place_that_cannot_be_listed_is_named_and_the_others_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gcs: str
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs)
    predictions = Folder(tmp_path)
    predictions.create("predictions/x.jsonl.gz", as_records("b"))
    removed, failed = swept({"leads": open_storage("gs://no-such-bucket"), "predictions": predictions}, GONE)
    assert len(removed) == 1
    assert [each.split(": ")[0] for each in failed] == [
        f"gs://no-such-bucket/{prefix}" for prefix in ("outcomes/", "contacts/", "groups/", "batch/", "quarantine/")
    ]


def test_without_a_right_to_read_the_command_names_the_places_and_fails(tmp_path: Path) -> None:
    for key in ("outcomes/closed/may.csv", "outcomes/june.csv", "batch/july.csv", "batch/shut.csv"):
        Folder(tmp_path).create(key, CSV)
    (tmp_path / "outcomes/closed").chmod(0)
    (tmp_path / "batch/shut.csv").chmod(0)
    # Root reads everything, unless it gives that capability away.
    rights = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"] if os.geteuid() == 0 else []
    places = [f"--{name}={tmp_path}" for name in ("leads", "predictions")]
    command = [*rights, sys.executable, "-m", "service.lifecycle.forget", *places, "--lead-id", "b"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
    (tmp_path / "outcomes/closed").chmod(0o700)
    assert ran.returncode == 1, ran.stderr
    assert f"{tmp_path}/batch/july.csv: removed 1 rows" in ran.stdout
    assert f"{tmp_path}/outcomes/: cannot list {tmp_path}/outcomes/closed" in ran.stderr
    assert f"{tmp_path}/batch/shut.csv: cannot read" in ran.stderr


def test_a_failing_write_is_named_and_leaves_the_object_as_it_was(
    places: dict[str, Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    places["leads"].create("outcomes/may.csv", CSV)
    places["predictions"].create("predictions/x.jsonl.gz", as_records("b"))

    def full(*_: object) -> None:
        raise StorageError("cannot write: No space left on device")

    monkeypatch.setattr(type(places["leads"]), "writing", full)
    removed, failed = swept(places, GONE)
    assert [each.deleted for each in removed] == [True]
    assert len(failed) == 1
    assert content(places["leads"], "outcomes/may.csv") == CSV


FLOATS = [1007.0, None, 1008.0, 10070.0, 1007.5, float("nan")]


@pytest.mark.parametrize("lead", ["1007", "1007.0"])
@pytest.mark.parametrize(
    "column",
    [
        pa.array([1007, None, 1008, 10070], pa.int64()),
        pa.array([1007, None, 1008, 10070], pa.uint16()),
        pa.array(FLOATS, pa.float64()),
        pa.array(FLOATS, pa.float32()),
        pa.array(np.array([1007.0, 1008.0], dtype=np.float16)),
        pa.array([Decimal("1007.00"), None, Decimal("1007.50"), Decimal("10070")], pa.decimal128(12, 2)),
        pa.array([Decimal(1007), None, Decimal(1008)], pa.decimal128(20, 0)),
        pa.array(["1007", " 1007.0 ", "01007", "1007.5", "L-1007", "1007.0.0", None, ""], pa.string()),
        pa.array(["1007", "1008", "1007"]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type) if isinstance(column, pa.Array) else column,
)
def test_a_numeric_id_is_found_in_every_type_of_column_and_no_other_is(
    tmp_path: Path, column: pa.Array, lead: str
) -> None:
    storage, sink = Folder(tmp_path), io.BytesIO()
    parquet.write_table(pa.table({"lead_id": column}), sink)
    storage.create("x.parquet", sink.getvalue())
    found = forget_in(storage, "x.parquet", Search(frozenset({lead})))
    stay = [value for value in column.to_pylist() if as_id(value) != "1007"]
    assert found is not None
    assert found.rows == len(column) - len(stay) > 0
    kept = parquet.read_table(tmp_path / "x.parquet")["lead_id"]
    assert kept.type == column.type
    assert [str(value) for value in kept.to_pylist()] == [str(value) for value in stay]


def test_large_ids_are_found_where_floats_are_exact_and_else_nobody_is_taken_for_another(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    storage.create("x.parquet", as_parquet([123_456_789_012.0, float(2**53)]))
    search = Search(frozenset({"123456789012"}))
    assert swept({"leads": storage, "predictions": storage}, search) == ([], [])
    found = forget_in(storage, "x.parquet", search)
    assert found is not None
    assert found.rows == 1
    storage.create("batch/x.parquet", as_parquet([float(2**53 + 2)]))
    ((removed), (failed,)) = swept(
        {"leads": storage, "predictions": Folder(tmp_path / "none")}, Search(frozenset({str(2**53 + 1)}))
    )
    assert removed == []
    assert "floating-point" in failed


@pytest.mark.parametrize(
    ("line", "gone"),
    [
        (b'{"lead_id": 1007}', True),
        (b'{"lead_id":1007.0}', True),
        (b'{"lead_id":1.007e3}', True),
        (b'{"lead_id": "1007.00"}', True),
        (b'{"lead_id": "", "content": "lead_id=1007 won=yes"}', True),
        (b'{"lead_id": null, "content": "x;1007.0;3"}', True),
        (b'{"lead_id": "01007"}', False),
        (b'{"lead_id": "L-1007"}', False),
        (b'{"lead_id": 10070}', False),
        (b'{"lead_id": "c", "content": "1007"}', False),
        (b'{"lead_id": "", "content": "21007,01007,L-1007,1007-2,1007.5"}', False),
    ],
)
def test_a_numeric_id_is_found_in_json_lines_and_no_other_is(tmp_path: Path, line: bytes, gone: bool) -> None:
    storage = Folder(tmp_path)
    storage.create("x.jsonl", line + b'\n\n{"lead_id": "1008"}\n')
    found = forget_in(storage, "x.jsonl", Search(frozenset({"1007"})))
    assert (found is not None) == gone
    assert content(storage, "x.jsonl").startswith(line) != gone


def test_a_null_id_is_not_a_lead_called_none(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    storage.create("x.jsonl", b'{"lead_id": null}\n{"lead_id": "None"}\n')
    found = forget_in(storage, "x.jsonl", Search(frozenset({"None"})))
    assert found is not None
    assert content(storage, "x.jsonl") == b'{"lead_id": null}\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("above", ["", "sep=;\r\n", "Report: Kunden\n\n", "Jürgen\nKunden;\n\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_that_training_reads_is_searched_below_its_title_in_its_encoding(
    tmp_path: Path, encoding: str, above: str, end: str
) -> None:
    rows = [f"{row}{end}" for row in ("Größe; LEAD_ID ;Ort", "1;Jürgen;Köln", "2;b;Jürgen", "", "Summe;;", "Jürgen")]
    storage, removed = Folder(tmp_path), ("1;Jürgen", "Jürgen")
    storage.create("x.csv", (above + "".join(rows)).encode(encoding))
    kept = [line for line in (above + "".join(rows)).splitlines(keepends=True) if not line.startswith(removed)]
    found = forget_in(storage, "x.csv", Search(frozenset({"Jürgen"})))
    assert found is not None
    assert found.rows == 2 + above.startswith("Jürgen")
    assert content(storage, "x.csv") == "".join(kept).encode(encoding)


def test_a_file_in_no_known_encoding_is_searched_for_ascii_ids_and_refused_for_others(tmp_path: Path) -> None:
    storage, data = Folder(tmp_path), "Größe,lead_id\n1,Jürgen\n2,b\n".encode("cp850")
    storage.create("x.csv", data)
    with pytest.raises(SourceError, match=stating("row 2", "id", "UTF-8")):
        forget_in(storage, "x.csv", Search(frozenset({"Jürgen"})))
    assert forget_in(storage, "x.csv", GONE) is not None
    assert content(storage, "x.csv") == data.removesuffix(b"2,b\n")
    storage.create("y.csv", data)
    assert forget_in(storage, "y.csv", Search(frozenset({"Jürgen"}), encoding="cp850")) is not None
    assert content(storage, "y.csv") == data.replace("1,Jürgen\n".encode("cp850"), b"")


def test_scores_with_commas_are_searched_though_the_leads_have_another_delimiter(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    storage.create("x.csv", b"lead_id,score\na,0.5\nb,0.5\n")
    assert forget_in(storage, "x.csv", Search(frozenset({"b"}), ("customer", "lead_id"), ";")) is not None
    assert content(storage, "x.csv") == b"lead_id,score\na,0.5\n"


@pytest.mark.parametrize(
    ("lead", "written"),
    [
        ("00Q5e00001AbCdE", "00Q5e00001AbCdEEAV"),
        ("1007", "1007.0"),
        ("1007", '="1007"'),
        ("1007.0", "1007"),
    ],
)
def test_a_lead_is_found_however_an_export_spells_its_id(tmp_path: Path, lead: str, written: str) -> None:
    storage, other = Folder(tmp_path), "00Q5e00001aBCdEEAA"
    quoted = written.replace('"', '""')
    storage.create("x.csv", f'lead_id,note\n"{quoted}",1\n{other},2\n'.encode())
    storage.create("x.jsonl", (json.dumps({"lead_id": written}) + f'\n{{"lead_id": "{other}"}}\n').encode())
    storage.create("x.parquet", as_parquet([written, other]))
    for key in ("x.csv", "x.jsonl", "x.parquet"):
        found = forget_in(storage, key, Search(frozenset({lead})))
        assert found is not None, key
        assert found.rows == 1
    assert parquet.read_table(tmp_path / "x.parquet")["lead_id"].to_pylist() == [other]


# Cells with all that CSV has to quote, and ids that are nearly the wanted one.
IDS = st.sampled_from(["1007", "1007.0", "01007", "10070", "L-1007", "", "1008"]) | st.text(max_size=4)
CELLS = st.text(st.characters(categories=["L", "N", "P", "S", "Z"]) | st.sampled_from('",;\t|\r\n'), max_size=8)


@given(
    rows=st.lists(st.tuples(IDS, CELLS, CELLS, st.booleans()), min_size=1, max_size=12),
    delimiter=st.sampled_from(",;\t|"),
    ends=st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=13, max_size=13)
    | st.sampled_from([["\n"] * 13, ["\r\n"] * 13, ["\r"] * 13]),
    open_end=st.booleans(),
    mark=st.booleans(),
    packed=st.booleans(),
)
def test_of_csv_in_any_style_exactly_the_wanted_rows_are_gone_and_every_other_byte_stays(
    rows: list[tuple[str, str, str, bool]], delimiter: str, ends: list[str], open_end: bool, mark: bool, packed: bool
) -> None:
    def written(cell: str, quoted: bool) -> str:
        must = quoted or any(sign in cell for sign in f'{delimiter}"\r\n')
        return '"' + cell.replace('"', '""') + '"' if must else cell

    lines = [delimiter.join(written(cell, quoted) for cell in cells) for *cells, quoted in rows]
    if open_end:
        ends = [*ends[: len(lines)], ""]
    bytes_of = [(line + end).encode() for line, end in zip(lines, ends[1:], strict=False)]
    header = (b"\xef\xbb\xbf" if mark else b"") + (delimiter.join(["lead_id", "a", "b"]) + ends[0]).encode()
    stay = [data for data, row in zip(bytes_of, rows, strict=True) if as_id(row[0]) != "1007"]
    whole = header + b"".join(bytes_of)
    search = Search(frozenset({"1007"}), delimiter=delimiter)
    stored = gzip.compress(whole) if packed else whole
    with tempfile.TemporaryFile() as kept:
        _, gone, _ = without("x.csv", Opened(io.BytesIO(stored), len(stored), "1"), kept, search)  # type: ignore[arg-type]
        kept.seek(0)
        left = kept.read()
    assert gone == len(rows) - len(stay)
    assert (gzip.decompress(left) if packed else left) == header + b"".join(stay)


@pytest.mark.parametrize("end", [b"\r", b"\r\n", b"\n"])
def test_the_delimiter_is_told_whatever_ends_the_lines(places: dict[str, Storage], end: bytes) -> None:
    places["leads"].create("batch/may.csv", end.join([b"lead_id;note", b"1007.0;1", b"1008;2", b""]))
    removed, failed = swept(places, Search(frozenset({"1007"})))
    assert ([each.rows for each in removed], failed) == ([1], [])
    assert content(places["leads"], "batch/may.csv") == end.join([b"lead_id;note", b"1008;2", b""])


def test_ids_may_stand_in_the_sources_column(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    storage.create("x.csv", b"customer;note\n b ;1\nc;2\n")
    storage.create("x.parquet", as_parquet([1, 2]))
    assert forget_in(storage, "x.csv", Search(frozenset({"b"}), ("customer", "lead_id"), ";")) is not None
    assert content(storage, "x.csv") == b"customer;note\nc;2\n"
    assert forget_in(storage, "x.parquet", Search(frozenset({"2"}))) is not None
    assert parquet.read_table(tmp_path / "x.parquet")["lead_id"].to_pylist() == [1]


def test_the_same_text_in_another_column_is_no_lead(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    storage.create("x.csv", b"note,lead_id\nb,a\n1,b\n")
    assert forget_in(storage, "x.csv", GONE) is not None
    assert content(storage, "x.csv") == b"note,lead_id\nb,a\n"


def test_a_row_that_is_not_cut_like_the_header_is_found_by_any_cell(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    storage.create("x.csv", b"note,lead_id\n1,a\nb\nb,c\n")
    found = forget_in(storage, "x.csv", GONE)
    assert found is not None
    assert content(storage, "x.csv") == b"note,lead_id\n1,a\nb,c\n"


@pytest.mark.parametrize("lead", ['say "hi"', "ä, ö", "back\\slash"])
def test_ids_that_are_written_in_several_ways_are_found(tmp_path: Path, lead: str) -> None:
    storage = Folder(tmp_path)
    escaped = lead.replace('"', '""')
    storage.create("x.csv", f'lead_id,note\n"{escaped}",1\nc,2\n'.encode())
    storage.create("x.jsonl", (json.dumps({"lead_id": lead}) + '\n{"lead_id": "c"}\n').encode())
    for key in ("x.csv", "x.jsonl"):
        found = forget_in(storage, key, Search(frozenset({lead})))
        assert found is not None
        assert found.rows == 1


def test_an_object_that_changes_meanwhile_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Folder(tmp_path)
    generation = storage.swap("x.csv", CSV, None)
    replace, tries = sweeping._replace, 0

    def late(*arguments: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            storage.swap("x.csv", CSV + b"b,9\r\nd,4\r\n", generation)
        replace(*arguments)

    monkeypatch.setattr(sweeping, "_replace", late)
    found = forget_in(storage, "x.csv", GONE)
    assert found is not None
    assert found.rows == 2
    assert content(storage, "x.csv").endswith(b"bb,3\r\nd,4\r\n")
    assert tries == 2


def test_an_object_that_never_holds_still_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Folder(tmp_path)
    storage.create("x.csv", CSV)

    def conflict(*_: Any) -> None:
        raise Conflict("x.csv was changed by someone else")

    monkeypatch.setattr(sweeping, "_replace", conflict)
    with pytest.raises(Conflict):
        forget_in(storage, "x.csv", GONE)
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
    assert all(word in said for word in ("spool", ".draft-", "page-"))
    assert "compare the ids" not in said
    assert forget.main([*options, "--lead-id", "b"]) == 0
    assert "compare the ids" in capsys.readouterr().out
    Folder(tmp_path / "leads").create("outcomes/bad.csv", b"customer,note\nb,1\n")
    assert forget.main([*options, "--lead-id", "b"]) == 1
    assert "could not be searched" in capsys.readouterr().err


def test_days_come_from_the_options_or_are_named(tmp_path: Path) -> None:
    assert "14 days" in remains(14, 7, bucket=True)[0]
    assert "then soft-deleted for 7 days" in remains(14, 7, bucket=True)[0]
    assert "noncurrent_days (infra/environments.py)" in remains(None, None, bucket=True)[0]


@pytest.mark.parametrize("options", [[], ["--lead-id", " "], ["--lead-id", "b", "--leads", "s3://x"]])
def test_wrong_use_is_refused(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADSCORING_LEADS_URL", str(tmp_path / "leads"))
    monkeypatch.setenv("LEADSCORING_PREDICTIONS_URL", str(tmp_path / "predictions"))
    try:
        code: object = forget.main(options)
    except SystemExit as left:
        code = left.code
    assert code == 2
