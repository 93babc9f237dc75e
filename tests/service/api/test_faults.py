"""Faults, each injected into the real service: what it acknowledged has its record, and it comes back by itself."""

import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from service.model.bundle import published_sums
from service.records import read_object
from service.storage import open_storage
from tests.conftest import HANG_S, free_port
from tests.service import forge
from tests.service.api.server import JSON, Server

pytestmark = pytest.mark.slow

ONE = json.dumps({"leads": [{"lead_id": "%s", "features": forge.LEAD}]})


class Load:
    """Callers of one lead a request, each lead with an id of its own."""

    def __init__(self, server: Server, callers: int = 4) -> None:
        self.answered, self.others = list[str](), list[str]()
        self._base, self._over = server.http.base_url, threading.Event()
        self._threads = [threading.Thread(target=self._call, args=[number]) for number in range(callers)]

    def _call(self, caller: int) -> None:
        count = 0
        with httpx.Client(base_url=self._base, trust_env=False, timeout=HANG_S) as http:
            while not self._over.is_set():
                lead = f"{caller}-{(count := count + 1)}"
                try:
                    status = str(http.post("/v1/score", content=ONE % lead, headers=JSON).status_code)
                except httpx.HTTPError as error:
                    status = repr(error)
                    time.sleep(0.05)
                if status == "200":
                    self.answered.append(lead)
                else:
                    self.others.append(status)

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(60)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    forge.release(open_storage(str(tmp_path / "store")), version="v1")
    return tmp_path


def recorded(server: Server) -> list[str]:
    return sorted(record.lead_id for record in server.records())


def block(folder: Path) -> Path:
    """A file where the folder was: whoever reads or writes below it fails."""
    aside = folder.with_name(f"{folder.name}-aside")
    if folder.exists():
        folder.rename(aside)
    folder.write_text("not a folder")
    return aside


def unblock(folder: Path) -> None:
    aside = folder.with_name(f"{folder.name}-aside")
    folder.unlink()
    if aside.exists():
        aside.rename(folder)


def test_it_serves_on_while_the_models_are_away_and_follows_when_they_are_back(root: Path) -> None:
    """The pointer is read anew at each of many polls: there is no cache that could run out."""
    server = Server(root)
    try:
        store = root / "store"
        block(store)
        server.wait(lambda: sum("cannot be reached" in each["message"] for each in server.logs()) >= 20)
        assert server.version() == "v1"
        assert server.score({"features": forge.LEAD}).status_code == 200
        unblock(store)
        forge.release(server.models, seed=2, version="v2")
        server.wait(lambda: server.version() == "v2")
    finally:
        assert server.stop() == 0


def test_records_wait_as_long_as_their_bucket_is_away_and_all_arrive(root: Path) -> None:
    """Also when the spool fills up meanwhile: then no score is given, and the service is not ready."""
    server = Server(root, upload_seconds=0.1, spool_max_bytes=1_000_000)
    try:
        (root / "predictions").mkdir(exist_ok=True)
        block(root / "predictions")
        statuses = [server.score(*[{"features": forge.LEAD}] * 300).status_code for _ in range(30)]
        assert statuses == sorted(statuses)
        assert set(statuses) == {200, 503}
        server.wait(lambda: server.metric("leadscoring_upload_failures_total") >= 5)
        unready = server.http.get("/readyz")
        assert (unready.status_code, unready.headers["retry-after"]) == (503, "10")
        assert server.http.get("/healthz").status_code == 200
        unblock(root / "predictions")
        server.wait(lambda: server.http.get("/readyz").status_code == 200)
        assert server.score({"features": {}}).status_code == 200
    finally:
        assert server.stop() == 0
    assert len(server.records()) == 300 * statuses.count(200) + 1


