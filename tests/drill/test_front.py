import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from tests.conftest import HANG_S, free_port
from tests.drill import front as front_module
from tests.drill.front import FaultyProxy


class Service(HTTPServer):
    """Knows whether the headers and whether the body of a request came."""

    def __init__(self) -> None:
        self.headers_came, self.body_came = threading.Event(), threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                me.headers_came.set()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                me.body_came.set()
                self.send_response(503 if body == b"full" else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None: ...

        me = self
        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def post(front: FaultyProxy, body: bytes) -> tuple[int, bytes]:
    caller = http.client.HTTPConnection("127.0.0.1", front.port, timeout=HANG_S)
    caller.request("POST", "/v1/score", body)
    answer = caller.getresponse()
    said = answer.status, answer.read()
    caller.close()
    return said


def test_requests_and_answers_pass_through(service: Service) -> None:
    front = FaultyProxy(lambda: [service.server_port])
    try:
        assert post(front, b"lead") == (200, b"lead")
        assert post(front, b"full") == (503, b"full")
    finally:
        front.close()


def test_a_request_that_is_held_back_begins_at_once_and_ends_late(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[tuple[float, bool, bool]] = []

    def hold(seconds: float) -> None:
        came = service.headers_came.wait(HANG_S)
        held.append((seconds, came, service.body_came.wait(0.1)))

    monkeypatch.setattr(front_module, "time", SimpleNamespace(sleep=hold))
    front = FaultyProxy(lambda: [service.server_port])
    front.hold_s = 30
    try:
        assert post(front, b"lead") == (200, b"lead")
    finally:
        front.close()
    assert held == [(30, True, False)]  # while it was held, its headers had come and its body had not


def test_a_pod_that_takes_no_connection_is_passed_over(service: Service) -> None:
    front = FaultyProxy(lambda: [free_port(), service.server_port])
    try:
        assert [post(front, b"lead") for _ in range(3)] == [(200, b"lead")] * 3
    finally:
        front.close()


def test_without_a_service_callers_get_502() -> None:
    front = FaultyProxy(lambda: [free_port(), free_port()])
    try:
        assert post(front, b"lead")[0] == 502
    finally:
        front.close()
