"""What one connection may take: its number, the size of a request's head, and the time to send and to read.

uvicorn bounds neither, and its own limit of connections answers health checks with 503 too. A well-behaved caller
meets no limit: the load balancer holds few connections, and keeps them.
"""

import asyncio
import logging
import resource
import time
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.api import metrics, request_metrics
from service.api.admission import TITLE, Admission
from service.api.logs import caught
from service.api.problem import CONTENT_TYPE, Problem
from service.api.score import SCORE_PATH

logger = logging.getLogger(__name__)

RESERVED_FILES = 64
"""Files that the service itself needs: spool, models, uploads, threads' pipes."""
MAX_HEAD = 64_000
"""Bytes of a request's head, or of anything else in it that is no body; one read more may come in (256 kB)."""
MAX_SHED = 4_000_000
"""Bytes that are read of a body that nobody has time for, so that its caller keeps the connection."""
NO_UPGRADE = "this service speaks HTTP/1.1 only; send the request without Connection: Upgrade, and not as CONNECT"
"""400, as it is the client's fault: 426 would promise another protocol, 501 would count as a failure of the service.
https://www.rfc-editor.org/rfc/rfc9110#section-15.5.1"""
SWEEP_S = 1.0
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""As uvicorn writes it: no answer yet, and awaited."""


def _wire(problem: Problem) -> bytes:
    """What follows status and date in the answer that `problem.response` gives, past the framework."""
    body = problem.body()
    headers = {**problem.headers(), "content-length": str(len(body)), "content-type": CONTENT_TYPE}
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n" + body


_SCORE = SCORE_PATH.encode()
_SHED = metrics.SHED.labels("time")
_BUSY, _BUSY_LAST = (_wire(Problem(503, TITLE, retry_s=1, close=closes)) for closes in (False, True))


def most_connections(wanted: int) -> int:
    """How many connections there may be at once, where so many are wanted."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(wanted, files - RESERVED_FILES))


