"""The smoke test against the real service, behind a door that checks who comes."""

from pathlib import Path

import pytest

from infra.environments import DEV
from infra.operations import smoke
from infra.operations.programs import Programs
from service.storage import open_storage
from tests.infra.doubles.workplace import COMMIT, Cloud, door
from tests.service import forge
from tests.service.api.server import Server


def test_the_service_scores_the_lead_of_a_smoke_test_and_keeps_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud = Cloud(tmp_path / "cloud")
    forge.release(open_storage(str(tmp_path / "store")), version="v1")
    service = Server(tmp_path, upload_seconds=0.2)
    try:
        with door(tmp_path, smoke.account(DEV), cloud.key, service.http) as front:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "door.pem"))
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            smoke.test(DEV, Programs(cloud.environ()), front.url, COMMIT, seconds=30, every=0.1)
    finally:
        service.stop()
    assert f"scored the lead smoke-{COMMIT}" in capsys.readouterr().out
    assert [record.lead_id for record in service.records()] == [f"smoke-{COMMIT}"]


def test_a_name_without_an_address_is_found_unless_a_proxy_looks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert smoke.resolves("https://127.0.0.1:8443")
    assert not smoke.resolves("https://leads.invalid")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert smoke.resolves("https://leads.invalid")
    monkeypatch.setenv("no_proxy", "leads.invalid")
    assert not smoke.resolves("https://leads.invalid")
