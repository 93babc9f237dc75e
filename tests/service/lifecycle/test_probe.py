"""The probe against a running service behind the double of the proxy: a score, and each way to get none."""

import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest
from google.auth.compute_engine import _metadata

from service.lifecycle import probe
from service.lifecycle.evaluation.scored import read_scored
from service.lifecycle.runtime import cloud_monitoring
from service.storage import open_storage
from tests.conftest import free_port
from tests.facts import states
from tests.service import forge
from tests.service.api.issuer import AUDIENCE, Issuer
from tests.service.api.server import Server
from tests.service.front_door import FrontDoor
from tests.service.google_double import Google, certificate, serving
from tests.service.lifecycle.monitoring import Monitoring
from tests.service.lifecycle.records import NOON

ACCOUNT = "acme-leads-prod-probe@acme-leads-prod.iam.gserviceaccount.com"
Instead = Callable[[BaseHTTPRequestHandler], tuple[int, bytes]]


class Site(NamedTuple):
    """A service, the file that says for whom assertions are made out, what stands before it, and who signs."""

    server: Server
    audience: Path
    door: FrontDoor
    google: Google
    file: Path
    """The door's certificate."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """All of it, running; the door is reached with TLS."""
    home = tmp_path_factory.mktemp("site")
    forge.release(open_storage(str(home / "store")))
    issuer, audience, google = Issuer(), home / "audience", Google()
    audience.write_text(AUDIENCE)
    file = certificate(home / "door.pem")
    server = Server(home, iap_audience_file=audience, iap_keys_url=issuer.url, upload_seconds=0.05)
    door = FrontDoor(server.port, issuer, ACCOUNT)
    try:
        with serving(google), serving(door, file):
            yield Site(server, audience, door, google, file)
    finally:
        server.stop()
        issuer.close()


@pytest.fixture(autouse=True)
def _where_google_answers(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
    host = site.google.url.removeprefix("http://")
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", host)
    monkeypatch.setenv("GCE_METADATA_IP", host)
    monkeypatch.setattr(probe, "SIGN", site.google.url + "/v1/projects/-/serviceAccounts/{account}:signJwt")
    monkeypatch.setenv("SSL_CERT_FILE", str(site.file))
    yield
    site.door.members, site.door.instead, site.door.path = {ACCOUNT}, None, "/*"
    site.google.may_sign = True
    site.audience.write_text(AUDIENCE)


def run(site: Site, metrics: Path | str, door: str = "") -> int:
    return probe.main(["--door", door or site.door.url, "--account", ACCOUNT, "--metrics", str(metrics)])


def published(folder: Path) -> dict[str, float]:
    """What a local Prometheus reads."""
    lines = [line for line in (folder / "probe.prom").read_text().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


SUCCESS = 'leadscoring_probe_success{job="probe"}'
SECONDS = 'leadscoring_probe_duration_seconds{job="probe"}'


def test_a_signed_trial_lead_is_scored_through_the_door_and_is_no_lead(site: Site, tmp_path: Path) -> None:
    assert run(site, tmp_path) == 0
    found = published(tmp_path)
    assert found.keys() == {SUCCESS, SECONDS}
    assert found[SUCCESS] == 1
    assert found[SECONDS] > 0
    site.server.wait(site.server.records)
    (record,) = site.server.records()
    assert (record.lead_id, record.channel, record.is_trial) == (probe.LEAD, "trial", True)
    predictions = open_storage(str(site.server.root / "predictions"))
    scored = read_scored(predictions, record.time.replace(hour=0, minute=0), record.time.replace(year=NOON.year + 50))
    assert (scored.records, len(scored)) == (1, 0)


def without_grant(site: Site) -> None:
    site.door.members = set()


def token_of_another_door(site: Site) -> None:
    site.door.path = "/other"


def backend_replaced(site: Site) -> None:
    site.audience.write_text("/projects/123/global/backendServices/789")
    time.sleep(1.1)  # the service reads the file again


def not_configured(site: Site) -> None:
    site.audience.unlink()
    time.sleep(1.1)


def late(site: Site) -> None:
    def answer(_: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        time.sleep(1)
        return 200, b"{}"

    site.door.instead = answer


def drips(site: Site) -> None:
    """Each byte comes before a socket's own time-out."""

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        for _ in range(20):
            handler.wfile.write(b"x")
            time.sleep(0.05)
        return 200, b"{}"

    site.door.instead = answer


