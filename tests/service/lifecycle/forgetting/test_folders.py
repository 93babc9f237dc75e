"""The spool and unfinished files of this machine."""

import fcntl
import gzip
import os
import threading
import time
from pathlib import Path

import pytest

from service.api.spool import Spool, Uploader
from service.lifecycle import forget
from service.lifecycle.forgetting import folders
from service.storage import Folder, StorageError

LINES = {lead: b'{"request_id":"r","lead_id":"%b","inputs":{"x":1.0}}\n' % lead.encode() for lead in ("a", "b", "c")}


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    """What scripts/up keeps of a source."""
    return tmp_path


def run(platform: Path, *more: str) -> int:
    return forget.main(["--platform", str(platform), "--lead-id", "b", *more])


def age(path: Path, seconds: float = 3600) -> None:
    os.utime(path, (time.time() - seconds, time.time() - seconds))


def spooled(platform: Path, stopped: bool) -> Spool:
    spool = Spool(platform / "spool", 10_000_000)
    spool.append(LINES["a"] + LINES["b"] + LINES["c"])
    if stopped:
        spool.stop()
    return spool


def segments(platform: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (platform / "spool").rglob("*.jsonl")}


def test_records_that_a_dead_service_left_lose_the_lead_and_the_next_one_uploads_the_others(
    platform: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spooled(platform, stopped=True)
    assert run(platform, "--dry-run") == 0
    assert [*segments(platform).values()] == [LINES["a"] + LINES["b"] + LINES["c"]]
    assert run(platform) == 0
    assert "would remove 1 rows" in capsys.readouterr().out
    assert [*segments(platform).values()] == [LINES["a"] + LINES["c"]]
    following = Spool(platform / "spool", 10_000_000)
    assert Uploader(following, Folder(platform / "predictions"), 1).upload()
    following.stop()
    assert [*Folder(platform / "predictions").keys("predictions/")] != []


def test_records_of_a_running_service_are_waited_for_and_then_removed(platform: Path) -> None:
    spool = spooled(platform, stopped=False)
    uploader = Uploader(spool, Folder(platform / "predictions"), every_s=0.2)
    started = threading.Timer(0.2, uploader.start)
    started.start()
    try:
        assert run(platform) == 0
    finally:
        started.join()
        uploader.stop(10)
        spool.stop()
    (key,) = Folder(platform / "predictions").keys("predictions/")
    stored = Folder(platform / "predictions").read(key)
    assert stored is not None
    assert gzip.decompress(stored.data) == LINES["a"] + LINES["c"]


def test_records_that_a_running_service_does_not_upload_are_named_and_untouched(
    platform: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "UPLOAD_WAIT_S", 0.1)
    spool = spooled(platform, stopped=False)
    spool.append(LINES["b"][:-1])  # the end of this line is not written yet
    before = segments(platform)
    try:
        assert run(platform) == 1
        assert segments(platform) == before
    finally:
        spool.stop()
    (segment,) = before
    said = [line for line in capsys.readouterr().err.splitlines() if str(segment) in line]
    assert [line.startswith(f"{segment}: a running service holds 1 rows") for line in said] == [True]


def test_a_service_that_starts_meanwhile_keeps_what_it_adopted(platform: Path) -> None:
    spooled(platform, stopped=True)
    ((segment, data),) = segments(platform).items()
    (instance,) = folders.left_instances(platform / "spool")
    stored = instance.storage.read(segment.name)
    assert stored is not None
    following = Spool(platform / "spool", 10_000_000)
    try:
        with pytest.raises(StorageError, match="start again"):
            instance.storage.swap(segment.name, b"", stored.generation)
        assert segment.read_bytes() == data
    finally:
        following.stop()


def test_drafts_of_jobs_that_died_are_deleted_and_others_are_named(
    platform: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("0" * 32, "1" * 32, "2" * 32, "of a letter")
    left, young, held, other = (platform / "leads" / f"batch/.draft-{name}" for name in names)
    left.parent.mkdir(parents=True)
    for path in (left, young, held, other):
        path.write_bytes(LINES["b"])
    for path in (left, held, other):
        age(path)
    with held.open("rb") as job:
        fcntl.flock(job, fcntl.LOCK_EX)
        assert run(platform, "--dry-run") == 1
        assert left.exists()
        assert run(platform) == 1
        assert [path.exists() for path in (left, young, held, other)] == [False, True, True, True]
    said = capsys.readouterr()
    assert f"{left}: removed the whole object" in said.out
    assert f"{young}: is being written" in said.err
    assert f"{held}: is being written" in said.err
    age(young)
    assert run(platform) == 0
    assert not young.exists()


def test_a_draft_is_held_while_it_is_written(tmp_path: Path) -> None:
    with Folder(tmp_path).writing("x.csv", None) as file:
        file.write(b"lead_id\nb\n")
        (draft,) = tmp_path.iterdir()
        age(draft)
        assert folders.sweep_drafts([tmp_path], dry_run=False).failed != []
        assert draft.exists()
    assert (tmp_path / "x.csv").exists()
