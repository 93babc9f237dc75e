import os
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.api import metrics
from service.api import spool as spool_module
from service.api.spool import Spool, SpoolFull, Uploader
from service.storage import Folder, Storage, StorageError, Stored, open_storage

LINE = b'{"lead_id": "1"}\n'


class Clock:
    now = 1_795_435_287.0  # 2026-11-23T12:01:27Z

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spool(folder: Path, clock: Clock) -> Iterator[Spool]:
    made = Spool(folder, max_bytes=1_000, now=clock)
    yield made
    made.stop()


@pytest.fixture
def predictions(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path / "predictions"))


def uploaded(predictions: Storage) -> list[bytes]:
    import gzip

    stored = [predictions.read(key) for key in predictions.keys("predictions/")]
    return [line for each in stored if each for line in gzip.decompress(each.data).splitlines(keepends=True)]


def test_what_was_appended_is_uploaded_once(spool: Spool, predictions: Storage, folder: Path) -> None:
    spool.append(LINE)
    spool.append(LINE * 2)
    uploader = Uploader(spool, predictions, 1)
    uploader.upload()
    uploader.upload()
    assert uploaded(predictions) == [LINE] * 3
    assert list(predictions.keys("")) == [k for k in predictions.keys("") if "/dt=2026-11-23/hh=12/" in k]
    assert spool.waiting == 0
    assert list(folder.rglob("*.jsonl")) == []


def test_a_full_spool_takes_nothing_and_takes_again_after_an_upload(spool: Spool, predictions: Storage) -> None:
    spool.append(b"x" * 999 + b"\n")
    with pytest.raises(SpoolFull, match="1000 bytes wait"):
        spool.append(LINE)
    Uploader(spool, predictions, 1).upload()
    spool.append(LINE)


def test_records_are_on_the_file_before_append_returns(spool: Spool, folder: Path) -> None:
    spool.append(LINE)
    (segment,) = folder.rglob("*.jsonl")
    assert segment.read_bytes() == LINE


def test_fsync_puts_every_record_on_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    spool = Spool(folder, 1_000, fsync=True)
    spool.append(LINE)
    spool.append(LINE)
    spool.stop()
    assert len(synced) == 2


