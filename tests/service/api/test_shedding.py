"""A connection whose queue is full, byte by byte; `test_admission.py` and `scripts/bench overload` run it for real."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from service.api import connections, metrics, problem
from service.api.admission import TITLE, Admission
from service.api.connections import Connection
from service.api.problem import Problem
from service.api.request_metrics import RequestMetrics

HEAD = b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
REQUEST = HEAD + b"Content-Length: 2\r\n\r\n{}"


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Nothing more comes by itself."""

    def resume_reading(self) -> None:
        """Nothing more comes by itself."""


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Admission:
    admission = Admission(queue_s=0.001)
    monkeypatch.setattr(Connection, "admission", admission)
    monkeypatch.setattr(Connection, "most", 10)
    while not admission.full:
        admission.queue(b"x" * 1_000)
    return admission


async def app(scope: Scope, _: Receive, send: Send) -> None:
    """Refuses as the service does once it has looked at a request; paths that begin with /ok are answered."""
    if scope["path"].startswith("/ok"):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
    else:
        await problem.response(Problem(503, TITLE, retry_s=1))(scope, _, send)


async def settled() -> None:
    """Let the event loop run until all that is ready has been done: nothing here waits for anything else."""
    for _ in range(100):
        await asyncio.sleep(0)


def talk(conversation: Callable[[Connection, Wire], Awaitable[None]]) -> tuple[list[str], bytes, bool]:
    """Which requests the app saw, what was written, and whether the connection was closed."""
    seen: list[str] = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["path"])
        await app(scope, receive, send)

    async def run() -> Wire:
        config = uvicorn.Config(RequestMetrics(watched), http=Connection, ws="none", lifespan="off", log_config=None)
        config.load()
        state, wire = ServerState(), Wire()
        state.default_headers = [(b"date", b"today")]
        connection = Connection(config=config, server_state=state, app_state={})
        connection.connection_made(wire)
        await conversation(connection, wire)
        await settled()
        return wire

    wire = asyncio.run(run())
    return seen, wire.written, wire.closed


def sent(*parts: bytes) -> tuple[list[str], bytes, bool]:
    async def conversation(connection: Connection, _: Wire) -> None:
        for part in parts:
            connection.data_received(part)
            await asyncio.sleep(0)

    return talk(conversation)


@pytest.mark.usefixtures("full")
def test_it_is_refused_as_the_app_would_and_the_app_sees_nothing_of_it() -> None:
    seen, answer, closed = sent(REQUEST)
    assert (seen, closed) == ([], False)
    by_app = sent(REQUEST.replace(b"/v1/score", b"/v1/other"))[1]
    assert sorted(answer.split(b"\r\n")) == sorted(by_app.split(b"\r\n"))
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2]) == {"title": TITLE, "status": 503}


def test_once_there_is_room_again_the_same_connection_is_let_in(full: Admission) -> None:
    async def conversation(connection: Connection, _: Wire) -> None:
        connection.data_received(REQUEST)
        full.scored(1_000, 1_000_000, 0.0)
        connection.data_received(REQUEST)

    seen, answers, closed = talk(conversation)
    assert (seen, closed, answers.count(b"HTTP/1.1 503 ")) == (["/v1/score"], False, 2)


@pytest.mark.usefixtures("full")
def test_it_is_counted_as_shed_and_as_answered() -> None:
    def counted() -> tuple[float, float]:
        answered = metrics.REQUESTS.labels("/v1/score", "POST", 503)
        return metrics.SHED.labels("time")._value.get(), answered._value.get()

    shed, answered = counted()
    sent(REQUEST, REQUEST)
    assert counted() == (shed + 2, answered + 2)


