"""The server as its image runs it, on a real PostgreSQL and a real bucket's protocol."""

import concurrent.futures
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy import NullPool, create_engine

from tests.conftest import HANG_S, wait_for
from tests.mlflow_server.cluster import SERVER, certificate, pem
from tests.mlflow_server.server import PASSWORD, Tracking
from tracking_server.database import Unusable, check_schema

pytestmark = pytest.mark.system


def connections(tracking: Tracking) -> int:
    with tracking.cluster.admin() as admin:
        row = admin.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [tracking.database]).fetchone()
    assert row
    return int(str(row[0]))


def test_runs_models_aliases_and_artifacts_are_kept_and_the_pools_hold(migrated: Tracking, tmp_path: Path) -> None:
    tracking = migrated
    note = tmp_path / "note.txt"
    note.write_text("kept in the bucket")
    most = 0
    with tracking.server(TRACKING_WORKERS="2"):
        client = MlflowClient(tracking.url)
        experiment = client.create_experiment("parallel")
        client.create_registered_model("leads")

        def record(number: int) -> str:
            run = client.create_run(experiment)
            client.log_param(run.info.run_id, "number", number)
            for step in range(5):
                client.log_metric(run.info.run_id, "loss", number / (step + 1), step=step)
            client.log_artifact(run.info.run_id, str(note))
            version = client.create_model_version("leads", f"{run.info.artifact_uri}/model", run.info.run_id)
            client.set_registered_model_alias("leads", f"run-{number}", version.version)
            client.set_terminated(run.info.run_id)
            return str(run.info.run_id)

        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            futures = [pool.submit(record, number) for number in range(50)]
            while not all(future.done() for future in futures):
                most = max(most, connections(tracking))
                time.sleep(0.02)
            runs = [future.result() for future in futures]
        print(f"50 parallel runs: {time.monotonic() - began:.1f} s, at most {most} connections")

        kept = client.search_runs([experiment], max_results=100)
        assert {run.info.run_id: run.data.params["number"] for run in kept} == {r: str(n) for n, r in enumerate(runs)}
        assert {len(client.get_metric_history(run, "loss")) for run in runs} == {5}
        aliased = {n: client.get_model_version_by_alias("leads", f"run-{n}").run_id for n in range(50)}
        assert aliased == dict(enumerate(runs))
        for run in kept:
            assert run.info.artifact_uri.startswith(tracking.artifacts)
        copy = client.download_artifacts(runs[0], "note.txt", str(tmp_path))
        assert Path(copy).read_text() == "kept in the bucket"
    assert 4 <= most <= 2 * (2 * 5 + 1)


def test_nothing_acknowledged_is_lost_when_the_server_is_killed_in_the_middle(migrated: Tracking) -> None:
    tracking = migrated
    acknowledged: dict[str, list[int]] = {}
    with tracking.server() as first:
        client = MlflowClient(tracking.url)
        experiment = client.create_experiment("killed")
        runs = [client.create_run(experiment).info.run_id for _ in range(4)]

        def log(run: str) -> None:
            for step in range(1000):
                try:
                    client.log_metric(run, "loss", 1.0, step=step)
                except MlflowException:
                    return
                acknowledged.setdefault(run, []).append(step)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(log, run) for run in runs]
            deadline = time.monotonic() + HANG_S
            while min((len(acknowledged.get(run, [])) for run in runs), default=0) < 10:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            os.killpg(first.pid, signal.SIGKILL)
            os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"  # the fixture puts it back
            for future in futures:
                future.result()
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "4"
    with tracking.server():
        client = MlflowClient(tracking.url)
        for run in runs:
            kept = [metric.step for metric in client.get_metric_history(run, "loss")]
            assert set(acknowledged[run]) <= set(kept)
            assert len(kept) <= len(acknowledged[run]) + 1  # the one in flight
            client.log_metric(run, "loss", 0.5, step=2000)
            client.set_terminated(run)


