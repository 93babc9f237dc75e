"""The search of all places, and the command around it."""

import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service import records
from service.lifecycle import forget
from service.lifecycle.forgetting import sweep as sweeping
from service.lifecycle.forgetting.erasure import without
from service.lifecycle.forgetting.search import FEW, Search
from service.storage import Folder, Opened
from tests.conftest import HANG_S
from tests.service.lifecycle.records import record, upload
from tests.service.lifecycle.world import DECIDED

SOURCE = f"""
name = "x"
path = "{{path}}"
id_column = "customer"
target_column = "won"
positive = "yes"
{DECIDED}"""
NOW = datetime.now(UTC).replace(microsecond=0)


def run(platform: Path, *more: str) -> int:
    return forget.main(["--platform", str(platform), *more])


def left(platform: Path) -> list[str]:
    """The ids of the prediction records."""
    stored = Folder(platform / "predictions")
    found = [record for key in stored.keys("predictions/") if (each := stored.read(key))
             for record in records.read_object(each.data, key)]  # fmt: skip
    return sorted(each.lead_id for each in found)


def trial(name: str, age: float = 0, **inputs: Any) -> Any:
    return record(f"page-{name}", NOW - timedelta(days=age), inputs=inputs)


def test_trials_are_found_by_values_that_only_the_sources_file_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(Folder(tmp_path / "predictions"), [trial("same", size=7.0), trial("other", size=8.0), record("a", NOW)])
    (tmp_path / "export.csv").write_text("customer;size;won\nb;7;yes\na;8;no\n")
    (tmp_path / "x.toml").write_text(SOURCE.format(path="export.csv"))
    assert run(tmp_path, "--lead-id", "b") == 0
    assert "trials on the page of 1 of the leads" in capsys.readouterr().out
    assert left(tmp_path) == ["a", "page-other", "page-same"]
    assert run(tmp_path, "--lead-id", "b", "--source", str(tmp_path / "x.toml"), "--dry-run") == 0
    said = capsys.readouterr().out
    assert "would remove 1 rows, of them 1 trials on the page" in said
    assert "export.csv: holds 1 rows of these leads" in said
    assert left(tmp_path) == ["a", "page-other", "page-same"]
    assert run(tmp_path, "--lead-id", "b", "--source", str(tmp_path / "x.toml")) == 0
    assert left(tmp_path) == ["a", "page-other"]
    assert (tmp_path / "export.csv").read_text() == "customer;size;won\nb;7;yes\na;8;no\n"


def test_a_sources_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    upload(Folder(tmp_path / "predictions"), [record("a", NOW), record("b", NOW)])
    (tmp_path / "export.csv").write_text("name;won\nb;yes\n")
    (tmp_path / "x.toml").write_text(SOURCE.format(path="export.csv"))
    assert run(tmp_path, "--lead-id", "b", "--source", str(tmp_path / "x.toml")) == 1
    assert f"{tmp_path}/export.csv: has no column 'customer'" in capsys.readouterr().err
    assert left(tmp_path) == ["a"]


def test_outcomes_are_searched_by_their_own_column_and_beside_the_leads_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "export.csv").write_text("customer;size;won\nb;7;yes\na;8;no\n")
    (tmp_path / "ended.csv").write_text("deal,won\nb,yes\n")
    beside = 'outcomes = {path = "ended.csv", id_column = "deal"}\n[economics]'
    (tmp_path / "x.toml").write_text(SOURCE.format(path="export.csv").replace("[economics]", beside))
    leads = Folder(tmp_path / "leads")
    leads.create("outcomes/may.csv", b"deal,won\na,no\nb,yes\n")
    leads.create("batch/may.csv", b"customer,deal\na,b\n")
    assert run(tmp_path, "--lead-id", "b", "--source", str(tmp_path / "x.toml")) == 0
    assert "ended.csv: holds 1 rows of these leads" in capsys.readouterr().out
    kept = [stored.data for key in ("outcomes/may.csv", "batch/may.csv") if (stored := leads.read(key))]
    assert kept == [b"deal,won\na,no\n", b"customer,deal\na,b\n"]


def test_all_trials_older_than_some_days_are_removed(tmp_path: Path) -> None:
    found = [trial("old", age=40, size=1.0), trial("young", age=20, size=1.0), record("a", NOW - timedelta(days=50))]
    upload(Folder(tmp_path / "predictions"), found)
    assert run(tmp_path, "--page-trials-older-than", "30") == 0
    assert left(tmp_path) == ["a", "page-young"]
    assert run(tmp_path, "--page-trials-older-than", "0") == 0
    assert left(tmp_path) == ["a"]


