import json
import threading
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from service.lifecycle.evaluation.reading import completeness
from service.lifecycle.evaluation.reading.completeness import Completeness, Counted, ask, increase
from service.lifecycle.evaluation.scored import read_scored
from service.lifecycle.runtime.runner import JobFailed
from service.storage import open_storage
from tests.facts import stating
from tests.service import forge
from tests.service.api.server import Server
from tests.service.lifecycle.records import NOON

HOUR = timedelta(hours=1)


class Api:
    """A Prometheus query API over these samples: pod -> [(time, value)]. It answers as its documentation says
    (https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries, range vectors)."""

    def __init__(self) -> None:
        self.series: dict[str, list[tuple[float, float]]] = {}
        self.queries: list[str] = []
        self.refuse = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(asked.query))
                api.queries.append(query.get("query", ""))
                if api.refuse:
                    api.refuse -= 1
                    self.send_error(503)
                    return
                body = json.dumps(api.answer(asked.path, query)).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        assert path == "/api/v1/query"
        name, reach = query["query"].rstrip("s]").split("[")
        end = float(query["time"])
        result = [
            {"metric": {"__name__": name, "pod": pod}, "values": [[at, str(value)] for at, value in values]}
            for pod, each in self.series.items()
            if (values := [(at, value) for at, value in each if end - float(reach) < at <= end])
        ]
        return {"status": "success", "data": {"resultType": "matrix", "result": result}}


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    yield made
    made.server.shutdown()
    made.server.server_close()


def samples(start: datetime, minutes: int, by: float, first: float = 0.0) -> list[tuple[float, float]]:
    """A sample a minute, growing by this much."""
    return [(start.timestamp() + 60 * i, first + by * i) for i in range(minutes + 1)]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([(-1, 100), (1, 105), (2, 110)], 10),
        ([(1, 5), (2, 10)], 10),  # it began in the window
        ([(-1, 100), (1, 105), (2, 3), (3, 7)], 12),  # it began anew
        ([(-2, 100), (-1, 120)], 0),
        ([], 0),
    ],
)
def test_a_counter_s_growth_is_counted_across_restarts(values: list[tuple[float, float]], wanted: float) -> None:
    assert increase(values, since=0) == wanted


def test_records_are_compared_with_the_counter_over_the_window_of_all_pods(api: Api) -> None:
    since, until = NOON, NOON + 15 * HOUR  # three questions
    api.series["goes-on"] = samples(NOON - HOUR, 16 * 60, 2, first=1000)
    api.series["dies"] = samples(NOON - HOUR, 120, 1)
    api.series["is-born"] = samples(NOON + 10 * HOUR, 60, 3, first=4)
    written = 15 * 60 * 2 + 60 + 184
    assert ask(api.url, since, until) == Counted(since, until, written)
    assert len(api.queries) == 3


@pytest.mark.parametrize(("found", "complete"), [(100_000, True), (99_900, True), (99_899, False), (100_500, True)])
def test_above_a_thousandth_missing_is_incomplete(found: int, complete: bool) -> None:
    compared = Completeness(NOON, NOON + HOUR, 100_000, found)
    assert compared.complete is complete
    assert compared.missing == pytest.approx(max(0, 100_000 - found) / 100_000)


def test_a_counter_that_knows_nothing_of_the_window_says_nothing(api: Api) -> None:
    api.series["later"] = samples(NOON + 100 * HOUR, 60, 1)
    assert ask(api.url, NOON, NOON + HOUR) is None


def test_an_api_that_is_away_for_a_moment_is_asked_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completeness, "WAIT_S", 0.01)
    api.series["pod"] = samples(NOON - HOUR, 120, 1)
    api.refuse = 2
    assert ask(api.url, NOON, NOON + HOUR) == Counted(NOON, NOON + HOUR, 60)
    api.refuse = 99
    with pytest.raises(JobFailed, match="cannot be asked"):
        ask(api.url, NOON, NOON + HOUR)


def test_what_is_no_counter_is_named(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(JobFailed, match="give http"):
        ask("file:///etc/passwd", NOON, NOON + HOUR)
    monkeypatch.setattr(api, "answer", lambda *_: {"data": {"resultType": "vector", "result": []}})
    with pytest.raises(JobFailed, match=stating("Prometheus query API")):
        ask(api.url, NOON, NOON + HOUR)
    with pytest.raises(JobFailed, match=stating("Prometheus' text format")):
        ask(f"{api.url}/metrics", NOON, NOON + HOUR)


def test_the_real_service_s_page_shows_whether_its_records_are_there(tmp_path: Path) -> None:
    forge.release(open_storage(str(tmp_path / "store")))
    server = Server(tmp_path, upload_seconds=0.1)
    predictions = open_storage(str(tmp_path / "predictions"))
    try:
        for i in range(5):
            server.score({"lead_id": f"L{i}", "features": forge.LEAD})
        server.wait(lambda: server.metric("leadscoring_records_uploaded_total") == 5)
        page = f"http://127.0.0.1:{server.port}/metrics"

        counted = ask(page, NOON, NOON)
        assert counted is not None
        assert (counted.written, read_scored(predictions, counted.since, counted.until).records) == (5, 5)
        assert abs(counted.until - datetime.now(UTC)) < timedelta(minutes=1)
    finally:
        server.stop()


def test_a_page_of_another_program_is_not_taken_for_the_service_s() -> None:
    with pytest.raises(JobFailed, match=f"has no {completeness.COUNTER}"):
        completeness._by_page("other_total 5\n")


def test_what_waits_in_the_spool_is_not_missing() -> None:
    page = (
        "leadscoring_records_written_total 10\nleadscoring_records_uploaded_total 7\nprocess_start_time_seconds 1e9\n"
    )
    assert completeness._by_page(page).written == 7
