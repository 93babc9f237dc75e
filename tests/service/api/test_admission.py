import json
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from service.api import admission
from service.api.admission import REQUEST_BYTES, Admission
from service.api.problem import Problem
from service.storage import open_storage
from tests.conftest import HANG_S
from tests.service import forge
from tests.service.api.server import JSON, Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("service")
    forge.release(open_storage(str(root / "store")), version="v1")
    running = Server(root, max_leads=20_000, spool_max_bytes=10_000_000_000, upload_seconds=3600)
    yield running
    running.stop()


def test_bodies_in_the_memory_are_bounded() -> None:
    door = Admission()
    door.hold(admission.MAX_HELD)
    with pytest.raises(Problem) as refusal:
        door.hold(1)
    assert (refusal.value.status, refusal.value.retry_s, refusal.value.close) == (503, 1, True)
    door.held -= 1
    door.hold(1)


BODY = b"x" * 1_500


def test_what_would_wait_too_long_is_refused_and_what_is_scored_makes_room() -> None:
    door = Admission(queue_s=0.1)
    size = len(BODY) + REQUEST_BYTES
    fit = round(0.1 / (size * admission.FIRST_GUESS_S))
    for _ in range(fit + 1):
        door.queue(BODY)
    with pytest.raises(Problem) as refusal:
        door.queue(BODY)
    assert (refusal.value.status, refusal.value.retry_s, refusal.value.close) == (503, 1, False)
    door.scored(fit // 2, fit // 2 * len(BODY), fit // 2 * size * admission.FIRST_GUESS_S)
    assert not door.full
    for _ in range(fit // 2):
        door.queue(BODY)
    assert door.full


@pytest.mark.parametrize("request_s", [0.0002, 0.002, 0.02])
def test_how_many_may_wait_follows_from_how_long_they_took(request_s: float) -> None:
    door = Admission(queue_s=0.1)
    for _ in range(round(0.6 / request_s)):
        door.queue(BODY)
        door.scored(1, len(BODY), request_s)
    waiting = 0
    while not door.full:
        door.queue(BODY)
        waiting += 1
    assert waiting == pytest.approx(0.1 / request_s, rel=0.1, abs=1.1)


def test_one_pause_is_soon_forgotten() -> None:
    """Of the interpreter, say, or a first use: by the clock of what is scored, not of the wall."""
    door = Admission(queue_s=0.1)
    door.queue(BODY)
    door.scored(1, len(BODY), 0.05)
    for _ in range(1_000):
        door.queue(BODY)
        door.scored(1, len(BODY), 0.0002)
    for _ in range(400):
        door.queue(BODY)
    assert not door.full


def test_who_comes_alone_is_let_in_however_long_it_takes() -> None:
    door = Admission(queue_s=0.001)
    for _ in range(3):
        door.queue(BODY)
        door.scored(1, len(BODY), 1.0)


def test_beyond_capacity_it_sheds_and_what_it_accepts_keeps_its_latency(server: Server) -> None:
    """As many callers as would have to wait three times as long as they may, each asking again at once."""
    body = json.dumps({"leads": [{"features": forge.LEAD}] * 2_000}).encode()
    alone = [_timed(server.http, body)[1] for _ in range(5)]
    callers = max(12, round(3 * admission.QUEUE_S / min(alone)))
    answers: list[tuple[int, float, httpx.Headers]] = []
    over = threading.Event()

    def call() -> None:
        with httpx.Client(base_url=server.http.base_url, trust_env=False, timeout=HANG_S) as http:
            while not over.is_set():
                answers.append(_timed(http, body))

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        server.wait(lambda: sum(status == 503 for status, *_ in answers) >= 20)
        ready = [server.http.get("/readyz").status_code for _ in range(5)]
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert set(ready) == {200}
    assert {status for status, *_ in answers} == {200, 503}
    assert {headers["retry-after"] for status, _, headers in answers if status == 503} == {"1"}
    shed = sum(status == 503 for status, *_ in answers)
    assert server.metric('leadscoring_requests_shed_total{lacking="time"}') == shed
    accepted = sum(status == 200 for status, *_ in answers)
    assert server.metric("leadscoring_records_written_total") == 2_000 * (accepted + len(alone))


def test_requests_for_reasons_do_not_pile_up(server: Server) -> None:
    body = json.dumps({"leads": [{"features": forge.LEAD}] * 100}).encode()
    statuses: list[int] = []

    def call() -> None:
        with httpx.Client(base_url=server.http.base_url, trust_env=False, timeout=HANG_S) as http:
            for _ in range(10):
                answer = http.post("/v1/score?explain=true", content=body, headers=JSON)
                statuses.append(answer.status_code)

    threads = [threading.Thread(target=call) for _ in range(3 * admission.MAX_EXPLAINING)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 503}
    assert server.metric('leadscoring_requests_shed_total{lacking="explaining"}') <= statuses.count(503)
    assert server.metric('leadscoring_requests_shed_total{lacking="explaining"}') > 0


def _timed(http: httpx.Client, body: bytes) -> tuple[int, float, httpx.Headers]:
    started = time.perf_counter()
    answer = http.post("/v1/score", content=body, headers=JSON)
    return answer.status_code, time.perf_counter() - started, answer.headers