@pytest.mark.usefixtures("full")
def test_its_body_is_read_to_the_end_first() -> None:
    async def conversation(connection: Connection, wire: Wire) -> None:
        connection.data_received(HEAD + b"Content-Length: 4\r\n\r\n{")
        assert connection.waiting_for() == "body_too_slow"
        connection.data_received(b"  ")
        assert wire.written == b""
        connection.data_received(b"}GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.waiting_for() != "body_too_slow"

    seen, answers, closed = talk(conversation)
    assert (seen, closed) == (["/ok"], False)
    assert answers.startswith(b"HTTP/1.1 503 ")
    assert b"HTTP/1.1 200 " in answers


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n", "/ok"),
        (REQUEST.replace(b"score", b"score?explain=true"), "/v1/score"),  # has a queue of its own
        (HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", "/v1/score"),  # waits for leave to send
    ],
)
def test_what_need_not_wait_or_must_be_answered_at_once_goes_to_the_app(request_: bytes, path: str) -> None:
    assert sent(request_)[0] == [path]


@pytest.mark.usefixtures("full")
def test_behind_an_answer_that_is_under_way_it_keeps_its_place() -> None:
    seen, answers, _ = sent(b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n" + REQUEST, b"")
    assert seen == ["/ok", "/v1/score"]
    assert answers.index(b"HTTP/1.1 200 ") < answers.index(b"HTTP/1.1 503 ")


@pytest.mark.usefixtures("full")
def test_who_wants_the_connection_closed_gets_that_too() -> None:
    seen, answer, closed = sent(HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
    assert (seen, closed) == ([], True)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.usefixtures("full")
def test_a_body_without_end_is_not_read_for_ever() -> None:
    part = b"x" * 100_000
    parts = [HEAD + b"Content-Length: 1000000000\r\n\r\n", *[part] * (connections.MAX_SHED // len(part) + 1)]
    assert not sent(*parts[:-1])[2]
    seen, answer, closed = sent(*parts, part)
    assert (seen, closed, answer.count(b"HTTP/1.1 503 ")) == ([], True, 1)
    assert answer.count(b"HTTP/1.1 ") == 1  # and nothing after that
    assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.usefixtures("full")
def test_who_is_being_refused_as_the_service_stops_is_told_so_first() -> None:
    async def conversation(connection: Connection, wire: Wire) -> None:
        connection.data_received(HEAD + b"Content-Length: 2\r\n\r\n{")
        connection.shutdown()
        assert not wire.closed
        connection.data_received(b"}")

    _, answer, closed = talk(conversation)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert closed


@pytest.mark.usefixtures("full")
def test_who_was_refused_owes_nothing_and_may_rest() -> None:
    async def conversation(connection: Connection, _: Wire) -> None:
        connection.data_received(REQUEST)
        assert connection.waiting_for() is None

    assert not talk(conversation)[2]


@pytest.mark.usefixtures("full")
def test_many_refusals_in_a_row_are_not_one_slow_request() -> None:
    async def conversation(connection: Connection, _: Wire) -> None:
        for second in range(30):
            connection.data_received(HEAD + b"Content-Length: 2\r\n\r\n{")
            connections._close_if_stalled(connection, float(second), 5.0)
            connection.data_received(b"}")

    _, answers, closed = talk(conversation)
    assert not closed
    assert answers.count(b"HTTP/1.1 503 ") == 30


def test_what_is_read_at_once_fills_the_queue_for_what_is_read_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the app has seen any of it."""
    admission = Admission(queue_s=0.001)
    monkeypatch.setattr(Connection, "admission", admission)
    monkeypatch.setattr(Connection, "most", 1_000)
    admission.queue(b"x")
    seen: list[int] = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(1)
        await app(scope, receive, send)

    async def run() -> list[Wire]:
        config = uvicorn.Config(watched, http=Connection, ws="none", lifespan="off", log_config=None)
        config.load()
        wires = []
        for _ in range(200):
            wires.append(Wire())
            connection = Connection(config=config, server_state=ServerState(), app_state={})
            connection.connection_made(wires[-1])
            connection.data_received(REQUEST)
        await settled()
        return wires

    wires = asyncio.run(run())
    assert 1 < len(seen) < 100
    assert all(wire.written.startswith(b"HTTP/1.1 503 ") for wire in wires)
    assert not admission.full  # reservations end once the requests are queued
