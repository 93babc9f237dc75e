"""A run is recorded through a front that checks tokens, over many of their lives, and no other host sees one."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
import requests
from google.auth.compute_engine import _metadata
from mlflow.tracking import MlflowClient

from service import tracking_auth
from service.tracking import TrackingError, tracked_run
from service.tracking_auth import Identity, IdentityError, Signature, identify_to
from tests.facts import stating
from tests.service import google_double
from tests.service.google_double import Front, Google, certificate, private_pem, serving


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Google]:
    """A machine whose account has tokens from the metadata server, and nothing else."""
    double = Google()
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_AUTH", "")
    monkeypatch.delenv("MLFLOW_TRACKING_AUTH")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tracking_auth, "_identities", {})
    with serving(double):
        host = double.url.removeprefix("http://")
        monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", host)  # from GCE_METADATA_HOST at the first import
        monkeypatch.setenv("GCE_METADATA_IP", host)
        yield double


@pytest.fixture
def front(mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """A front of a real MLflow server."""
    file = certificate(tmp_path / "front.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(file))
    double = Front(mlflow_url)
    with serving(double, file):
        yield double


@pytest.fixture
def nowhere(google: Google, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """No machine of Google's: what answers in the metadata server's place is something else."""
    other = Front("http://127.0.0.1:9")
    with serving(other):
        monkeypatch.setenv("GCE_METADATA_IP", other.url.removeprefix("http://"))
        yield google


class Clock:
    """The wall clock of Google, of the front and of the identity: it moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (google_double, tracking_auth):
        monkeypatch.setattr(module, "time", made)
    return made


@pytest.mark.slow
def test_a_run_goes_on_over_many_lives_of_its_tokens(google: Google, front: Front, clock: Clock) -> None:
    google.life, steps = 4, 20
    with tracked_run(front.url, "identity", {"source": "crm"}) as run:
        for step in range(steps):
            run.client.log_metric(run.id, "loss", 1.0, step=step)
            clock.now += 0.5
        assert len(run.client.get_metric_history(run.id, "loss")) == steps
    assert front.refused == 0
    assert len(front.tokens) == 4  # 10 s, and each is used for three quarters of its life
    assert front.let_in > steps


def test_a_token_that_lives_long_is_asked_for_once(google: Google) -> None:
    identity = Identity("https://mlflow.example.com")
    assert len({identity.token() for _ in range(100)}) == 1
    assert google.given == 1


def test_a_failure_names_its_cause_and_nothing_is_sent_unsigned(google: Google, front: Front) -> None:
    google.broken = True
    with (
        pytest.raises(TrackingError, match=stating("no identity token", front.url, "the account was deleted")),
        tracked_run(front.url, "identity", {}),
    ):
        pass
    assert (front.let_in, front.refused) == (0, 0)


def test_a_short_failure_is_bridged_by_the_token_at_hand(google: Google, clock: Clock) -> None:
    google.life = 2
    identity = Identity("https://mlflow.example.com")
    first = identity.token()
    google.broken = True
    clock.now += 1.6
    assert identity.token() == first
    clock.now += 0.5
    with pytest.raises(IdentityError, match="the account was deleted"):
        identity.token()
    google.broken = False
    assert identity.token() != first


@pytest.mark.parametrize(
    "other",
    [
        "https://elsewhere.example.com/api",
        "http://mlflow.example.com/api",
        "https://mlflow.example.com:8443/api",
        "https://mlflow.example.com.evil.example/api",
        "https://evil.example/?https://mlflow.example.com",
    ],
)
def test_no_other_host_is_given_a_token(google: Google, other: str) -> None:
    identify_to("https://mlflow.example.com")
    ours = Signature()(requests.Request("GET", "https://MLFLOW.example.com:443/api").prepare())
    assert str(ours.headers["Authorization"]).startswith("Bearer ")
    assert "Authorization" not in Signature()(requests.Request("GET", other).prepare()).headers


def test_a_server_on_this_machine_is_asked_without_a_token(google: Google, front: Front, mlflow_url: str) -> None:
    with tracked_run(front.url, "identity", {}):
        pass
    given = google.given
    with tracked_run(mlflow_url, "identity", {}) as run:
        assert MlflowClient(mlflow_url).get_run(run.id).info.status == "RUNNING"
    assert google.given == given


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_AUTH"])
def test_a_login_of_ones_own_is_left_alone(google: Google, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "mine")
    identify_to("https://mlflow.example.com")
    assert "Authorization" not in Signature()(requests.Request("GET", "https://mlflow.example.com").prepare()).headers
    assert os.environ.get("MLFLOW_TRACKING_AUTH") in (None, "mine")


def test_a_service_accounts_file_is_enough(nowhere: Google, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    account = tmp_path / "account.json"
    key = {"type": "service_account", "client_email": "jobs@acme.iam.gserviceaccount.com", "private_key": private_pem()}
    account.write_text(json.dumps(key | {"private_key_id": "1", "token_uri": f"{nowhere.url}/token"}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
    claims = jwt.decode(Identity("https://mlflow.example.com").token(), options={"verify_signature": False})
    assert claims["aud"] == "https://mlflow.example.com"

    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(IdentityError, match=r"GOOGLE_APPLICATION_CREDENTIALS names .*missing\.json"):
        Identity("https://mlflow.example.com").token()


def test_a_persons_own_login_is_enough(nowhere: Google, tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match=stating("service account", "metadata server", "gcloud", "PATH")):
        Identity("https://mlflow.example.com").token()

    gcloud = tmp_path / "gcloud"
    token = nowhere.token("gcloud's own")
    gcloud.write_text(
        f'#!{sys.executable}\nimport sys\nassert sys.argv[1:] == ["auth", "print-identity-token"]\nprint("{token}")\n'
    )
    gcloud.chmod(0o755)
    assert Identity("https://mlflow.example.com").token() == token

    gcloud.write_text('#!/bin/sh\necho "ERROR: you do not have an active account" >&2\nexit 1\n')
    with pytest.raises(IdentityError, match=stating("you do not have an active account", "gcloud auth login")):
        Identity("https://mlflow.example.com").token()