def test_a_server_that_comes_back_is_found_by_a_run_that_goes_on(migrated: Tracking) -> None:
    tracking = migrated
    with tracking.server() as first:
        client = MlflowClient(tracking.url)
        run = client.create_run(client.create_experiment("goes on")).info.run_id
        client.log_metric(run, "loss", 1.0, step=0)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            meanwhile = pool.submit(client.log_metric, run, "loss", 0.5, step=1)
            with tracking.server():
                meanwhile.result()
                assert [metric.value for metric in client.get_metric_history(run, "loss")] == [1.0, 0.5]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_ends_it_cleanly_with_the_request_in_flight_answered(migrated: Tracking, workers: str) -> None:
    tracking = migrated
    with (
        tracking.server(TRACKING_WORKERS=workers) as server,
        httpx.Client(base_url=tracking.url, trust_env=False, timeout=HANG_S) as http,
        tracking.cluster.admin(tracking.database) as admin,
    ):
        search = {"max_results": 10}
        for _ in range(10):  # so that every worker has its stores
            assert http.post("/api/2.0/mlflow/experiments/search", json=search).status_code == 200
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            admin.execute("BEGIN; LOCK TABLE experiments")
            slow = pool.submit(http.post, "/api/2.0/mlflow/experiments/search", json=search)
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while admin.execute(waiting).fetchone() == (0,):
                assert not slow.done()
                time.sleep(0.01)
            server.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            admin.execute("COMMIT")
            assert slow.result().status_code == 200
        assert server.wait(HANG_S) == 0
        deadline = time.monotonic() + HANG_S  # Python's own tracker of the workers goes last
        while subprocess.run(["pgrep", "-g", str(server.pid)], capture_output=True).stdout:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_health_opens_nothing_and_readiness_asks_the_database(migrated: Tracking) -> None:
    tracking = migrated
    with tracking.server(), httpx.Client(base_url=tracking.url, trust_env=False, timeout=HANG_S) as http:
        stranger = {"Host": "elsewhere.example.com"}
        assert http.get("/health", headers=stranger).text == "OK"
        for closed in (
            "/",
            "/ready",
            "/metrics",
            "/api/2.0/mlflow/experiments/search",
            "/get-artifact?path=a",
        ):
            assert http.get(closed, headers=stranger).status_code == 403, closed
        # As a browser asks through `gcloud run services proxy`: by Cloud Run's name, from a page of this machine.
        search = "/ajax-api/2.0/mlflow/experiments/search"
        for host, origin, status in (
            ("mlflow-k3xjq7w2ya-ew.a.run.app", "http://localhost:8080", 200),
            ("mlflow-k3xjq7w2ya-ew.a.run.app", "https://elsewhere.example.com", 403),
            ("other-k3xjq7w2ya-ew.a.run.app", "http://localhost:8080", 403),
            ("mlflow-k3xjq7w2ya-ew.a.run.app.example.com", "http://localhost:8080", 403),
        ):
            asked = http.post(search, headers={"Host": host, "Origin": origin}, json={"max_results": 1})
            assert asked.status_code == status, (host, origin)
        assert http.get("/ajax-api/3.0/mlflow/assistant/config").status_code == 404
        proxied = http.get("/api/2.0/mlflow-artifacts/artifacts")
        assert proxied.status_code == 503
        assert "--no-serve-artifacts" in proxied.text
        assert (http.get("/ready").status_code, http.get("/ready").text) == (200, "ready\n")
        assert "\nleadscoring_tracking_ready 1\n" in http.get("/metrics").text

        tracking.cluster.set_password(SERVER, "changed behind its back")
        try:
            deadline = time.monotonic() + HANG_S
            while (answer := http.get("/ready")).status_code == 200:
                assert time.monotonic() < deadline
                time.sleep(0.5)
            assert answer.status_code == 503
            assert "password authentication failed" in answer.text
            assert "\nleadscoring_tracking_ready 0\n" in http.get("/metrics").text
            assert http.get("/health").status_code == 200
        finally:
            tracking.cluster.set_password(SERVER, PASSWORD)


def test_while_the_database_lets_nobody_in_all_that_needs_it_is_answered_with_5xx(migrated: Tracking) -> None:
    # That is what the alerts in the cloud go by: monitoring/catalogue/tracking.py.
    tracking = migrated
    with tracking.server(), httpx.Client(base_url=tracking.url, trust_env=False, timeout=HANG_S) as http:
        client = MlflowClient(tracking.url)  # whose first calls open both of the server's engines
        client.create_experiment("while it does")
        client.search_registered_models()
        tracking.cluster.set_password(SERVER, "changed behind its back")
        try:
            with tracking.cluster.admin() as admin:
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [SERVER])
            answers = (
                http.post("/api/2.0/mlflow/experiments/create", json={"name": "while it does not"}),
                http.post("/api/2.0/mlflow/runs/search", json={"experiment_ids": ["0"]}),
                http.get("/api/2.0/mlflow/registered-models/search"),
                http.get("/ready"),
            )
            assert [answer.status_code for answer in answers] == [503] * 4
            assert http.get("/").status_code == 200  # the page's frame: good answers alone are no proof
        finally:
            tracking.cluster.set_password(SERVER, PASSWORD)