def test_a_disk_that_takes_only_a_part_leaves_nothing_of_it(spool: Spool, folder: Path) -> None:
    spool.append(LINE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(LINE) + 5, hard))
    try:
        with pytest.raises(SpoolFull):
            spool.append(LINE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    spool.append(LINE)
    (segment,) = folder.rglob("*.jsonl")
    assert segment.read_bytes() == LINE * 2


def test_an_object_holds_the_records_of_one_hour(spool: Spool, predictions: Storage, clock: Clock) -> None:
    spool.append(LINE)
    clock.now += 3600
    spool.append(LINE)
    Uploader(spool, predictions, 1).upload()
    assert [key.split("/")[2] for key in predictions.keys("predictions/")] == ["hh=12", "hh=13"]


def test_records_of_an_instance_that_died_are_adopted(folder: Path, predictions: Storage) -> None:
    died = os.fork()
    if died == 0:
        spool = Spool(folder, 1_000)
        spool.append(LINE)
        with open(next(folder.rglob("*.jsonl")), "ab") as torn:
            torn.write(b'{"lead_id": "never ackn')
        os._exit(9)
    os.waitpid(died, 0)
    spool = Spool(folder, 1_000)
    assert spool.waiting == len(LINE)
    Uploader(spool, predictions, 1).upload()
    spool.stop()
    assert uploaded(predictions) == [LINE]
    assert list(folder.iterdir()) == []


def test_a_living_instance_keeps_its_records(folder: Path, spool: Spool, predictions: Storage) -> None:
    spool.append(LINE)
    other = Spool(folder, 1_000)
    assert other.closed() == []
    other.stop()


def test_an_upload_whose_answer_was_lost_is_not_doubled(spool: Spool, predictions: Storage) -> None:
    spool.append(LINE)
    (segment,) = spool.closed()
    uploader = Uploader(spool, predictions, 1)
    uploader._upload(segment)  # the object is there, but the process dies before it forgets the segment
    uploader.upload()
    assert uploaded(predictions) == [LINE]
    assert spool.waiting == 0


def test_the_service_needs_no_right_to_read_what_it_uploads(spool: Spool, tmp_path: Path) -> None:
    class CreateOnly(Folder):
        def read(self, key: str) -> Stored | None:
            raise StorageError("403: storage.objects.get denied")

    predictions = CreateOnly(tmp_path / "predictions")
    spool.append(LINE)
    uploader = Uploader(spool, predictions, 1)
    uploader._upload(spool.closed()[0])
    uploader.upload()
    assert spool.waiting == 0


def test_an_unreachable_bucket_keeps_the_records(spool: Spool, tmp_path: Path, predictions: Storage) -> None:
    (tmp_path / "blocked").write_text("a file where the folder should be")
    spool.append(LINE)
    Uploader(spool, open_storage(str(tmp_path / "blocked")), 1).upload()
    assert spool.waiting == len(LINE)
    Uploader(spool, predictions, 1).upload()
    assert uploaded(predictions) == [LINE]


def failures() -> float:
    return float(metrics.UPLOAD_FAILURES._value.get())


def test_files_of_somebody_else_keep_no_record_from_being_uploaded(
    folder: Path, predictions: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = folder / "0123"
    died.mkdir(parents=True)
    (died / "20261123T120127Z-0123-000001.jsonl").write_bytes(LINE)
    (died / "20261123T120127Z-0123-000002.jsonl").mkdir()
    (died / "notes.jsonl").write_bytes(b"a name without a time\n")  # before all others in the order of names
    before = failures()
    spool = Spool(folder, 1_000)
    uploader = Uploader(spool, predictions, every_s=0.01)
    uploader.start()
    spool.append(LINE * 2)
    counted = threading.Event()
    real = metrics.UPLOAD_FAILURES.inc

    def inc() -> None:
        real()
        if failures() - before >= 4:  # the folder once, the file at each try
            counted.set()

    monkeypatch.setattr(metrics.UPLOAD_FAILURES, "inc", inc)
    assert counted.wait(60)
    spool.append(LINE * 3)
    uploader.stop(grace_s=60)
    spool.stop()
    assert uploaded(predictions) == [LINE] * 6
    assert (died / "notes.jsonl").read_bytes() == b"a name without a time\n"


@pytest.mark.parametrize("error", [StorageError("503"), ValueError("odd"), MemoryError(), AttributeError("no value")])
def test_any_error_is_counted_and_the_segment_tried_again(
    spool: Spool, tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    class OnceOdd(Folder):
        odd = True

        def create(self, key: str, data: bytes) -> None:
            if self.odd:
                self.odd = False
                raise error
            super().create(key, data)

    predictions, before = OnceOdd(tmp_path / "predictions"), failures()
    spool.append(LINE)
    (segment,) = spool.closed()
    uploader = Uploader(spool, predictions, every_s=0.01)
    uploader.start()
    uploader.stop(grace_s=60)
    uploader.upload()
    assert failures() - before == 1
    assert [each.segment for each in caplog.records if hasattr(each, "segment")] == [segment.name]
    assert uploaded(predictions) == [LINE]
    assert spool.waiting == 0


def test_a_segment_that_the_storage_refuses_for_ever_blocks_no_other(
    spool: Spool, tmp_path: Path, clock: Clock
) -> None:
    class RefusesOne(Folder):
        def create(self, key: str, data: bytes) -> None:
            if "/hh=12/" in key:
                raise StorageError("403: refused")
            super().create(key, data)

    predictions = RefusesOne(tmp_path / "predictions")
    spool.append(LINE)
    clock.now += 3600
    spool.append(LINE * 2)
    uploader = Uploader(spool, predictions, 1)
    assert not uploader.upload()
    assert not uploader.upload()
    assert uploaded(predictions) == [LINE] * 2
    assert spool.waiting == len(LINE)


def test_a_full_segment_is_uploaded_at_once_and_the_current_one_stays(
    folder: Path, predictions: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 2 * len(LINE))
    spool = Spool(folder, max_bytes=1_000)
    uploader = Uploader(spool, predictions, every_s=3600)
    uploader.start()
    for _ in range(4):
        spool.append(LINE)
    while spool.waiting > len(LINE):
        assert uploader._thread.is_alive()
        time.sleep(0.01)
    assert uploaded(predictions) == [LINE] * 3
    spool.append(LINE)  # is not yet full
    time.sleep(0.1)
    assert uploaded(predictions) == [LINE] * 3
    uploader.stop(grace_s=600)
    spool.stop()
    assert uploaded(predictions) == [LINE] * 5


def test_what_could_not_be_uploaded_is_not_tried_again_with_every_segment_that_fills(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 0)
    (tmp_path / "blocked").write_text("a file where the folder should be")
    spool, failures = Spool(folder, max_bytes=10_000), metrics.UPLOAD_FAILURES._value.get()
    uploader = Uploader(spool, open_storage(str(tmp_path / "blocked")), every_s=3600)
    uploader.start()
    for _ in range(50):
        spool.append(LINE)
        time.sleep(0.01)
    while metrics.UPLOAD_FAILURES._value.get() == failures:
        assert uploader._thread.is_alive()
        time.sleep(0.01)
    assert metrics.UPLOAD_FAILURES._value.get() == failures + 1
    uploader.stop(grace_s=600)
    spool.stop()


def test_stopping_uploads_what_is_left(spool: Spool, predictions: Storage) -> None:
    uploader = Uploader(spool, predictions, every_s=3600)
    uploader.start()
    spool.append(LINE)
    uploader.stop(grace_s=600)
    assert uploaded(predictions) == [LINE]


def test_nothing_is_lost_or_doubled_while_records_come_in(folder: Path, predictions: Storage) -> None:
    spool = Spool(folder, 10_000_000)
    uploader = Uploader(spool, predictions, every_s=0.001)
    uploader.start()
    lines = [b'{"lead_id": "%d"}\n' % i for i in range(3_000)]

    def write() -> None:
        for line in lines:
            spool.append(line)

    writer = threading.Thread(target=write)
    writer.start()
    writer.join()
    uploader.stop(grace_s=600)
    spool.stop()
    assert sorted(uploaded(predictions)) == sorted(lines)
