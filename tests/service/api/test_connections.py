import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from service.storage import open_storage
from tests.conftest import HANG_S
from tests.service import forge
from tests.service.api.server import Server

pytestmark = pytest.mark.slow

HEAD = b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CLOSED = 'leadscoring_connections_closed_total{reason="%s"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("service")
    forge.release(open_storage(str(root / "store")), version="v1")
    running = Server(root, patience_seconds=1, max_connections=40)
    yield running
    running.stop()


def caller(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S)


def said(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def is_answered(connection: socket.socket) -> bool:
    """Whether it answers a request that needs no model."""
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while not answer.endswith(b'{"status":"ok"}'):
        part = connection.recv(65536)
        if not part:
            return False
        answer += part
    return True


def title(answer: bytes) -> str:
    return str(json.loads(answer.rpartition(b"\r\n\r\n")[2])["title"])


@pytest.mark.parametrize(
    "reason", ["too_many", "rested", "head_too_long", "head_too_slow", "body_too_slow", "answer_not_read", "upgrade"]
)
def test_every_reason_to_close_is_counted_from_the_start(server: Server, reason: str) -> None:
    """A counter that appears with its first event shows PromQL no growth by it."""
    assert f"\n{CLOSED % reason} " in server.http.get("/metrics").text


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "head_too_slow"),
        (b"POST /v1/score HT", "head_too_slow"),
        (HEAD + b"Content-Length: 40\r\n\r\n", "body_too_slow"),
        (HEAD + b"Content-Length: 40\r\n\r\n{", "body_too_slow"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", "body_too_slow"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /", "head_too_slow"),
    ],
)
def test_a_caller_who_stops_in_the_midst_is_told_and_closed(server: Server, sent: bytes, reason: str) -> None:
    before = server.metric(CLOSED % reason)
    with caller(server) as slow:
        slow.sendall(sent)
        answer = said(slow)
    assert b"HTTP/1.1 408 Request Timeout" in answer
    assert title(answer) == "the request did not arrive within 1 s"
    assert server.metric(CLOSED % reason) == before + 1


def test_dripping_bytes_do_not_buy_time(server: Server) -> None:
    with caller(server) as slow:
        deadline = time.monotonic() + HANG_S
        slow.sendall(HEAD)
        slow.settimeout(0.1)
        answer = b""
        while not answer:
            assert time.monotonic() < deadline
            slow.sendall(b"X-Drip: 1\r\n")
            try:
                answer = slow.recv(65536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_who_never_reads_the_answers_is_cut_off(server: Server) -> None:
    reason, files = CLOSED % "answer_not_read", Path(f"/proc/{server.process.pid}/fd")
    before, opened = server.metric(reason), len(list(files.iterdir()))
    with caller(server) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(0.5)
        with suppress(OSError):
            for _ in range(10_000):
                deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
        server.wait(lambda: server.metric(reason) > before)
        # Closing alone would keep what was not read, and the connection with it.
        server.wait(lambda: len(list(files.iterdir())) <= opened)


def test_a_connection_that_rests_between_requests_stays(server: Server) -> None:
    with caller(server) as patient:
        for _ in range(2):
            assert is_answered(patient)
            time.sleep(1.6)


@pytest.mark.parametrize(
    "flood",
    [
        b"GET /" + b"x" * 2_000_000,
        b"GET / HTTP/1.1\r\n" + b"X-Many: yes\r\n" * 200_000,
        b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 2_000_000,
        b"GET / HTTP/1.1\r\n" + b"x" * 2_000_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + b"X-Trailer: yes\r\n" * 200_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 2_000_000,
    ],
    ids=["path", "headers", "header", "name", "trailers", "chunk extension"],
)
def test_a_head_without_end_is_refused(server: Server, flood: bytes) -> None:
    with caller(server) as loud:
        with suppress(OSError):  # it may be closed before all was sent
            loud.sendall(flood)
        answer = said(loud)
    assert b"HTTP/1.1 200" not in answer
    assert answer == b"" or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    assert server.http.get("/healthz").status_code == 200


def test_what_is_no_http_is_refused_as_a_problem(server: Server) -> None:
    with caller(server) as odd:
        odd.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        answer = said(odd)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer
    assert title(answer) == "the request is not valid HTTP/1.1"


HIDDEN = b"GET /v1/model HTTP/1.1\r\nHost: x\r\n\r\n"
"""A request in the place of a body. Its answer would begin with HTTP/1.1 200."""
UPGRADES = {
    "h2c": HEAD
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    "WebSocket": b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
    "unknown protocol": HEAD + b"Upgrade: x\r\nConnection: keep-alive, Upgrade\r\n",
    "HTTP/1.0": b"POST /v1/score HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
    "CONNECT": b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: x\r\n",
}
BODIES = {
    "no body": b"\r\n" + HIDDEN,
    "length": b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN),
}


