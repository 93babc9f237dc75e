"""What a living Prometheus answers is read within bounds; what it refuses is said, and a token goes to it alone."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from monitoring.review import living
from monitoring.review.living import CannotAskError, RefusedError, connect
from tests.facts import stating

ONE = {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"a": "b"}, "values": [[60, "2"]]}]}}


class Server(ThreadingHTTPServer):
    """Answers what it is given, one after the other; the last again and again."""

    answers: list[tuple[int, bytes, dict[str, str]]]
    asked: list[tuple[str, str, str]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
        code, body, headers = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(living, "PAUSE", 0.0)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked, server.answers = [], [(200, json.dumps(ONE).encode(), {})]
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_values_stand_at_their_times_and_the_token_goes_along(server: Server) -> None:
    api = connect(server.url, {living.TOKEN: "secret"})
    ((labels, values),) = api.values("up", np.array([0, 60, 120]))
    assert labels == {"a": "b"}
    assert np.array_equal(values, [np.nan, 2, np.nan], equal_nan=True)
    ((method, path, authorization),) = server.asked
    assert (method, path.partition("?")[0], authorization) == ("GET", "/api/v1/query_range", "Bearer secret")


def test_more_points_than_prometheus_gives_are_asked_for_in_parts(server: Server) -> None:
    connect(server.url, {}).values("up", np.arange(0, 60 * 25_000, 60))
    assert len(server.asked) == 3


def test_a_server_that_is_busy_is_asked_again_but_not_forever(server: Server) -> None:
    server.answers = [(503, b"", {}), (429, b"", {}), *server.answers]
    assert connect(server.url, {}).now("up", 60) == [({"a": "b"}, 2.0)]
    server.asked.clear()
    server.answers = [(503, b"busy", {})]
    with pytest.raises(CannotAskError, match=stating("503", "busy")):
        connect(server.url, {}).now("up", 60)
    assert len(server.asked) == living.ATTEMPTS


@pytest.mark.parametrize(
    ("code", "body", "error", "facts"),
    [
        (422, b'{"status":"error","error":"invalid expression"}', RefusedError, ["invalid expression"]),
        (400, b'{"error":{"code":400,"message":"unknown function"}}', RefusedError, ["unknown function"]),
        (
            403,
            b'{"error":{"message":"denied"}}',
            CannotAskError,
            ["403", "denied", "roles/monitoring.viewer"],
        ),
        (404, b"not here", CannotAskError, ["404", "not here"]),
        (200, b"<html>", CannotAskError, ["<html>"]),
        (200, b'{"status":"success","data":{}}', CannotAskError, ["does not answer as Prometheus"]),
    ],
)
def test_a_refusal_is_said_in_the_servers_words(
    server: Server, code: int, body: bytes, error: type[Exception], facts: list[str]
) -> None:
    server.answers = [(code, body, {})]
    with pytest.raises(error, match=stating(*facts)):
        connect(server.url, {}).now("up", 60)
    assert len(server.asked) == 1


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.answers = [(302, b"", {"Location": f"{server.url}/elsewhere"})]
    with pytest.raises(CannotAskError, match="302"):
        connect(server.url, {living.TOKEN: "secret"}).now("up", 60)
    assert len(server.asked) == 1


def test_an_answer_beyond_all_bounds_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(living, "MOST_BYTES", 20)
    with pytest.raises(RefusedError, match="20 bytes"):
        connect(server.url, {}).now("up", 60)


@pytest.mark.parametrize(
    ("url", "environ", "facts"),
    [
        ("ftp://host", {}, ["https://HOST"]),
        ("prometheus", {}, ["https://HOST"]),
        ("http://example.com", {living.TOKEN: "secret"}, ["encrypted", living.TOKEN]),
    ],
)
def test_an_address_that_cannot_be_asked_is_said(url: str, environ: dict[str, str], facts: list[str]) -> None:
    with pytest.raises(CannotAskError, match=stating(*facts)):
        connect(url, environ)


def test_google_is_asked_with_the_default_credentials_and_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    with pytest.raises(CannotAskError, match=stating("gcloud auth application-default login", living.TOKEN)):
        connect(living.GOOGLE.format(project="acme"), {})
    assert connect(living.GOOGLE.format(project="acme"), {living.TOKEN: "secret"}).token() == "secret"


def test_a_server_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(living, "PAUSE", 0.0)
    with pytest.raises(CannotAskError, match="cannot be reached"):
        connect("http://127.0.0.1:9", {}).now("up", 60)