def test_a_pointer_that_flaps_is_followed_and_every_score_is_of_the_version_named(root: Path) -> None:
    server = Server(root)
    load = Load(server)
    try:
        forge.release(server.models, seed=2, version="v2")
        pointed = {version: published_sums(server.models, version) for version in ("v1", "v2")}
        server.wait(lambda: server.version() == "v2")
        before = server.metric("leadscoring_model_swaps_total")
        with load.running():
            for flip in range(200):
                version = ("v1", "v2")[flip % 2]
                forge.point(server.models, version, pointed[version])
                time.sleep(0.01)
            server.wait(lambda: server.version() == "v2")
            server.wait(lambda: len(load.answered) > 20)
        assert load.others == []
        assert server.metric("leadscoring_model_swaps_total") > before
        assert server.http.get("/v1/model").json()["refused"] is None
    finally:
        assert server.stop() == 0
    by_version = {r.model_version: r.score for r in server.records()}
    assert len(by_version) == len({(r.model_version, r.score) for r in server.records()})
    assert recorded(server) == sorted(load.answered)


def test_a_worker_killed_in_mid_request_loses_nothing_that_it_acknowledged(root: Path) -> None:
    first = Server(root, upload_seconds=3600)
    load = Load(first)
    with load.running():
        first.wait(lambda: len(load.answered) > 50)
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    assert first.records() == []
    second = Server(root)
    assert second.stop() == 0
    kept = recorded(second)
    assert len(kept) == len(set(kept))
    assert set(load.answered) <= set(kept)


def test_sigterm_under_load_loses_nothing_and_fails_nobody_who_was_let_in(root: Path) -> None:
    server = Server(root)
    load = Load(server)
    with load.running():
        server.wait(lambda: len(load.answered) > 50)
        assert server.stop() == 0
    assert recorded(server) == sorted(load.answered)
    assert not [status for status in load.others if status.startswith("5")]


def test_without_free_files_it_serves_those_whom_it_knows_and_recovers(root: Path) -> None:
    # Only the service gets the limit: this process may have more files open, of tests before.
    server = Server(root, patience_seconds=2, launcher=["prlimit", "--nofile=110"])
    try:
        with ExitStack() as stack:
            for _ in range(300):
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            assert server.score({"lead_id": "known", "features": forge.LEAD}).status_code == 200
            forge.release(server.models, seed=2, version="v2")
            server.wait(lambda: server.version() == "v2")  # it has files left for itself
        server.wait(lambda: _answers(server))
    finally:
        assert server.stop() == 0
    assert recorded(server) == ["known"]


def _answers(server: Server) -> bool:
    try:
        return httpx.get(f"{server.http.base_url}/readyz", trust_env=False, timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def test_it_never_asks_mlflow_or_cloud_monitoring(root: Path) -> None:
    """Neither is even loaded in a process that has scored, explained and described itself."""
    program = (
        "import sys, json\n"
        "from fastapi.testclient import TestClient\n"
        "from service.api.admission import Admission\n"
        "from service.api.app import create_app\n"
        "from service.settings import Settings\n"
        "import time\n"
        "with TestClient(create_app(Settings(), Admission())) as http:\n"
        "    while http.get('/readyz').status_code != 200: time.sleep(0.05)\n"
        "    body = {'leads': [{'features': {}}]}\n"
        "    assert http.post('/v1/score?explain=true', json=body).status_code == 200\n"
        "    assert http.get('/openapi.json').status_code == http.get('/').status_code == 200\n"
        "wrong = [m for m in sys.modules if m.split('.')[0] == 'mlflow' or 'monitoring' in m]\n"
        "sys.exit(f'loaded: {wrong}' if wrong else 0)\n"
    )
    urls = {"MODELS_URL": root / "store", "PREDICTIONS_URL": root / "predictions", "SPOOL_DIR": root / "spool"}
    unreachable = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}"}
    environment = os.environ | unreachable | {f"LEADSCORING_{name}": str(value) for name, value in urls.items()}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, timeout=HANG_S, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()