@pytest.mark.parametrize("count", [FEW, FEW + 1])
def test_many_leads_go_in_one_pass_by_a_file_of_ids(tmp_path: Path, count: int) -> None:
    wanted = [f"L-{place}" for place in range(count)]
    others = ["L-999", "L-1000", 'say "hi"']
    upload(Folder(tmp_path / "predictions"), [record(lead, NOW) for lead in [*wanted, *others]])
    lines = [{"lead_id": "", "content": f"x;{wanted[-1]};y"}, {"lead_id": 7}, {"lead_id": "", "content": "L-999"}]
    quarantine = "".join(f"{json.dumps(line)}\n" for line in lines)
    Folder(tmp_path / "leads").create("quarantine/x.jsonl.gz", gzip.compress(quarantine.encode()))
    (tmp_path / "ids.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(["7.0", "", *wanted[1:]]).encode())
    assert run(tmp_path, "--ids-from", str(tmp_path / "ids.txt"), "--lead-id", wanted[0]) == 0
    assert left(tmp_path) == sorted(others)
    kept = Folder(tmp_path / "leads").read("quarantine/x.jsonl.gz")
    assert kept is not None
    assert gzip.decompress(kept.data).decode() == f"{json.dumps(lines[2])}\n"


def test_scores_and_what_was_set_aside_beside_them_are_searched_where_they_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for name in ("scores.csv", "scores.csv.old", "more.csv"):
        (own / name).write_text("lead_id,score\na,1\nb,1\n")
    (own / "scores.csv.quarantine.jsonl.gz").write_bytes(gzip.compress(b'{"lead_id":"b"}\n{"lead_id":"a"}\n'))
    assert run(tmp_path, "--lead-id", "b", "--also", str(own / "scores.csv")) == 0
    assert [(own / name).read_text().count("b,1") for name in ("scores.csv", "scores.csv.old", "more.csv")] == [0, 1, 1]
    assert gzip.decompress((own / "scores.csv.quarantine.jsonl.gz").read_bytes()) == b'{"lead_id":"a"}\n'
    assert run(tmp_path, "--lead-id", "b", "--also", str(own)) == 0
    assert (own / "more.csv").read_text() == "lead_id,score\na,1\n"
    assert run(tmp_path, "--lead-id", "b", "--also", str(own / "none.csv")) == 2


def test_objects_of_others_are_named_and_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Folder(tmp_path / "leads").create("history/2020.csv", b"lead_id,x\nb,1\n")
    assert run(tmp_path, "--lead-id", "b") == 0
    assert f"not searched: {tmp_path}/leads/history/2020.csv" in capsys.readouterr().out
    assert (tmp_path / "leads/history/2020.csv").read_bytes() == b"lead_id,x\nb,1\n"


def test_a_platforms_folder_counts_more_than_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADSCORING_PREDICTIONS_URL", str(tmp_path / "elsewhere"))
    upload(Folder(tmp_path / "platform/predictions"), [record("b", NOW)])
    upload(Folder(tmp_path / "elsewhere"), [record("b", NOW)])
    assert run(tmp_path / "platform", "--lead-id", "b") == 0
    assert left(tmp_path / "platform") == []
    assert [*Folder(tmp_path / "elsewhere").keys("")] != []
    assert run(tmp_path / "platform", "--lead-id", "b", "--predictions", str(tmp_path / "elsewhere")) == 0
    assert [*Folder(tmp_path / "elsewhere").keys("predictions/")] == []


def test_an_object_that_moved_meanwhile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(Folder(tmp_path / "predictions"), [record("b", NOW)])
    survey = sweeping.survey

    def moved(storage: Any, key: str, search: Search) -> Any:
        found = survey(storage, key, search)
        (tmp_path / "predictions" / key).unlink()
        return found

    monkeypatch.setattr(sweeping, "survey", moved)
    assert run(tmp_path, "--lead-id", "b") == 1


STOPPED = """
import contextlib, os, signal
from service.lifecycle import forget
from service.storage import Folder

whole = Folder.writing

@contextlib.contextmanager
def writing(self, key, generation):
    with whole(self, key, generation) as file:
        yield file
        os.kill(os.getpid(), signal.SIGINT)

Folder.writing = writing
raise SystemExit(forget.main({arguments!r}))
"""


def test_ctrl_c_amid_a_write_leaves_nothing_half_written_and_the_next_run_finishes(tmp_path: Path) -> None:
    whole = b"lead_id,x\na,1\nb,2\n"
    for name in ("may.csv", "june.csv"):
        Folder(tmp_path / "leads").create(f"outcomes/{name}", whole)
    arguments = ["--platform", str(tmp_path), "--lead-id", "b"]
    code = STOPPED.format(arguments=arguments)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=HANG_S)
    assert ran.returncode == 130, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "start again" in ran.stderr
    assert sorted({*os.listdir(tmp_path / "leads/outcomes")} - {".lock"}) == ["june.csv", "may.csv"]
    assert (tmp_path / "leads/outcomes/may.csv").read_bytes() == whole
    assert run(tmp_path, "--lead-id", "b") == 0
    assert (tmp_path / "leads/outcomes/may.csv").read_bytes() == b"lead_id,x\na,1\n"


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_memory_does_not_grow_with_the_object(kind: str) -> None:
    def peak(rows: int) -> int:
        lines = {"csv": b"a,%b\n", "jsonl": b'{"lead_id":"a","inputs":{"x":"%b"}}\n'}[kind] % (b"x" * 300)
        stored = gzip.compress((b"lead_id,x\n" if kind == "csv" else b"") + lines * rows)
        opened = Opened(io.BytesIO(stored), len(stored), "")  # type: ignore[arg-type]
        with tempfile.TemporaryFile() as kept:
            tracemalloc.start()
            assert without("x", opened, kept, Search(frozenset({"b"}))).rows == rows
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return most

    assert peak(16_000) < 1.3 * peak(4_000)


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        forget.main(["--help"])
    said = capsys.readouterr().out
    assert all(option in said for option in ("--ids-from ids.txt", "--platform .platform/crm", "130"))
