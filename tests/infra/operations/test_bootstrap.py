"""The first steps in a project: the bucket against a real storage server, the checks against one that speaks HTTP."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from infra.environments import DEV
from infra.operations import bootstrap
from infra.operations.bootstrap import BUDGET, PERMISSIONS, Google
from infra.operations.prerequisites import CLUSTER_CPUS, FIRST_APIS, quotas
from tests.facts import states

HOSTS = ("cloudresourcemanager", "cloudbilling", "compute")


class Cloud:
    """What the project is like, and what was asked of it."""

    def __init__(self) -> None:
        self.permissions = [*PERMISSIONS, BUDGET]
        self.billing: dict[str, Any] = {"billingEnabled": True}
        self.quotas = [{"metric": metric, "limit": need, "usage": 0} for metric, need in quotas(DEV).items()]
        self.project: dict[str, Any] = {"projectId": DEV.project, "parent": "folders/1"}
        # Where no policy is set, the effective one is the constraint's default.
        self.policy: dict[str, Any] = {"listPolicy": {"allValues": "ALLOW"}}
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.status = 200
        self.off: set[str] = set()  # APIs

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append((method, path, body))
        if self.status != 200:
            return self.status, {"error": {"message": "no"}}
        service, answers = self._answers(body)[method, path]
        return disabled(service) if service in self.off else (200, answers)

    def _answers(self, body: dict[str, Any]) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
        """By request: the API that answers it, and the answer."""
        held = {"permissions": [each for each in body.get("permissions", []) if each in self.permissions]}
        manager, billing, compute = (f"{name}.googleapis.com" for name in HOSTS)
        return {
            ("POST", f"/v3/projects/{DEV.project}:testIamPermissions"): (manager, held),
            ("GET", f"/v3/projects/{DEV.project}"): (manager, self.project),
            ("POST", f"/v1/projects/{DEV.project}:getEffectiveOrgPolicy"): (manager, self.policy),
            ("GET", f"/v1/projects/{DEV.project}/billingInfo"): (billing, self.billing),
            ("POST", f"/v1/billingAccounts/{DEV.billing_account}:testIamPermissions"): (billing, held),
            ("GET", f"/compute/v1/projects/{DEV.project}/regions/{DEV.region}"): (compute, {"quotas": self.quotas}),
        }


def disabled(service: str) -> tuple[int, dict[str, Any]]:
    """What an API answers that is off in the project.

    google/api/error_reason.proto (SERVICE_DISABLED) and google/rpc/error_details.proto (ErrorInfo) of
    https://github.com/googleapis/googleapis
    """
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "SERVICE_DISABLED",
        "domain": "googleapis.com",
        "metadata": {"consumer": f"projects/{DEV.project_number}", "service": service},
    }
    says = f"{service} has not been used in project {DEV.project_number} before or it is disabled."
    return 403, {"error": {"code": 403, "message": says, "status": "PERMISSION_DENIED", "details": [info]}}


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
        ("POST", f"/v1/billingAccounts/{DEV.billing_account}:testIamPermissions"),
        ("GET", f"/compute/v1/projects/{DEV.project}/regions/{DEV.region}"),
        ("POST", f"/v1/projects/{DEV.project}:getEffectiveOrgPolicy"),
    ]
    assert cloud.asked[0][2] == {"permissions": list(PERMISSIONS)}
    assert cloud.asked[-1][2] == {"constraint": "constraints/iam.allowedPolicyMemberDomains"}


@pytest.mark.parametrize("name", HOSTS)
def test_an_api_that_is_off_is_named_with_the_command_that_turns_on_all_that_are_asked(
    name: str, cloud: Cloud, apis: Google
) -> None:
    cloud.off = {f"{name}.googleapis.com"}
    found = set(bootstrap.faults(DEV, apis))
    assert len(found) == 1
    states(found.pop(), f"{name}.googleapis.com is off", f"gcloud services enable {' '.join(FIRST_APIS)}")


def test_every_api_that_is_asked_is_one_that_the_owner_turns_on(apis: Google, cloud: Cloud) -> None:
    cloud.off = {f"{name}.googleapis.com" for name in HOSTS}
    named = {fault.partition(" is off")[0] for fault in bootstrap.faults(DEV, apis)}
    assert named == cloud.off
    assert named < set(FIRST_APIS)


@pytest.mark.parametrize("policy", [{"allowedValues": ["C0abc123"]}, {"allValues": "DENY"}])
def test_domain_restricted_sharing_is_told_unless_the_environment_does_without_usage_logs(
    policy: dict[str, Any], cloud: Cloud, apis: Google
) -> None:
    cloud.policy = {"listPolicy": policy}
    (fault,) = bootstrap.faults(DEV, apis)
    states(fault, "iam.allowedPolicyMemberDomains", "usage_logs=False", DEV.project)
    assert list(bootstrap.faults(DEV.model_copy(update={"usage_logs": False}), apis)) == []


def test_a_project_without_an_organization_is_told_before_anything_is_made(
    cloud: Cloud, apis: Google, client: storage.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    del cloud.project["parent"]
    assert bootstrap.run(DEV, apis, client) == 0
    out = capsys.readouterr().out
    assert out.index("no organization") < out.index("made gs://")
    states(out, "OAuth client", "infra/README.md")


def test_a_project_that_cannot_be_read_is_told_and_nothing_is_made(
    apis: Google, client: storage.Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "faults", lambda *_: [])
    away = replace(apis, resource_manager="http://127.0.0.1:9")
    assert bootstrap.run(DEV, away, client) == 1
    states(capsys.readouterr().err, DEV.project, "does not answer")
    assert client.lookup_bucket(DEV.state_bucket) is None


def test_what_is_missing_is_named_and_nothing_is_made(
    cloud: Cloud, apis: Google, client: storage.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.permissions.remove("container.clusters.create")
    cloud.permissions.remove(BUDGET)
    cloud.billing = {"billingEnabled": False}
    cloud.quotas = [{"metric": "CPUS", "limit": 24.0, "usage": 20.0}]
    assert bootstrap.run(DEV, apis, client) == 1
    said = capsys.readouterr().err
    assert f"no permission for container.clusters.create on {DEV.project}" in said
    assert f"{DEV.project} has no billing account" in said
    assert f"no permission for {BUDGET} on {DEV.billing_account}" in said
    assert f"quota CPUS in {DEV.region}: 20 of 24 used, 8 more are needed" in said
    assert "quota STATIC_ADDRESSES" in said
    assert client.lookup_bucket(DEV.state_bucket) is None


def test_room_for_cpus_follows_from_the_pods_that_there_may_be() -> None:
    assert quotas(DEV)["CPUS"] == CLUSTER_CPUS + 1
    many = DEV.model_copy(update={"scoring_replicas": (1, 31), "scoring_millicpus": 750})
    assert quotas(many)["CPUS"] == CLUSTER_CPUS + 24


def test_an_api_that_answers_with_an_error_is_a_fault_with_its_words(cloud: Cloud, apis: Google) -> None:
    cloud.status = 403
    found = list(bootstrap.faults(DEV, apis))
    assert len(found) == 4
    assert all("answers 403" in fault and '"no"' in fault for fault in found)


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