@pytest.mark.system
def test_a_full_disk_takes_no_score_and_after_that_it_serves_again(root: Path) -> None:
    """A file system of two megabytes, really full."""
    spool = root / "spool"
    spool.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", spool], check=False).returncode:
        pytest.skip("a file system can only be mounted by root, and where the container allows it")
    try:
        server = Server(root, upload_seconds=3600)
        try:
            filler = spool / "filler"
            filler.write_bytes(bytes(shutil.disk_usage(spool).free - 100_000))
            statuses = [server.score(*[{"features": forge.LEAD}] * 100).status_code for _ in range(20)]
            assert statuses == sorted(statuses)
            assert set(statuses) == {200, 503}
            assert server.http.get("/readyz").status_code == 503
            filler.unlink()
            server.wait(lambda: server.http.get("/readyz").status_code == 200)
            assert server.score({"features": {}}).status_code == 200
        finally:
            assert server.stop() == 0
        assert len(server.records()) == 100 * statuses.count(200) + 1
    finally:
        subprocess.run(["umount", spool], check=True)


@pytest.mark.system
def test_a_clock_that_jumps_by_a_day_and_back_stops_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock; the monotonic one never jumps: https://man7.org/linux/man-pages/man2/clock_gettime.2.html"""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        pytest.skip("no libfaketime on this machine: scripts/install-system installs it")
    clock = root / "clock"
    clock.write_text("+0")
    # libfaketime's README: the file is read anew at every call without a cache.
    for name, value in {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }.items():
        monkeypatch.setenv(name, value)
    server = Server(root, upload_seconds=0.1, patience_seconds=2)
    for name in ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE"):
        monkeypatch.delenv(name)
    try:
        for number, jump in enumerate(("+0", "+1d", "-1d", "+0")):
            clock.write_text(jump)
            answer = server.score({"lead_id": f"L{number}", "features": forge.LEAD})
            assert answer.status_code == 200
            version = f"after-{number}"
            forge.release(server.models, seed=2 + number, version=version)
            server.wait(lambda version=version: server.version() == version)
        server.wait(lambda: len(server.records()) == 4)
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as silent:
            assert silent.recv(100).startswith(b"HTTP/1.1 408 ")  # it still knows how long a caller takes
    finally:
        assert server.stop() == 0
    records = {record.lead_id: record.time for record in server.records()}
    assert sorted(records) == ["L0", "L1", "L2", "L3"]
    assert (records["L1"] - records["L0"]).total_seconds() > 80_000
    assert (records["L2"] - records["L0"]).total_seconds() < -80_000


def test_a_slow_bucket_slows_no_request(root: Path, gcs_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bucket answers nothing until 20 requests were; the records arrive all the same."""
    upstream = int(os.environ["STORAGE_EMULATOR_HOST"].rpartition(":")[2])
    answers, asked = threading.Event(), threading.Event()
    with slow_relay(upstream, answers, asked) as port:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        server = Server(root, predictions_url=gcs_url, upload_seconds=0.05)
        load = Load(server, callers=2)
        try:
            with load.running():
                server.wait(asked.is_set)
                before = len(load.answered)
                server.wait(lambda: len(load.answered) > before + 20)
                assert server.metric("leadscoring_records_uploaded_total") == 0
                answers.set()
                server.wait(lambda: server.metric("leadscoring_records_uploaded_total") > 0)
            assert load.others == []
        finally:
            answers.set()
            assert server.stop() == 0
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{upstream}")
        predictions = open_storage(gcs_url)
        stored = [predictions.read(key) for key in predictions.keys("predictions/")]
    kept = [record.lead_id for each in stored if each for record in read_object(each.data)]
    assert sorted(kept) == sorted(load.answered)


@contextmanager
def slow_relay(upstream: int, answers: threading.Event, asked: threading.Event) -> Iterator[int]:
    """A port that passes everything on, answers not before `answers`; `asked` is set by the first bytes."""

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", upstream)) as there:
                back = threading.Thread(target=carry, args=[there, self.request, answers.wait])
                back.start()
                carry(self.request, there, asked.set)
                back.join()

    def carry(source: socket.socket, target: socket.socket, first: Callable[[], object]) -> None:
        with suppress(OSError):
            while part := source.recv(65536):
                first()
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as relay:
        thread = threading.Thread(target=relay.serve_forever, args=[0.05])
        thread.start()
        yield int(relay.server_address[1])
        relay.shutdown()
        thread.join()