def test_a_download_through_the_server_is_capped_and_says_where_to_get_it(migrated: Tracking, tmp_path: Path) -> None:
    tracking = migrated
    small, large = tmp_path / "small.bin", tmp_path / "large.bin"
    small.write_bytes(b"s" * 100_000)
    large.write_bytes(b"l" * 100_001)
    limit = {"TRACKING_DOWNLOAD_MAX_BYTES": "100000"}
    with tracking.server(**limit), httpx.Client(base_url=tracking.url, trust_env=False, timeout=HANG_S) as http:
        client = MlflowClient(tracking.url)
        run = client.create_run(client.create_experiment("capped")).info.run_id
        client.log_artifact(run, str(small), "files")
        client.log_artifact(run, str(large), "files")
        shown = http.get("/get-artifact", params={"run_uuid": run, "path": "files/small.bin"})
        assert (shown.status_code, shown.content) == (200, small.read_bytes())
        capped = http.get("/get-artifact", params={"run_uuid": run, "path": "files/large.bin"})
        assert capped.status_code == 400
        assert "files/large.bin has 0.1 MB; through this server at most 0.1 MB" in capped.json()["message"]
        assert f"gcloud storage cp {tracking.artifacts}/" in capped.json()["message"]
        copy = client.download_artifacts(run, "files/large.bin", str(tmp_path / "copy").rstrip("/"))
        assert Path(copy).read_bytes() == large.read_bytes()


def test_a_server_changes_no_schema_and_says_what_to_do(tracking: Tracking) -> None:
    empty = tracking.run("serve")
    assert empty.returncode == 1
    assert "the database holds no schema" in empty.stderr
    assert "run the image with `migrate`" in empty.stderr
    with tracking.cluster.admin(tracking.database) as admin:
        assert admin.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_an_older_schema_and_a_newer_one_are_told_apart(migrated: Tracking) -> None:
    database = create_engine(
        "postgresql+psycopg://", creator=lambda: migrated.cluster.admin(migrated.database), poolclass=NullPool
    )
    check_schema(database)
    with migrated.cluster.admin(migrated.database) as admin:
        for revision, told in (
            ("451aebb31d03", "has the older schema 451aebb31d03"),
            ("ffffffffffff", "schema ffffffffffff of a newer MLflow"),
        ):
            admin.execute("UPDATE alembic_version SET version_num = %s", [revision])
            with pytest.raises(Unusable, match=told):
                check_schema(database)


def test_more_connections_than_the_database_has_are_refused(migrated: Tracking) -> None:
    refused = migrated.run("serve", TRACKING_WORKERS="8", TRACKING_POOL_SIZE="5", TRACKING_MAX_OVERFLOW="10")
    assert refused.returncode == 1
    assert "may open 248 connections, the database gives 97" in refused.stderr


def test_it_waits_for_a_database_that_is_not_there_yet(migrated: Tracking) -> None:
    tracking = migrated
    missing = f"{tracking.database}-late"
    command = [sys.executable, "-m", "tracking_server", "serve"]
    environment = tracking.serving() | {"TRACKING_DATABASE_NAME": missing, "TRACKING_DATABASE_WAIT_SECONDS": "60"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr
        assert f'database "{missing}" does not exist' in next(line for line in server.stderr if "waiting for" in line)
        with tracking.cluster.admin() as admin:
            admin.execute(f'ALTER DATABASE "{tracking.database}" RENAME TO "{missing}"')
        try:
            wait_for(f"{tracking.url}/health", server)  # type: ignore[arg-type]
        finally:
            server.kill()


def test_a_database_that_cannot_prove_itself_is_refused(migrated: Tracking, tmp_path: Path) -> None:
    tracking = migrated
    stranger, own = pem(certificate("a stranger")[0]), tracking.cluster.authority.read_text()
    # While authorities change the database's own is one of several.
    with tracking.server(TRACKING_DATABASE_CA=f"{stranger}\n{own}"):
        MlflowClient(tracking.url).create_experiment("over verified TLS")
    file = tmp_path / "stranger.crt"
    file.write_text(stranger)
    for command, given in {
        "serve": {"TRACKING_DATABASE_CA": stranger},
        "migrate": {"TRACKING_DATABASE_CA_FILE": str(file)},
    }.items():
        refused = tracking.run(command, TRACKING_DATABASE_WAIT_SECONDS="0", **given)
        assert refused.returncode == 1
        assert "certificate verify failed" in refused.stderr
    done = tracking.run("migrate", TRACKING_DATABASE_CA_FILE=str(tracking.cluster.authority))
    assert done.returncode == 0, done.stderr
