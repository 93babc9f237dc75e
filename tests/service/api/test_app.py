import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.api.metrics import TENTHS
from service.model.bundle import Pointer, load, read_pointer
from service.model.schema import Feature, LeadSchema
from service.storage import open_storage
from tests.conftest import HANG_S
from tests.facts import states
from tests.service import forge
from tests.service.api.server import JSON, Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("service")
    forge.release(open_storage(str(root / "store")), version="v1")
    running = Server(root)
    yield running
    running.stop()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, for tests that break it."""
    forge.release(open_storage(str(tmp_path / "store")), version="v1")
    running = Server(tmp_path, upload_seconds=0.2)
    yield running
    running.stop(signal.SIGKILL)


def test_a_lead_gets_score_decision_band_and_version(server: Server) -> None:
    answer = server.score({"lead_id": "L1", "features": forge.LEAD})
    assert answer.status_code == 200
    (scored,) = answer.json()["scores"]
    assert scored["lead_id"] == "L1"
    assert scored["model_version"] == "v1"
    engine = load(server.models, _pointer(server)).engine
    (expected,) = engine.score(engine.parse(json.dumps([forge.LEAD]).encode()))
    assert scored["score"] == pytest.approx(expected)


def test_decision_and_band_follow_the_bundles_threshold_and_bands(server: Server) -> None:
    leads = [{"features": {"visits": visits, "opted_in": True}} for visits in range(20)]
    scored = server.score(*leads).json()["scores"]
    assert {s["decision"] for s in scored} == {"contact", "skip"}
    for each in scored:
        assert each["decision"] == ("contact" if each["score"] >= 0.4 else "skip")
        assert each["band"] == ("A" if each["score"] >= 0.6 else "B" if each["score"] >= 0.3 else "C")


def test_explained_leads_name_what_moved_them_and_score_the_same(server: Server) -> None:
    leads = [{"features": {**forge.LEAD, "visits": visits}} for visits in (0, 14)]
    plain, explained = server.score(*leads), server.explain(*leads)
    assert explained.status_code == 200
    assert all("reasons" not in each for each in plain.json()["scores"])
    for one, other in zip(plain.json()["scores"], explained.json()["scores"], strict=True):
        assert (one["score"], one["decision"], one["band"]) == (other["score"], other["decision"], other["band"])
        sizes = [abs(reason["effect"]) for reason in other["reasons"]]
        assert sizes
        assert sizes == sorted(sizes, reverse=True)
        assert other["reasons"][0]["feature"] == "visits"
    low, high = (each["reasons"][0]["effect"] for each in explained.json()["scores"])
    assert low < 0 < high


def test_an_explained_lead_has_its_record(own: Server) -> None:
    assert own.explain({"lead_id": "why", "features": forge.LEAD}).status_code == 200
    assert own.stop() == 0
    assert [r.lead_id for r in own.records()] == ["why"]


def test_too_many_leads_to_explain_are_refused_and_none_is_scored(server: Server) -> None:
    before = server.metric("leadscoring_records_written_total")
    assert server.explain(*[{"features": {}}] * 100).status_code == 200
    refused = server.explain(*[{"features": {}}] * 101)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["path"] == "leads"
    assert server.metric("leadscoring_records_written_total") == before + 100


def test_every_score_is_counted_in_its_tenth_of_the_scale(server: Server) -> None:
    def counted() -> dict[str, float]:
        names = {tenth: f'leadscoring_scores_total{{tenth="{tenth}"}}' for tenth in TENTHS}
        return {tenth: server.metric(name) for tenth, name in names.items()}

    before = counted()
    answers = server.score(*({"features": {**forge.LEAD}} for _ in range(7))).json()["scores"]
    grown = {tenth: value - before[tenth] for tenth, value in counted().items() if value != before[tenth]}
    expected = dict.fromkeys(TENTHS, 0.0)
    for answer in answers:
        expected[TENTHS[min(int(10 * answer["score"]), 9)]] += 1
    assert grown == {tenth: count for tenth, count in expected.items() if count}
    assert [tuple(map(float, tenth.split("-"))) for tenth in TENTHS] == [(n / 10, (n + 1) / 10) for n in range(10)]


@pytest.mark.parametrize(
    ("query", "status", "reasons"),
    [
        ("explain=true", 200, True),
        ("explain=false", 200, False),
        ("other=1", 200, False),
        ("explain=", 422, None),
        ("explain=1%20", 422, None),
        ("explain=true&explain=false", 422, None),
    ],
)
def test_explain_is_true_or_false(server: Server, query: str, status: int, reasons: bool | None) -> None:
    answer = server.http.post(f"/v1/score?{query}", content=json.dumps({"leads": [{"features": {}}]}), headers=JSON)
    assert answer.status_code == status
    if reasons is None:
        (error,) = answer.json()["errors"]
        assert error["path"] == "explain"
        states(error["message"], "true", "false")
    else:
        assert ("reasons" in answer.json()["scores"][0]) == reasons


def test_the_description_shows_how_to_ask_for_reasons(server: Server) -> None:
    document = server.http.get("/openapi.json").json()
    (explain,) = document["paths"]["/v1/score"]["post"]["parameters"]
    assert (explain["name"], explain["schema"]) == ("explain", {"type": "boolean", "default": False})
    schemas = document["components"]["schemas"]
    items = schemas["ScoreResponse"]["properties"]["scores"]["items"]
    assert items == {
        "anyOf": [
            {"$ref": f"#/components/schemas/{name}"} for name in ("ExplainedScore", "ExploringScore", "LeadScore")
        ]
    }
    assert set(schemas["ExplainedScore"]["required"]) - set(schemas["LeadScore"]["required"]) == {"reasons"}


def test_missing_and_never_seen_values_are_scored(server: Server) -> None:
    answer = server.score({"features": {}}, {"features": {"industry": "never seen", "visits": None}})
    assert answer.status_code == 200
    assert len(answer.json()["scores"]) == 2


def test_a_lead_without_an_id_gets_one_from_the_request(server: Server) -> None:
    answer = server.score({"features": {}}, {"features": {}}, **{"X-Request-ID": "mine"})
    assert answer.json()["request_id"] == "mine"
    assert [s["lead_id"] for s in answer.json()["scores"]] == ["mine-0", "mine-1"]
    forged = server.score({"features": {}}, **{"X-Request-ID": "x" * 500}).json()
    assert len(forged["request_id"]) == 24


@pytest.mark.parametrize(
    ("body", "headers", "status", "facts"),
    [
        (b'{"leads": [', JSON, 400, ["not JSON"]),
        (b"", JSON, 400, ["not JSON"]),
        (b"\xff\xfe", JSON, 400, ["not JSON"]),
        (b'{"leads": []}', JSON, 422, ["1 field refused"]),
        (b'{"leads": [{"features": {"visits": "7"}}]}', JSON, 422, ["1 field refused"]),
        (b"{}", {"Content-Type": "text/plain"}, 415, ["send application/json"]),
        (b"{}", {**JSON, "Content-Encoding": "gzip"}, 415, ["send application/json"]),
        (b" " * 4_000_001, JSON, 413, ["longer", "4000000 bytes"]),
    ],
)
def test_a_bad_request_is_refused_whole(
    server: Server, body: bytes, headers: dict[str, str], status: int, facts: list[str]
) -> None:
    answer = server.http.post("/v1/score", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    states(answer.json()["title"], *facts)


def test_a_body_without_a_length_is_bounded_too(server: Server) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 50_000_000:
            sent += 100_000
            yield b" " * 100_000

    try:
        answer = server.http.post("/v1/score", content=endless(), headers=JSON)
        assert answer.status_code == 413
    except httpx.WriteError:
        pass  # the server closed before we had sent it all, as it should
    assert sent < 50_000_000


def test_a_body_that_is_declared_too_long_is_refused_before_it_is_sent(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S) as caller:
        caller.sendall(
            b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4000001\r\n\r\n"
        )
        assert caller.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_caller_who_hangs_up_is_no_failure_of_ours(server: Server) -> None:
    failed = 'leadscoring_requests_total{method="POST",route="/v1/score",status="500"}'
    gone = failed.replace("500", "499")
    before = server.metric(gone)
    with socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S) as caller:
        caller.sendall(
            b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{"
        )
    server.wait(lambda: server.metric(gone) == before + 1)
    assert server.metric(failed) == 0
    assert failed in server.http.get("/metrics").text


def test_one_bad_lead_among_good_ones_scores_none(server: Server) -> None:
    before = server.metric("leadscoring_records_written_total")
    answer = server.score({"features": {}}, {"features": {"visits": "7", "industry": 3}})
    assert answer.status_code == 422
    assert [e["path"] for e in answer.json()["errors"]] == ["leads[1].features.visits", "leads[1].features.industry"]
    assert server.metric("leadscoring_records_written_total") == before


def test_more_leads_than_allowed_are_refused(server: Server) -> None:
    assert server.score(*[{"features": {}}] * 1_000).status_code == 200
    assert server.score(*[{"features": {}}] * 1_001).status_code == 422


def test_the_description_shows_the_leads_own_columns(server: Server) -> None:
    document = server.http.get("/openapi.json").json()
    assert list(document["components"]["schemas"]["Features"]["properties"]) == list(forge.LEAD)
    assert set(document["paths"]) == {"/v1/score", "/v1/score/cells", "/v1/model", "/healthz", "/readyz", "/metrics"}


def test_the_docs_page_needs_no_other_host(server: Server) -> None:
    page = server.http.get("/docs").text
    assert "/static-offline-docs/swagger-ui-bundle.js" in page
    assert "https://" not in page


def test_the_model_says_what_it_is(server: Server) -> None:
    model = server.http.get("/v1/model").json()
    assert (model["version"], model["threshold"], model["refused"]) == ("v1", 0.4, None)
    assert model["provenance"]["source"] == "forge"
    assert model["card"] == "# Card"


def test_requests_are_counted_by_route_and_status(server: Server) -> None:
    sample = 'leadscoring_requests_total{method="POST",route="/v1/score",status="%d"}'
    before = [server.metric(sample % status) for status in (200, 422)]
    server.score({"features": {}})
    server.score({"features": {"visits": "x"}})
    assert [server.metric(sample % status) for status in (200, 422)] == [b + 1 for b in before]
    server.http.get("/made-up/1")
    assert server.metric('leadscoring_requests_total{method="GET",route="other",status="404"}') > 0


def test_before_a_first_model_it_lives_but_is_not_ready(tmp_path: Path) -> None:
    server = Server(tmp_path, ready=False)
    try:
        assert server.http.get("/healthz").status_code == 200
        for answer in (server.http.get("/readyz"), server.http.get("/v1/model"), server.score({"features": {}})):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
        forge.release(server.models, version="v1")
        server.wait(lambda: server.http.get("/readyz").status_code == 200)
    finally:
        assert server.stop() == 0


def test_every_lead_answered_has_one_record(own: Server) -> None:
    before = time.time()
    answers = [own.score({"lead_id": f"L{i}", "features": forge.LEAD}, {"features": {}}) for i in range(50)]
    after = time.time()
    assert own.stop() == 0
    scored = {s["lead_id"]: s for a in answers for s in a.json()["scores"]}
    records = own.records()
    assert sorted(r.lead_id for r in records) == sorted(scored)
    for record in records:
        answer = scored[record.lead_id]
        assert (record.score, record.decision, record.band) == (answer["score"], answer["decision"], answer["band"])
        assert record.model_version == answer["model_version"]
        assert record.inputs == (forge.LEAD if record.lead_id.startswith("L") else {})
        assert before <= record.time.timestamp() <= after
        assert 0 < record.latency_ms <= 1e3 * (after - before)


def test_a_killed_instances_records_are_uploaded_by_the_next(tmp_path: Path) -> None:
    forge.release(open_storage(str(tmp_path / "store")))
    first = Server(tmp_path, upload_seconds=3600)
    assert first.score({"lead_id": "L1", "features": {}}).status_code == 200
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    assert first.records() == []
    second = Server(tmp_path)
    assert second.stop() == 0
    assert [r.lead_id for r in second.records()] == ["L1"]


def test_when_no_record_can_be_kept_no_score_is_given(tmp_path: Path) -> None:
    forge.release(open_storage(str(tmp_path / "store")))
    server = Server(tmp_path, upload_seconds=3600, spool_max_bytes=1_000_000)
    try:
        statuses = [server.score(*[{"features": forge.LEAD}] * 1_000).status_code for _ in range(6)]
        assert statuses[0] == 200
        assert statuses[-1] == 503
        assert server.metric("leadscoring_records_written_total") == 1_000 * statuses.count(200)
    finally:
        server.stop()
    assert len(server.records()) == 1_000 * statuses.count(200)


def test_a_moved_pointer_is_followed_with_no_failed_and_no_mixed_request(own: Server) -> None:
    engines = {"v1": load(own.models, _pointer(own)).engine}
    answers: list[httpx.Response] = []
    stop = threading.Event()
    leads = [{"features": {**forge.LEAD, "visits": i}} for i in range(20)]

    def load_it() -> None:
        with httpx.Client(base_url=own.http.base_url, trust_env=False) as http:
            while not stop.is_set():
                answers.append(http.post("/v1/score", content=json.dumps({"leads": leads}), headers=JSON))

    threads = [threading.Thread(target=load_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for seed in range(2, 6):
        version = f"v{seed}"
        engines[version] = load(own.models, forge.release(own.models, seed=seed, version=version)).engine
        own.wait(lambda version=version: own.version() == version)
        later = [own.score({"features": {}}).json()["scores"][0]["model_version"] for _ in range(20)]
        assert set(later) == {version}
    stop.set()
    for thread in threads:
        thread.join()
    assert {a.status_code for a in answers} == {200}
    features = json.dumps([lead["features"] for lead in leads]).encode()
    expected = {version: engine.score(engine.parse(features)) for version, engine in engines.items()}
    seen = set()
    for answer in answers:
        scores = answer.json()["scores"]
        (version,) = {s["model_version"] for s in scores}
        assert [s["score"] for s in scores] == pytest.approx(expected[version], abs=1e-12)
        seen.add(version)
    assert seen == set(engines)
    assert own.metric("leadscoring_model_swaps_total") == 5


def _break_a_byte(server: Server, version: str) -> None:
    path = server.root / "store/models" / version / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")


def test_a_corrupt_bundle_is_refused_and_the_old_model_stays(own: Server) -> None:
    pointer = _pointer(own)
    release = forge.release(open_storage(str(own.root / "elsewhere")), seed=2, version="v2")
    (own.root / "elsewhere/models/v2").rename(own.root / "store/models/v2")
    _break_a_byte(own, "v2")
    forge.point(own.models, "v2", release.sums_sha256)
    _refused(own, "tampered")
    back = forge.point(own.models, pointer.version, pointer.sums_sha256)
    own.wait(lambda: own.http.get("/v1/model").json()["refused"] is None)
    # Else it would look as if the promotion were not followed.
    assert own.metric("leadscoring_model_loaded_timestamp_seconds") >= back.moved_at.timestamp()


def test_a_bundle_that_would_refuse_todays_callers_is_refused_unless_a_person_said_so(own: Server) -> None:
    wider = LeadSchema(features=(*forge.SCHEMA.features, Feature(name="extra", kind="number")))
    forge.release(own.models, version="v2", schema=wider)
    own.wait(lambda: own.version() == "v2")
    assert "extra" in own.http.get("/openapi.json").text
    forge.release(own.models, version="v3", seed=3)
    _refused(own, "incompatible", stays="v2")
    assert own.score({"features": {"extra": 1}}).status_code == 200
    forge.release(own.models, version="v4", seed=4, new_schema=True)
    own.wait(lambda: own.version() == "v4")
    assert own.score({"features": {"extra": 1}}).status_code == 422


def test_a_pointer_to_nothing_is_refused(own: Server) -> None:
    forge.point(own.models, "v9", "0" * 64)
    _refused(own, "missing")


def test_a_malformed_pointer_is_refused(own: Server) -> None:
    # At once: a poll that found it empty would count another refusal.
    (own.root / "broken").write_bytes(b"{")
    (own.root / "broken").rename(own.root / "store/champion.json")
    _refused(own, "malformed")


def _refused(server: Server, reason: str, stays: str = "v1") -> None:
    sample = f'leadscoring_bundle_refused_total{{reason="{reason}"}}'
    server.wait(lambda: server.metric(sample) == 1)
    time.sleep(0.2)  # several polls: a refusal is counted and logged once
    assert server.metric(sample) == 1
    assert server.version() == stays
    assert server.score({"features": {}}).status_code == 200
    assert server.http.get("/v1/model").json()["refused"]["reason"] == reason
    (line,) = [entry for entry in server.logs() if entry["message"].startswith("bundle refused")]
    assert (line["severity"], line["reason"]) == ("ERROR", reason)


def test_sigterm_answers_what_is_in_flight_and_ends_cleanly(own: Server) -> None:
    answers: list[int] = []

    def load_it() -> None:
        with httpx.Client(base_url=own.http.base_url, trust_env=False) as http:
            try:
                while True:
                    answers.append(
                        http.post("/v1/score", content=b'{"leads":[{"features":{}}]}', headers=JSON).status_code
                    )
            except httpx.HTTPError:
                return

    threads = [threading.Thread(target=load_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    own.wait(lambda: len(answers) >= 20)
    assert own.stop() == 0
    for thread in threads:
        thread.join()
    assert set(answers) == {200}
    assert len(own.records()) >= len(answers)


def _run(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.api"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


def test_wrong_settings_stop_it_by_name(tmp_path: Path) -> None:
    ended = _run(LEADSCORING_MODELS_URL="s3://x", LEADSCORING_PREDICTIONS_URL=str(tmp_path))
    assert ended.returncode == 2
    states(ended.stderr.splitlines(), "LEADSCORING_MODELS_URL:", "folder", "gs://bucket/prefix")
    assert "LEADSCORING_SPOOL_DIR: Field required" in ended.stderr


def test_a_port_that_others_reach_needs_authentication(tmp_path: Path) -> None:
    urls = {f"LEADSCORING_{n}": str(tmp_path) for n in ("MODELS_URL", "PREDICTIONS_URL", "SPOOL_DIR")}
    ended = _run(**urls, LEADSCORING_HOST="0.0.0.0")
    assert ended.returncode == 2
    states(ended.stderr, "host 0.0.0.0", "other machines", "iap_audience_file")


def test_a_malformed_audience_stops_it(tmp_path: Path) -> None:
    (tmp_path / "audience").write_text("nobody")
    urls = {f"LEADSCORING_{n}": str(tmp_path) for n in ("MODELS_URL", "PREDICTIONS_URL", "SPOOL_DIR")}
    ended = _run(**urls, LEADSCORING_IAP_AUDIENCE_FILE=str(tmp_path / "audience"))
    assert ended.returncode == 2
    assert "LEADSCORING_IAP_AUDIENCE_FILE" in ended.stderr


def test_without_authentication_it_says_so(server: Server) -> None:
    assert any(entry["message"].startswith("no authentication") for entry in server.logs())


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        urls = {f"LEADSCORING_{n}": str(tmp_path) for n in ("MODELS_URL", "PREDICTIONS_URL", "SPOOL_DIR")}
        ended = _run(**urls, LEADSCORING_PORT=str(port))
    assert ended.returncode == 1
    states(ended.stderr, f"127.0.0.1:{port}", "taken")


def _pointer(server: Server) -> Pointer:
    pointed = read_pointer(server.models)
    assert pointed is not None
    return pointed[0]