def answers(status: int, body: bytes) -> Callable[[Site], None]:
    def spoil(site: Site) -> None:
        site.door.instead = lambda _: (status, body)

    return spoil


SCORE = b'{"lead_id": "probe-front-door", "score": %s, "decision": "contact", "band": "A", "model_version": "v"}'


@pytest.mark.parametrize(
    ("spoil", "facts"),
    [
        (without_grant, ["refused", "403", "You don't have access"]),
        (token_of_another_door, ["refused", "401", "Invalid IAP credentials"]),
        (backend_replaced, ["refused", "401", "audience"]),
        (not_configured, ["status", "503", "authentication not configured"]),
        (answers(302, b"sign in"), ["status", "302"]),
        (answers(502, b"no healthy upstream"), ["status", "502", "no healthy upstream"]),
        (late, ["timeout", "0.4 s"]),
        (drips, ["timeout", "0.4 s"]),
        (answers(200, b"<html>sign in</html>"), ["answer", "html"]),
        (answers(200, b'{"scores": []}'), ["answer"]),
        (answers(200, b'{"scores": [%s, %s]}' % (SCORE % b"0.5", SCORE % b"0.5")), ["answer"]),
        (answers(200, b'{"scores": [%s]}' % (SCORE % b"1.5")), ["answer"]),
        (answers(200, b'{"scores": [%s]}' % (SCORE % b"0.5").replace(b"probe-front", b"another")), ["answer"]),
    ],
    ids=lambda value: getattr(value, "__name__", "") if callable(value) else str(value[:2]),
)
def test_where_no_score_comes_the_failure_is_published_and_named(
    spoil: Callable[[Site], None],
    facts: list[str],
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if spoil in (late, drips):
        monkeypatch.setattr(probe, "ANSWER_S", 0.4)
        monkeypatch.setattr(probe, "sign_in", lambda *_: "unread")
    spoil(site)
    assert run(site, tmp_path) == 0
    assert published(tmp_path)[SUCCESS] == 0
    states(capsys.readouterr().err, *facts)


def test_a_certificate_that_nobody_vouches_for_is_a_failure(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert run(site, tmp_path) == 0
    assert published(tmp_path)[SUCCESS] == 0
    states(capsys.readouterr().err, "tls", "self-signed certificate")


def test_a_door_that_is_not_there_is_a_failure(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(site, tmp_path, f"https://127.0.0.1:{free_port()}") == 0
    assert published(tmp_path)[SUCCESS] == 0
    states(capsys.readouterr().err, "unreachable", "refused")


def test_without_a_token_nothing_is_known_of_the_door_and_nothing_published(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.google.may_sign = False
    assert run(site, tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
    states(capsys.readouterr().err, ACCOUNT, "403", "iam.serviceAccounts.signJwt")


def test_a_run_is_one_point_of_each_series(site: Site, monitoring: Monitoring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_monitoring, "APART_S", 0.0)
    assert run(site, "projects/p-1/locations/europe-west3") == 0
    (request,) = monitoring.requests
    points = {each.metric.type.split("/")[1]: each.points[0].value.double_value for each in request.time_series}
    assert points.keys() == {"leadscoring_probe_success", "leadscoring_probe_duration_seconds"}
    assert points["leadscoring_probe_success"] == 1
    assert {each.resource.labels["job"] for each in request.time_series} == {"probe"}
    monitoring.refusals = [grpc.StatusCode.PERMISSION_DENIED]
    assert run(site, "projects/p-1/locations/europe-west3") == 1


def test_by_hand_the_exit_status_says_whether_a_score_came(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEADSCORING_METRICS", raising=False)
    given = ["--door", site.door.url, "--account", ACCOUNT]
    assert probe.main(given) == 0
    site.door.members = set()
    assert probe.main(given) == 1


@pytest.mark.parametrize(
    "door", ["leads.acme.example", "http://leads.acme.example", "https://a.example/v1", "https://"]
)
def test_a_door_is_an_https_address_without_a_path(door: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        probe.main(["--door", door])
    states(capsys.readouterr().err, "https://HOST")
