"""A corpus of what should not be sent, against the real service: every refusal names what is wrong and nothing else."""

import gzip
import json
import re
import socket
from collections.abc import Iterator

import pytest

from service.storage import open_storage
from tests.service import forge
from tests.service.api.server import JSON, Server

pytestmark = pytest.mark.slow

SECRET = "s3cr3t-of-the-caller"
INTERNALS = re.compile(rb'Traceback|File "|\.py|0x[0-9a-f]{6}|site-packages|/tmp/|spool|Error\(')
DEEP = 1_900_000
ONE = b'{"leads": [{"features": {%s}}]}'
GOOD = json.dumps({"leads": [{"features": forge.LEAD}]}).encode()

# name: body, status, what the answer says
BODIES: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "not JSON"),
    "a blank": (b" ", 400, "not JSON"),
    **{f"cut after {n} bytes": (GOOD[:n], 400, "not JSON") for n in range(1, len(GOOD), 7)},
    "one byte too many": (GOOD + b"x", 400, "not JSON"),
    "two documents": (GOOD + GOOD, 400, "not JSON"),
    "a comment": (b"/* */" + GOOD, 400, "not JSON"),
    "a trailing comma": (b'{"leads": [{"features": {"visits": 1,}}]}', 400, "not JSON"),
    "single quotes": (b"{'leads': []}", 400, "not JSON"),
    "a form": (b"leads=1&features=2", 400, "not JSON"),
    "XML": (b"<leads><lead/></leads>", 400, "not JSON"),
    "MessagePack": (b"\x81\xa5leads\x91\x81\xa8features\x80", 400, "not JSON"),
    "null": (b"null", 422, "valid dictionary"),
    "a number": (b"1", 422, "valid dictionary"),
    "a text": (b'"leads"', 422, "valid dictionary"),
    "a list": (b"[]", 422, "valid dictionary"),
    "an empty object": (b"{}", 422, "leads"),
    "leads null": (b'{"leads": null}', 422, "leads"),
    "leads an object": (b'{"leads": {}}', 422, "leads"),
    "a lead null": (b'{"leads": [null]}', 422, "leads[0]"),
    "a lead a list": (b'{"leads": [[]]}', 422, "leads[0]"),
    "the 37th lead": (b'{"leads": [%s 1]}' % (b'{"features": {}},' * 36), 422, "leads[36]"),
    "no features": (b'{"leads": [{}]}', 422, "leads[0].features"),
    "features null": (b'{"leads": [{"features": null}]}', 422, "leads[0].features"),
    "features a list": (b'{"leads": [{"features": [1]}]}', 422, "leads[0].features"),
    "another field": (b'{"leads": [{"features": {}}], "x": 1}', 422, "x"),
    "the prototype": (b'{"leads": [{"features": {"__proto__": {"a": 1}}}]}', 422, "__proto__"),
    "a class": (b'{"leads": [{"features": {"__class__": 1}}]}', 422, "__class__"),
    "a number as text": (ONE % b'"visits": "7"', 422, "leads[0].features.visits"),
    "a number as boolean": (ONE % b'"visits": true', 422, "leads[0].features.visits"),
    "a number as a list": (ONE % b'"visits": [7]', 422, "leads[0].features.visits"),
    "a text as a number": (ONE % b'"region": 7', 422, "leads[0].features.region"),
    "a boolean as a number": (ONE % b'"opted_in": 1', 422, "leads[0].features.opted_in"),
    "NaN": (ONE % b'"visits": NaN', 400, "not JSON"),
    "Infinity": (ONE % b'"visits": Infinity', 400, "not JSON"),
    "minus Infinity": (ONE % b'"visits": -Infinity', 400, "not JSON"),
    "nan": (ONE % b'"visits": nan', 400, "not JSON"),
    "an infinite exponent": (ONE % b'"visits": 1e999', 422, "leads[0].features.visits"),
    "a large number": (ONE % b'"visits": 1e101', 422, "leads[0].features.visits"),
    "a huge integer": (ONE % (b'"visits": ' + b"9" * 400), 422, "leads[0].features.visits"),
    "four million digits": (ONE % (b'"visits": ' + b"9" * 3_900_000), 422, "leads[0].features.visits"),
    "an endless exponent": (ONE % (b'"visits": 1e' + b"9" * 3_900_000), 422, "leads[0].features.visits"),
    "hexadecimal": (ONE % b'"visits": 0x10', 400, "not JSON"),
    "a leading zero": (ONE % b'"visits": 007', 400, "not JSON"),
    "a plus": (ONE % b'"visits": +7', 400, "not JSON"),
    "duplicate fields, the last one wrong": (ONE % b'"visits": 1, "visits": "x"', 422, "leads[0].features.visits"),
    "duplicate leads": (b'{"leads": [{"features": {}}], "leads": []}', 422, "leads"),
    "an id that is a number": (b'{"leads": [{"lead_id": 7, "features": {}}]}', 422, "leads[0].lead_id"),
    "an empty id": (b'{"leads": [{"lead_id": "", "features": {}}]}', 422, "leads[0].lead_id"),
    "a long id": (b'{"leads": [{"lead_id": "%s", "features": {}}]}' % (b"x" * 201), 422, "leads[0].lead_id"),
    "a long text": (ONE % (b'"region": "%s"' % (b"x" * 3_900_000)), 422, "leads[0].features.region"),
    "a long name": (ONE % (b'"%s": 1' % (b"x" * 3_900_000)), 422, "leads[0].features['xxx"),
    "10,000 columns": (ONE % b", ".join(b'"c%d": 1' % i for i in range(10_000)), 422, "10000 fields refused"),
    "300,000 columns": (ONE % b",".join(b'"c%d":1' % i for i in range(300_000)), 422, "300000 fields refused"),
    "all leads with columns too many": (
        b'{"leads":[%s]}' % b",".join([ONE[11:-2] % b",".join(b'"c%d":1' % i for i in range(350))] * 1_000),
        422,
        "more than 100 fields refused",
    ),
    "two million leads": (b'{"leads":[%s]}' % b",".join([b"1"] * 1_900_000), 422, "leads"),
    "deep lists": (b"[" * DEEP + b"]" * DEEP, 422, "object"),
    "deep lists, cut": (b"[" * 2 * DEEP, 422, "object"),
    "deep objects": (b'{"leads":' * 400_000, 422, "leads"),
    "a deep feature": (ONE % (b'"visits": ' + b"[" * DEEP + b"]" * DEEP), 422, "leads[0].features.visits"),
    "a deep unknown field": (ONE % (b'"x": ' + b"[" * DEEP + b"]" * DEEP), 422, "unknown field `x`"),
    "invalid UTF-8 in a text": (ONE % b'"region": "\xff\xfe"', 400, "not JSON"),
    "invalid UTF-8 in a name": (ONE % b'"\xff\xfe": 1', 400, "not JSON"),
    "overlong UTF-8": (ONE % b'"region": "\xc0\xaf"', 400, "not JSON"),
    "a surrogate in UTF-8": (ONE % b'"region": "\xed\xa0\x80"', 400, "not JSON"),
    "half a surrogate pair": (ONE % rb'"region": "\ud800"', 400, "not JSON"),
    "Latin-1": (ONE % '"region": "Zürich"'.encode("latin-1"), 400, "not JSON"),
    "UTF-16": (GOOD.decode().encode("utf-16"), 400, "not JSON"),
    "UTF-32": (GOOD.decode().encode("utf-32"), 400, "not JSON"),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, 400, "not JSON"),
    "a raw control character": (ONE % b'"region": "\x00"', 400, "not JSON"),
    "an unknown escape": (ONE % rb'"region": "\x41"', 400, "not JSON"),
    "gzip not declared": (gzip.compress(GOOD), 400, "not JSON"),
    "four megabytes of zeros": (b"\x00" * 4_000_000, 400, "not JSON"),
    "a secret in a text": (ONE % f'"visits": "{SECRET}"'.encode(), 422, "leads[0].features.visits"),
    "a secret, then no JSON": (ONE % f'"region": "{SECRET}'.encode(), 400, "not JSON"),
}
BOMB = gzip.compress(b" " * 50_000_000)
# name: headers, status, what the answer says
HEADERS: dict[str, tuple[dict[str, str], int, str]] = {
    "no content type": ({"Content-Type": ""}, 415, "application/json"),
    "text": ({"Content-Type": "text/plain"}, 415, "application/json"),
    "a form": ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "application/json"),
    "parts": ({"Content-Type": "multipart/form-data; boundary=x"}, 415, "application/json"),
    "JSON lines": ({"Content-Type": "application/jsonl"}, 415, "application/json"),
    "a content type without end": ({"Content-Type": "application/json" + "x" * 10_000}, 415, "application/json"),
    "gzip": ({**JSON, "Content-Encoding": "gzip"}, 415, "not compressed"),
    "brotli": ({**JSON, "Content-Encoding": "br"}, 415, "not compressed"),
    "gzip twice": ({**JSON, "Content-Encoding": "gzip, gzip"}, 415, "not compressed"),
}
# name: what is sent on a connection, statuses that it may get in this order
RAW: dict[str, tuple[bytes, list[int]]] = {
    "no length": (b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\r\n", [400]),
    "a negative length": (b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", [400]),
    "a length that is none": (b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", [400]),
    "two lengths": (b"POST /v1/score HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", [400]),
    "a length and chunks": (
        b"POST /v1/score HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        [400],
    ),
    "a chunk that is none": (b"POST /v1/score HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", [400, 415]),
    "a huge length": (
        b"POST /v1/score HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        [400, 413],
    ),
    "a folded header": (b"GET /healthz HTTP/1.1\r\nX-A: 1\r\n folded\r\n\r\n", [400]),
    "a header without a colon": (b"GET /healthz HTTP/1.1\r\nnonsense\r\n\r\n", [400]),
    "a NUL in a header": (b"GET /healthz HTTP/1.1\r\nX-A: \x00\r\n\r\n", [400]),
    "an unknown method": (b"BREW /v1/score HTTP/1.1\r\nHost: x\r\n\r\n", [400]),
    "HTTP/9": (b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n", [400]),
    "HTTP/2 by prior knowledge": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), [400]),
    "bytes in the path": (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", [400, 404]),
    "a path upwards": (b"GET /page/../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "an escaped path upwards": (b"GET /page/%2e%2e/%2e%2e/routes.py HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "a NUL in the path": (b"GET /page/%00 HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "a whole address": (b"GET http://elsewhere/healthz HTTP/1.1\r\nHost: x\r\n\r\n", [200, 400, 404]),
    "an upgrade": (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        [400],
    ),
    "the wrong method": (b"GET /v1/score HTTP/1.1\r\nHost: x\r\n\r\n", [405]),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("service")
    forge.release(open_storage(str(root / "store")), version="v1")
    running = Server(root, patience_seconds=3)
    yield running
    try:
        unhandled = [entry for entry in running.logs() if "exception" in entry]
        assert unhandled == []
        failed = 'leadscoring_requests_total{method="POST",route="/v1/score",status="500"}'
        assert running.metric(failed) == 0
        assert running.version() == "v1"
    finally:
        running.stop()


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_wrong_is_refused_and_what_is_wrong_is_named(server: Server, name: str) -> None:
    body, status, says = BODIES[name]
    answer = server.http.post("/v1/score", content=body, headers=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert says in answer.json()["title"] + json.dumps(answer.json().get("errors"))
    assert len(answer.content) < 40_000
    assert SECRET not in answer.text
    assert not INTERNALS.search(answer.content), answer.content


@pytest.mark.parametrize("name", HEADERS)
def test_a_body_in_another_form_is_refused(server: Server, name: str) -> None:
    headers, status, says = HEADERS[name]
    answer = server.http.post("/v1/score", content=BOMB, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert says in answer.json()["title"]


@pytest.mark.parametrize("name", RAW)
def test_what_is_hardly_http_gets_an_answer_that_says_so(server: Server, name: str) -> None:
    sent, statuses = RAW[name]
    answer = exchange(server, sent)
    status = int(answer[9:12])
    assert status in statuses
    assert b"root:" not in answer
    assert not INTERNALS.search(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("text", ["\u0000", "🦊" * 1_000, "‮desrever", "'; DROP TABLE leads; --", "${jndi:ldap://x}"])
def test_a_strange_text_is_a_text(server: Server, text: str) -> None:
    answer = server.score({"lead_id": text[:200], "features": {"region": text}})
    assert answer.status_code == 200
    assert answer.json()["scores"][0]["lead_id"] == text[:200]


def test_requests_on_one_connection_are_answered_in_order(server: Server) -> None:
    """The last one asks to close. One among them is wrong, one has its body in chunks of a byte."""

    def post(body: bytes, more: bytes = b"") -> bytes:
        head = b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        return head + more + b"Content-Length: %d\r\n\r\n" % len(body) + body

    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in GOOD) + b"0\r\n\r\n"
    chunked = b"POST /v1/score HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    sent = post(GOOD) * 50 + post(b"{}") + chunked + chunks + post(GOOD) * 47 + post(GOOD, b"Connection: close\r\n")
    answer = exchange(server, sent, 100)
    statuses = list(map(int, re.findall(rb"HTTP/1\.1 (\d+) ", answer)))
    assert statuses == [200] * 50 + [422] + [200] * 49


def exchange(server: Server, sent: bytes, answers: int = 1) -> bytes:
    """What is answered, until so many answers are whole or the service closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as caller:
        caller.sendall(sent)
        while count_answers(received) < answers and (part := caller.recv(65536)):
            received += part
    return received


def count_answers(received: bytes) -> int:
    """Answers of which nothing is missing."""
    count = 0
    while head := re.match(rb"HTTP/1\.1 \d+ .*?content-length: (\d+)\r\n.*?\r\n\r\n", received, re.S):
        end = head.end() + int(head[1])
        count += len(received) >= end
        received = received[end:]
    return count
