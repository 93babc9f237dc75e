import http.server
import os
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.benchmarks.serving.arrivals import SHED, Seen, Sender, post
from tests.conftest import HANG_S

CORE = min(os.sched_getaffinity(0))
TOGETHER = threading.Barrier(50, timeout=HANG_S)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers what its path says, after the seconds that it says: /200/0.1; nothing to /0/0; to /200/together when 50
    are here."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, seconds = self.path.strip("/").split("/")
        if seconds == "together":
            TOGETHER.wait()
        else:
            time.sleep(float(seconds))
        if status == "0":
            self.close_connection = True
        else:
            self.answer(int(status))

    def answer(self, status: int) -> None:
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "10000")
        self.end_headers()
        self.wfile.write(b"." * 10_000)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.serving.arrivals.PATIENCE_S", HANG_S)
    monkeypatch.setattr("tests.benchmarks.serving.arrivals.READY_S", HANG_S)


def test_requests_are_sent_on_schedule_however_slow_the_answers_are(port: int) -> None:
    seen = Sender(port, [post("/200/together", b"{}", {})]).run(50, 1, CORE)
    assert seen.due == seen.count("200") == 50
    assert seen.connections == 50  # none was answered before the last was sent
    assert set(seen.ready) == {"200"}


def test_latency_counts_from_when_a_request_was_due_and_late_answers_are_not_in_time() -> None:
    sender = Sender(0, [])
    sender._seen, sender._until = Seen(1.0), 1.0
    for now, outcome in [(0.5, "200"), (0.5, SHED), (1.0, "200"), (1.25, "200")]:
        sender._loop = SimpleNamespace(time=lambda now=now: now)  # type: ignore[assignment]
        sender.answered(outcome, due=0.25)
    assert sender._seen.took == {"200": [0.25, 0.75, 1.0], SHED: [0.25]}
    assert sender._seen.percentile("200", 50) == 0.75
    assert sender._seen.in_time == 2


def test_a_server_that_answers_one_at_a_time_is_seen_to_keep_callers_waiting(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.benchmarks.serving.arrivals.MOST_CONNECTIONS", 1)
    seen = Sender(port, [post("/200/0.1", b"{}", {})]).run(20, 1, CORE)
    assert seen.connections == 1
    assert seen.percentile("200", 100) > 0.8  # the last was due after 0.95 s and answered after 2 s or later


def test_each_outcome_is_counted(port: int) -> None:
    requests = [post(f"/{status}/0", b"x" * 100_000, {}) for status in (200, 503, 500, 0)]
    seen = Sender(port, requests).run(40, 0.5, CORE)
    counts = {outcome: seen.count(outcome) for outcome in seen.took}
    assert counts == {"200": 5, SHED: 5, "500": 5, "closed without an answer": 5}


def test_who_gets_no_answer_is_not_forgotten(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.serving.arrivals.PATIENCE_S", 0.1)
    seen = Sender(port, [post("/200/600", b"{}", {})]).run(10, 0.3, CORE)
    assert seen.count("unanswered") == 3