class _CoalescingWriter:
    """What writes one answer: its head waits for its body, and goes out with it. Two system calls, which wake its
    caller twice, would be a tenth of what a request costs."""

    __slots__ = ("_began", "_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._head, self._began = transport, b"", False

    def write(self, data: bytes) -> None:
        if self._began or data == CONTINUE:
            self._transport.write(data)
        elif self._head:
            self._transport.write(self._head + data)
            self._began = True
        else:
            self._head = data

    def close(self) -> None:
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class Connection(HttpToolsProtocol):
    """uvicorn's connection, which refuses what it would take without end.

    Where the queue is full it refuses what would have to wait, before the framework or anybody else has spent time on
    it: the less a refusal takes, the more is left for those who are let in.
    """

    most = 1
    """Of these at once; set before serving."""
    admission = Admission()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._unframed, self._head_begun = 0, False
        self._shed: _RejectedRequest | None = None
        self._refusal: Problem | None = None
        self.requests = 0
        self.waits: _Stall | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Where there are too many already, this one goes."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            metrics.CONNECTIONS_CLOSED.labels("too_many").inc()
            self.refuse(Problem(503, "too many connections; try again", retry_s=5))

    def data_received(self, data: bytes) -> None:
        """Parse the data; refuse a head, trailer or chunk header that is too long. After a refusal, drop all data."""
        if self._refusal:
            return
        self._unframed += len(data)
        super().data_received(data)
        if self._unframed > MAX_HEAD and not self.transport.is_closing():
            metrics.CONNECTIONS_CLOSED.labels("head_too_long").inc()
            self.refuse(Problem(431, f"the request's head is longer than {MAX_HEAD} bytes"))

    def on_message_begin(self) -> None:
        """A head begins."""
        self._head_begun = True
        self.requests += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole. A request to change the protocol is refused here, and the parser stopped.

        With `Connection: Upgrade`, or the method CONNECT, the parser takes no body: it would parse the body as the next
        request. Behind a proxy that would be request smuggling: https://datatracker.ietf.org/doc/html/rfc9931.
        """
        if self.parser.should_upgrade():
            metrics.CONNECTIONS_CLOSED.labels("upgrade").inc()
            self.refuse(Problem(400, NO_UPGRADE))
            raise ValueError(NO_UPGRADE)
        self._unframed, self._head_begun = 0, False
        if self.admission.full and self._would_wait():
            self._shed = _RejectedRequest(time.perf_counter(), not self.parser.should_keep_alive())
            return
        super().on_headers_complete()
        if self.scope["method"] == "POST":  # whose answer has a body
            self.cycle.transport = _CoalescingWriter(self.transport)  # type: ignore[assignment]

    def _would_wait(self) -> bool:
        """Whether this is a request that scoring's queue is for, and no other is being answered before it."""
        before: RequestResponseCycle | None = self.cycle
        return (
            self.url == _SCORE
            and self.parser.get_method() == b"POST"
            and not self.expect_100_continue  # who would wait for leave to send the body
            and (before is None or before.response_complete)
        )

    def on_body(self, body: bytes) -> None:
        """A part of the body came."""
        self._unframed = 0
        if self._shed is None:
            super().on_body(body)
        elif (size := self._shed.size + len(body)) > MAX_SHED:
            self._shed.closes = True
            self._answer_shed(self._shed)
        else:
            self._shed.size = size

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._unframed = 0
        if self._shed is None:
            super().on_message_complete()
            if self.url == _SCORE:
                self.admission.reserve(self.cycle.body)
        else:
            self._answer_shed(self._shed)

    def _answer_shed(self, shed: "_RejectedRequest") -> None:
        if self.transport.is_closing():
            return
        _SHED.inc()
        self._write(503, _BUSY_LAST if shed.closes else _BUSY)
        request_metrics.record(SCORE_PATH, "POST", 503, shed.began)
        if shed.closes:
            self.transport.close()
        else:
            self._shed = None
            self.on_response_complete()

    def shutdown(self) -> None:
        """Who is being refused is told so first."""
        if self._shed is None:
            super().shutdown()
        else:
            self._shed.closes = True

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours names no parser's error
        """Refuse malformed HTTP with a problem document."""
        self.refuse(Problem(400, "the request is not valid HTTP/1.1"))

    def refuse(self, problem: Problem) -> None:
        """Refuse the request being received after the answers to all earlier ones, and close. Only the first counts."""
        if self._refusal:
            return
        problem.close = True
        self._refusal = problem
        cycle: RequestResponseCycle | None = self.cycle
        if self.pipeline:
            if self._in_body:
                self.pipeline.popleft()  # the refused request itself
        elif cycle is None or cycle.response_complete or self._in_body:
            self._send_refusal(problem)

    def on_response_complete(self) -> None:
        """Start the next pipelined request, or send the refusal that follows the last one."""
        last = not self.pipeline
        super().on_response_complete()
        if last and self._refusal and not self.transport.is_closing():
            self._send_refusal(self._refusal)

    def _send_refusal(self, problem: Problem) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if not (self._in_body and cycle and cycle.response_started):  # else it has an answer already, or a part of one
            self._write(problem.status, _wire(problem))
        self.transport.close()

    @property
    def _in_body(self) -> bool:
        """Whether the newest cycle is of the request being received: its head is whole, its body is not."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and cycle.more_body and not self._head_begun and not self._shed

    def _write(self, status: int, rest: bytes) -> None:
        dated = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        self.transport.write(b"".join([STATUS_LINE[status], *dated, rest]))

    def waiting_for(self) -> str | None:
        """What its caller owes us: a head, a body, the reading of an answer; None where nothing is owed."""
        if self.transport.get_write_buffer_size():
            return "answer_not_read"
        if self._refusal:
            return None
        if self._shed:
            return "body_too_slow"
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            return None if self.timeout_keep_alive_task and not self._head_begun else "head_too_slow"
        return "body_too_slow" if cycle.more_body and not self.pipeline else None


@dataclass
class _RejectedRequest:
    """A request that is refused once all of its body is here."""

    began: float
    closes: bool
    size: int = 0


@dataclass
class _Stall:
    """Since when a connection waits for one and the same thing of one and the same request."""

    what: str
    requests: int
    since: float


async def sweep(connections: set[Connection], client_timeout_s: float) -> None:
    """Close connections whose callers are too slow, and make room for new ones, until cancelled.

    Once a second from outside, so that it costs a request nothing.
    """
    while True:
        await asyncio.sleep(min(SWEEP_S, client_timeout_s / 4))
        now = time.monotonic()
        for connection in list(connections):
            with caught(logger, "a connection could not be checked"):
                _close_if_stalled(connection, now, client_timeout_s)
        with caught(logger, "no room could be made for new connections"):
            _make_room(connections)


def _make_room(connections: set[Connection]) -> None:
    crowd = len(connections) - Connection.most * 3 // 4
    if crowd > 0:
        resting = [connection for connection in connections if connection.timeout_keep_alive_task]
        for connection in sorted(resting, key=_rests_until)[:crowd]:
            metrics.CONNECTIONS_CLOSED.labels("rested").inc()
            connection.transport.close()


def _close_if_stalled(connection: Connection, now: float, client_timeout_s: float) -> None:
    what, waits = connection.waiting_for(), connection.waits
    if what is None:
        connection.waits = None
    elif waits is None or waits.what != what or waits.requests != connection.requests:
        connection.waits = _Stall(what, connection.requests, now)
    elif now - waits.since > client_timeout_s:
        metrics.CONNECTIONS_CLOSED.labels(what).inc()
        if what == "answer_not_read":
            connection.transport.abort()  # closing would wait until all of it is read
        else:
            connection.refuse(Problem(408, f"the request did not arrive within {client_timeout_s:g} s"))


def _rests_until(connection: Connection) -> float:
    timer = connection.timeout_keep_alive_task
    return timer.when() if timer else 0.0
