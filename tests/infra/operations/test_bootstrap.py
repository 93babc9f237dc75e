"""The first steps in a project: the bucket against a real storage server, the checks against one that speaks HTTP."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from infra.environments import DEV
from infra.operations import bootstrap
from infra.operations.bootstrap import PERMISSIONS, QUOTAS, Google


class Cloud:
    """What the project is like, and what was asked of it."""

    def __init__(self) -> None:
        self.permissions = list(PERMISSIONS)
        self.billing: dict[str, Any] = {"billingEnabled": True}
        self.quotas = [{"metric": metric, "limit": need, "usage": 0} for metric, need in QUOTAS.items()]
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.status = 200

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append((method, path, body))
        if self.status != 200:
            return self.status, {"error": {"message": "The API is not enabled"}}
        answers: dict[tuple[str, str], dict[str, Any]] = {
            ("POST", f"/v3/projects/{DEV.project}:testIamPermissions"): {
                "permissions": [each for each in body.get("permissions", []) if each in self.permissions]
            },
            ("GET", f"/v1/projects/{DEV.project}/billingInfo"): self.billing,
            ("GET", f"/compute/v1/projects/{DEV.project}/regions/{DEV.region}"): {"quotas": self.quotas},
        }
        return (200, answers[method, path]) if (method, path) in answers else (404, {})


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def apis(cloud: Cloud) -> Iterator[Google]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = cloud.answer(self.command, self.path, json.loads(text or b"{}"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = _serve  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, requests.Session() as session:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        yield Google(session, resource_manager=url, billing=url, compute=url)
        server.shutdown()


@pytest.fixture
def client(gcs: str) -> Iterator[storage.Client]:
    made = storage.Client(DEV.project, AnonymousCredentials(), client_options={"api_endpoint": gcs})
    yield made
    if bucket := made.lookup_bucket(DEV.state_bucket):
        bucket.delete(force=True)


def test_a_project_that_is_ready_gets_a_locked_down_bucket(
    apis: Google, client: storage.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bootstrap.run(DEV, apis, client) == 0
    assert f"made gs://{DEV.state_bucket} in {DEV.region}" in capsys.readouterr().out
    bucket = client.get_bucket(DEV.state_bucket)
    assert bucket.versioning_enabled


def test_a_second_run_changes_nothing_and_a_third_puts_right_what_somebody_changed(client: storage.Client) -> None:
    bootstrap.state_bucket(DEV, client)
    # The server keeps versioning and the location; the rest it forgets, so that is put right once more.
    bucket = client.get_bucket(DEV.state_bucket)
    assert bootstrap.state_bucket(DEV, client) in ([], [f"put right: {', '.join(bootstrap._wrong(bucket))}"])
    bucket.versioning_enabled = False
    bucket.patch()
    (done,) = bootstrap.state_bucket(DEV, client)
    assert done.startswith("put right: versioning")
    assert client.get_bucket(DEV.state_bucket).versioning_enabled


def test_the_request_that_makes_the_bucket_locks_it_down(client: storage.Client) -> None:
    bucket = client.bucket("b")
    bootstrap._lock_down(bucket)
    assert bucket._properties["iamConfiguration"] == {
        "uniformBucketLevelAccess": {"enabled": True},
        "publicAccessPrevention": "enforced",
    }
    assert bucket._properties["versioning"] == {"enabled": True}


def test_each_check_asks_google_and_the_project_as_documented(cloud: Cloud, apis: Google) -> None:
    assert list(bootstrap.faults(DEV, apis)) == []
    assert [(method, path) for method, path, _ in cloud.asked] == [
        ("POST", f"/v3/projects/{DEV.project}:testIamPermissions"),
        ("GET", f"/v1/projects/{DEV.project}/billingInfo"),
        ("GET", f"/compute/v1/projects/{DEV.project}/regions/{DEV.region}"),
    ]
    assert cloud.asked[0][2] == {"permissions": list(PERMISSIONS)}


def test_what_is_missing_is_named_and_nothing_is_made(
    cloud: Cloud, apis: Google, client: storage.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.permissions.remove("container.clusters.create")
    cloud.billing = {"billingEnabled": False}
    cloud.quotas = [{"metric": "CPUS", "limit": 24.0, "usage": 20.0}]
    assert bootstrap.run(DEV, apis, client) == 1
    said = capsys.readouterr().err
    assert f"no permission for container.clusters.create on {DEV.project}" in said
    assert f"{DEV.project} has no billing account" in said
    assert f"quota CPUS in {DEV.region}: 20 of 24 used, 8 more are needed" in said
    assert "quota STATIC_ADDRESSES" in said
    assert client.lookup_bucket(DEV.state_bucket) is None


def test_an_api_that_answers_with_an_error_is_a_fault_with_its_words(cloud: Cloud, apis: Google) -> None:
    cloud.status = 403
    found = list(bootstrap.faults(DEV, apis))
    assert len(found) == 3
    assert all("answers 403" in fault and "The API is not enabled" in fault for fault in found)


def test_an_api_that_does_not_answer_is_a_fault() -> None:
    nowhere = "http://127.0.0.1:9"
    with requests.Session() as session:
        apis = Google(session, resource_manager=nowhere, billing=nowhere, compute=nowhere)
        assert all("does not answer" in fault for fault in bootstrap.faults(DEV, apis))


def test_a_dry_run_says_everything_and_asks_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")
    assert bootstrap.main(["dev", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert f"would make gs://{DEV.state_bucket} in {DEV.region}" in said
    assert all(permission in said for permission in PERMISSIONS)
