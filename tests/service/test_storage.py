import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from service.storage import CHUNK, Conflict, Storage, StorageError, open_storage


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path) if request.param == "folder" else request.getfixturevalue("gcs_url"))


def test_a_created_object_can_be_read_and_listed(storage: Storage) -> None:
    storage.create("models/1/model.onnx", b"\x00graph")
    storage.create("models/2/model.onnx", b"other")
    stored = storage.read("models/1/model.onnx")
    assert stored is not None
    assert stored.data == b"\x00graph"
    assert list(storage.keys("models/")) == ["models/1/model.onnx", "models/2/model.onnx"]
    assert list(storage.keys("models/2")) == ["models/2/model.onnx"]
    assert list(storage.sizes("models/")) == [("models/1/model.onnx", 6), ("models/2/model.onnx", 5)]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("reports/2026-03-02.pdf", "application/pdf"),
        ("reports/2026-03-02.html", "text/html"),
        ("champion.json", "application/json"),
        ("scores.csv", "text/csv"),
        ("scores.csv.gz", "application/octet-stream"),
        ("models/1/model.onnx", "application/octet-stream"),
        ("SHA256SUMS", "application/octet-stream"),
    ],
)
def test_a_bucket_keeps_the_media_type_that_a_key_states(gcs_url: str, key: str, expected: str) -> None:
    storage, found = open_storage(gcs_url), []

    def stored() -> None:
        """https://cloud.google.com/storage/docs/json_api/v1/objects/get"""
        bucket, _, prefix = gcs_url.removeprefix("gs://").partition("/")
        name = quote(f"{prefix}/{key}", safe="")
        answer = requests.get(f"{os.environ['STORAGE_EMULATOR_HOST']}/storage/v1/b/{bucket}/o/{name}", timeout=10)
        found.append(answer.json()["contentType"])

    storage.create(key, b"1")
    stored()
    first = storage.read(key)
    assert first
    generation = storage.swap(key, b"2", first.generation)
    stored()
    for size in (1, CHUNK + 1):
        storage.delete(key, generation)
        with storage.writing(key, None) as file:
            file.write(b"x" * size)
        stored()
        generation = getattr(storage.read(key), "generation", "")
    assert found == [expected] * 4


def test_what_does_not_exist_reads_as_none(storage: Storage) -> None:
    assert storage.read("nothing") is None
    assert list(storage.keys("")) == []


def test_an_object_is_created_once(storage: Storage) -> None:
    storage.create("record", b"first")
    with pytest.raises(Conflict):
        storage.create("record", b"second")
    stored = storage.read("record")
    assert stored is not None
    assert stored.data == b"first"


def test_a_swap_needs_the_generation_that_was_read(storage: Storage) -> None:
    first = storage.swap("champion.json", b"1", None)
    stored = storage.read("champion.json")
    assert stored == (b"1", first)
    second = storage.swap("champion.json", b"2", first)
    for stale in (first, None):
        with pytest.raises(Conflict):
            storage.swap("champion.json", b"3", stale)
    assert storage.read("champion.json") == (b"2", second)


def test_an_object_is_opened_as_it_was_or_not_at_all(storage: Storage) -> None:
    first = storage.swap("table", b"1", None)
    opened = storage.open("table", first)
    assert opened
    with opened.file:
        assert (opened.file.read(), opened.generation) == (b"1", first)
    second = storage.swap("table", b"2", first)
    assert storage.open("table", first) is None  # neither keeps earlier versions
    storage.delete("table", second)
    assert storage.open("table", second) is None


@pytest.mark.parametrize("attempt", range(10))
def test_of_swappers_at_the_same_time_exactly_one_wins(storage: Storage, attempt: int) -> None:
    generation = storage.swap("champion.json", b"start", None)
    won: list[int] = []
    ready = threading.Barrier(8)

    def race(number: int) -> None:
        ready.wait()
        try:
            storage.swap("champion.json", b"%d" % number, generation)
        except Conflict:
            return
        won.append(number)

    threads = [threading.Thread(target=race, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    stored = storage.read("champion.json")
    assert stored is not None
    assert stored.data == b"%d" % won[0]


def test_an_unreachable_bucket_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr("service.storage.RETRY_S", 0.2)
    with pytest.raises(StorageError, match=r"gs://none/some/key"):
        open_storage("gs://none/some").read("key")


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"):
        open_storage(str(tmp_path / "file")).create("key", b"")


@pytest.mark.parametrize("key", ["../outside", "/absolute", "", "a/../../b"])
def test_a_key_cannot_leave_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="illegal key"):
        open_storage(str(tmp_path)).create(key, b"")


@pytest.mark.parametrize("url", ["s3://bucket", "gs://", "gs:///prefix", "http://x"])
def test_an_address_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="storage"):
        open_storage(url)


