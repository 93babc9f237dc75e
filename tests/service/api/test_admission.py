import json
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from service.api import admission, batching
from service.api.admission import Admission
from service.api.problem import Problem
from service.storage import open_storage
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


def test_beyond_capacity_it_sheds_and_what_it_accepts_keeps_its_latency(server: Server) -> None:
    """As many callers as would have to wait for three times what a turn has time for, each asking again at once."""
    body = json.dumps({"leads": [{"features": forge.LEAD}] * 2_000}).encode()
    alone = [_timed(server.http, body)[1] for _ in range(5)]
    callers = max(12, round(3 * 2 * batching.TURN_S / min(alone)))
    answers: list[tuple[int, float, httpx.Headers]] = []
    over = threading.Event()

    def call() -> None:
        with httpx.Client(base_url=server.http.base_url, trust_env=False, timeout=120) as http:
            while not over.is_set():
                answers.append(_timed(http, body))

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        server.wait(lambda: sum(status == 503 for status, *_ in answers) >= 20, 60)
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
        with httpx.Client(base_url=server.http.base_url, trust_env=False, timeout=60) as http:
            for _ in range(10):
                answer = http.post("/v1/score?explain=true", content=body, headers=JSON)
                statuses.append(answer.status_code)

    threads = [threading.Thread(target=call) for _ in range(3 * admission.MAX_WAITING)]
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