def statuses(answer: bytes) -> list[int]:
    return list(map(int, re.findall(rb"HTTP/1\.1 (\d+) ", answer)))


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("upgrade", UPGRADES)
def test_an_upgrade_is_refused_and_what_follows_it_is_never_answered(
    server: Server, upgrade: str, body: str, pieces: int
) -> None:
    before = server.metric(CLOSED % "upgrade")
    head, _, rest = (UPGRADES[upgrade] + BODIES[body]).partition(b"\r\n\r\n")
    with caller(server) as sly:
        if pieces == 1:
            sly.sendall(head + b"\r\n\r\n" + rest)
            answer = said(sly)
        else:
            sly.sendall(head + b"\r\n\r\n")
            answer = sly.recv(65536)
            with suppress(OSError):  # it may be closed already
                sly.sendall(rest)
                sly.sendall(HIDDEN)
            answer += said(sly)
    assert statuses(answer) == [400]
    assert "Upgrade" in title(answer)
    assert server.metric(CLOSED % "upgrade") == before + 1


GOOD = HEAD + b'Content-Length: 27\r\n\r\n{"leads":[{"features":{}}]}'
WRONG = {
    **{name: head + b"\r\n" for name, head in UPGRADES.items()},
    "unknown method": b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    "malformed chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_requests_ahead_of_a_refused_one_are_answered_first(server: Server, wrong: str) -> None:
    with caller(server) as hasty:
        hasty.sendall(GOOD + GOOD + WRONG[wrong] + HIDDEN)
        answer = said(hasty)
    assert statuses(answer) == [200, 200, 400]


def test_a_request_whose_answer_was_sent_early_gets_no_second_one(server: Server) -> None:
    """Health checks are answered without their body. A body that turns out malformed only closes the connection."""
    with caller(server) as odd:
        odd.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        answer = odd.recv(65536)
        odd.sendall(b"zz\r\n")
        answer += said(odd)
    assert statuses(answer) == [200]


def test_an_upgrade_header_that_the_connection_header_does_not_name_is_ignored(server: Server) -> None:
    """A proxy removes Connection and may forward Upgrade: https://www.rfc-editor.org/rfc/rfc9110#section-7.8"""
    with caller(server) as proxied:
        for _ in range(2):
            proxied.sendall(GOOD.replace(b"Host: x", b"Host: x\r\nUpgrade: h2c"))
            assert statuses(proxied.recv(65536)) == [200]


def test_silent_connections_keep_nobody_out_for_long(server: Server) -> None:
    server.wait(lambda: _answers(server))
    with ExitStack() as stack:
        silent = [stack.enter_context(caller(server)) for _ in range(80)]
        told = [title(said(each)) for each in silent]
    assert set(told) == {"too many connections; try again", "the request did not arrive within 1 s"}
    assert server.metric(CLOSED % "too_many") >= told.count("too many connections; try again")
    server.wait(lambda: _answers(server))
    assert server.score({"features": forge.LEAD}).status_code == 200


def test_connections_that_rest_make_room_for_new_ones(server: Server) -> None:
    before = server.metric(CLOSED % "rested")
    server.wait(lambda: _answers(server))
    with ExitStack() as stack:
        resting = []
        for _ in range(35):
            each = stack.enter_context(caller(server))
            assert is_answered(each)
            resting.append(each)
            time.sleep(0.01)  # the loop's clock counts milliseconds
        server.wait(lambda: server.metric(CLOSED % "rested") >= before + 5)
        gone = [_is_gone(each) for each in resting]
        assert gone == sorted(gone, reverse=True)  # those that rested longest
        assert gone[0]
        assert is_answered(resting[-1])


def _is_gone(connection: socket.socket) -> bool:
    """Whether the other side closed it; it says nothing otherwise."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    finally:
        connection.settimeout(30)


def _answers(server: Server) -> bool:
    with caller(server) as fresh, suppress(ConnectionResetError):
        return is_answered(fresh)
    return False


def test_an_answer_leaves_in_one_piece_and_continue_is_said_before_the_body(server: Server) -> None:
    """A body that waits for the go-ahead would wait for ever if that waited for the answer's body."""
    body = b'{"leads":[]}'
    with caller(server) as connection:
        for _ in range(2):  # on one connection, one after the other
            connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
            assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(body)
            head, _, answer = connection.recv(65536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 422 ")
            assert f"content-length: {len(answer)}".encode() in head


def test_an_answer_costs_one_call_of_the_system(server: Server) -> None:
    """A head that was sent alone would be a second one, beside the record's."""

    def writes() -> int:
        return int(Path(f"/proc/{server.process.pid}/io").read_text().split("syscw: ")[1].split()[0])

    body = b'{"leads":[{"features":{}}]}'
    with caller(server) as connection:
        before = writes()
        for _ in range(100):
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert 200 <= writes() - before < 250