def test_a_file_can_be_read_by_those_the_umask_lets(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        open_storage(str(tmp_path)).create("key", b"")
    finally:
        os.umask(mask)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_no_draft(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    storage.create("key", b"1")
    with pytest.raises(Conflict):
        storage.create("key", b"2")
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_an_object_can_be_read_in_parts(storage: Storage) -> None:
    storage.create("leads.csv", bytes(range(200)))
    opened = storage.open("leads.csv")
    stored = storage.read("leads.csv")
    assert opened is not None
    assert stored is not None
    assert (opened.size, opened.generation) == (200, stored.generation)
    with opened.file as file:
        assert file.read(10) == bytes(range(10))
        assert file.seek(-5, os.SEEK_END) == 195
        assert file.read(100) == bytes(range(195, 200))
        assert file.read(1) == b""
        file.seek(50)
        assert file.read(2) == b"23"
    assert storage.open("nothing") is None


@pytest.mark.parametrize("size", [0, 10, 20_000_000])
def test_what_is_written_in_parts_appears_whole(storage: Storage, size: int) -> None:
    with storage.writing("large", None) as file:
        for start in range(0, size, 3_000_000):
            file.write(b"x" * min(3_000_000, size - start))
        assert storage.read("large") is None
    stored = storage.read("large")
    assert stored is not None
    assert stored.data == b"x" * size


def test_an_object_whose_writing_failed_stays_as_it_was(storage: Storage) -> None:
    generation = storage.swap("kept", b"before", None)

    def fail(key: str, generation: str | None) -> None:
        with storage.writing(key, generation) as file:
            file.write(b"y" * 9_000_000)
            raise KeyError("in the middle")

    for key, state in (("kept", generation), ("new", None)):
        with pytest.raises(KeyError):
            fail(key, state)
    assert storage.read("kept") == (b"before", generation)
    assert list(storage.keys("")) == ["kept"]


class OddBucket(BaseHTTPRequestHandler):
    """Answers every upload with 200 and `body`, as a proxy in between may, or a bucket that is not one."""

    body = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        if "uploadType=resumable" in self.path:
            self.send_header("Location", f"http://{self.headers['Host']}/upload")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_PUT = do_POST  # noqa: N815 - the name that http.server calls

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def odd_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    with ThreadingHTTPServer(("127.0.0.1", 0), OddBucket) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
        yield open_storage("gs://odd")
        server.shutdown()


@pytest.mark.parametrize(
    "body", ["{}", "[]", "null", "", "<html>", '{"generation": ""}', '{"generation": "new"}', '{"generation": "0"}']
)
def test_an_answer_without_a_generation_stores_nothing(
    odd_bucket: Storage, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OddBucket, "body", body.encode())
    with pytest.raises(StorageError):
        odd_bucket.create("record", b"lead")
    for size in (1, CHUNK + 1):
        with pytest.raises(StorageError), odd_bucket.writing("record", None) as file:
            file.write(b"x" * size)


def test_writing_in_parts_needs_the_generation_that_was_read(storage: Storage) -> None:
    first = storage.swap("object", b"1", None)
    with storage.writing("object", first) as file:
        file.write(b"2")
    for stale in (first, None):
        with pytest.raises(Conflict), storage.writing("object", stale) as file:
            file.write(b"3")
    stored = storage.read("object")
    assert stored is not None
    assert stored.data == b"2"


def test_a_large_upload_asks_for_the_generation_that_was_read(gcs_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server sees to it; the one that stands in for it here ignores the condition of large uploads."""
    sent: list[str] = []
    real = requests.Session.request

    def spy(self: requests.Session, method: str, url: str, **options: Any) -> Any:
        sent.append(f"{method} {url}")
        return real(self, method, url, **options)

    monkeypatch.setattr(requests.Session, "request", spy)
    with open_storage(gcs_url).writing("large", "17") as file:
        file.write(b"x" * 9_000_000)
    (start,) = (each for each in sent if "POST" in each)
    assert "uploadType=resumable" in start
    assert "ifGenerationMatch=17" in start


def test_a_deleted_object_is_gone(storage: Storage) -> None:
    generation = storage.swap("folder/object", b"1", None)
    storage.delete("folder/object", generation)
    assert storage.read("folder/object") is None
    with pytest.raises(Conflict):
        storage.delete("folder/object", generation)


def test_a_changed_file_is_not_deleted(tmp_path: Path) -> None:
    """Of a bucket the server sees to that; the one that stands in for it here ignores the condition."""
    storage = open_storage(str(tmp_path))
    generation = storage.swap("object", b"1", None)
    storage.swap("object", b"2", generation)
    with pytest.raises(Conflict):
        storage.delete("object", generation)
    assert storage.read("object") is not None
