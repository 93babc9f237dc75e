"""Each new connection logs in with a token that is fresh then, over TLS, in the server as in the migration."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.auth.compute_engine import _metadata
from sqlalchemy import text

from tests.mlflow_server.cluster import OWNER, SERVER, running_cluster
from tests.mlflow_server.server import PASSWORD, Tracking
from tests.service.google_double import Google, serving
from tracking_server import login
from tracking_server.database import engine, unreadiness
from tracking_server.settings import Database

pytestmark = pytest.mark.system


@pytest.fixture
def google(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """An account whose every token is the database's only password from then on, and at its end at once."""
    double = Google()
    double.life = 1

    def access() -> str:
        token = uuid.uuid4().hex
        for user in (SERVER, OWNER):
            tracking.cluster.set_password(user, token)
        return token

    double.access = access
    monkeypatch.setattr(login, "_credentials", None)
    with serving(double):
        host = double.url.removeprefix("http://")
        monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", host)
        for name, value in tracking.serving().items():
            if name.startswith("TRACKING_"):
                monkeypatch.setenv(name, value)
        monkeypatch.delenv("TRACKING_DATABASE_PASSWORD_FILE")
        monkeypatch.setenv("TRACKING_DATABASE_LOGIN", "iam")
        for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP"):
            monkeypatch.setenv(name, host)
        yield double


def test_each_new_connection_brings_a_fresh_token_over_tls(google: Google) -> None:
    connections = engine(Database())
    for number in range(1, 4):
        with connections.connect() as connection:
            assert connection.scalar(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")) is True
        assert google.given == number


def test_a_token_that_lives_long_is_used_again(google: Google) -> None:
    google.life = 3600
    assert unreadiness(Database()) is None
    assert unreadiness(Database()) is None
    assert google.given == 1


def test_a_missing_token_is_the_reason_given(google: Google) -> None:
    google.broken = True
    said = unreadiness(Database())
    assert said
    assert "Google gives no token for the database" in said


def test_the_migration_logs_in_the_same_way(google: Google, tracking: Tracking) -> None:
    host = google.url.removeprefix("http://")
    account = {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host, "TRACKING_DATABASE_LOGIN": "iam"}
    done = tracking.run("migrate", TRACKING_DATABASE_PASSWORD_FILE="", **account)
    assert done.returncode == 0, done.stderr
    assert google.given >= 3


def test_a_new_password_in_the_file_is_taken_by_the_next_connection(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in tracking.serving().items():
        if name.startswith("TRACKING_"):
            monkeypatch.setenv(name, value)
    settings = Database()
    assert settings.database_password_file
    assert unreadiness(settings) is None
    tracking.cluster.set_password(SERVER, "the next")
    try:
        assert "password authentication failed" in str(unreadiness(settings))
        settings.database_password_file.write_text("the next")
        assert unreadiness(settings) is None
        settings.database_password_file.unlink()
        assert "No such file or directory" in str(unreadiness(settings))
    finally:
        tracking.cluster.set_password(SERVER, PASSWORD)


def test_a_database_without_tls_is_refused(gcs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_cluster("ssl=off") as plain:
        tracking = Tracking.on(plain, "plain", gcs, tmp_path)
        for name, value in tracking.serving().items():
            if name.startswith("TRACKING_"):
                monkeypatch.setenv(name, value)
        assert "server does not support SSL, but SSL was required" in str(unreadiness(Database()))
