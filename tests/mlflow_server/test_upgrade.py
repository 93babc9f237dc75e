"""Data outlive an upgrade of MLflow, a backup and its restore; a large artifact goes to the bucket and comes back."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from tests.conftest import HANG_S
from tests.mlflow_server.cluster import OWNER, SERVER
from tests.mlflow_server.server import PASSWORD, Tracking

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
PREVIOUS = "3.16.0"  # the minor version before the locked one
OLD = ROOT / f".platform/mlflow-{PREVIOUS}"
RECORD = """
import sys
from mlflow.tracking import MlflowClient
client = MlflowClient(sys.argv[1])
run = client.create_run(client.create_experiment("before", artifact_location=sys.argv[2])).info.run_id
client.log_param(run, "depth", 3)
client.log_metric(run, "auc", 0.75)
client.create_registered_model("leads")
client.create_model_version("leads", sys.argv[2], run)
client.set_registered_model_alias("leads", "champion", "1")
client.set_terminated(run)
print(run)
"""


@pytest.fixture(scope="session")
def previous() -> Path:
    """The folder of the previous MLflow, fetched once on this machine; its dependencies are those of the locked one."""
    if not OLD.exists():
        draft = OLD.with_suffix(".draft")
        wanted = [f"{package}=={PREVIOUS}" for package in ("mlflow", "mlflow-skinny", "mlflow-tracing")]
        pip = subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--upgrade", "--target", draft, *wanted],
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )
        if pip.returncode:
            pytest.skip(f"the previous MLflow cannot be had here: {pip.stderr[-300:]}")
        draft.rename(OLD)
    return OLD


def test_runs_of_the_previous_minor_version_are_kept_by_an_upgrade(tracking: Tracking, previous: Path) -> None:
    address = f"postgresql+psycopg://{OWNER}@127.0.0.1:{tracking.cluster.port}/{tracking.database}"

    def old(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *arguments],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(previous), "PGPASSWORD": PASSWORD},
            cwd=tracking.log.parent,
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert old("-c", "import mlflow; print(mlflow.__version__)").split() == [PREVIOUS]
    old("-m", "mlflow", "db", "upgrade", address)
    run = old("-c", RECORD, address, tracking.artifacts).split()[-1]

    refused = tracking.run("serve")
    assert refused.returncode == 1
    assert "permission denied for table alembic_version): run the image with `migrate`, it grants" in refused.stderr
    with tracking.cluster.admin(tracking.database) as admin:
        admin.execute(f'GRANT SELECT ON alembic_version TO "{SERVER}"')
    assert "has the older schema" in tracking.run("serve").stderr
    tracking.migrate()
    with tracking.server():
        client = MlflowClient(tracking.url)
        kept = client.get_run(run)
        assert (kept.data.params, kept.data.metrics) == ({"depth": "3"}, {"auc": 0.75})
        assert client.get_model_version_by_alias("leads", "champion").run_id == run
        client.log_metric(run, "auc", 0.8, step=1)


def test_a_backup_is_restored_as_the_readme_says(migrated: Tracking, tmp_path: Path) -> None:
    tracking = migrated
    readme = (ROOT / "mlflow-server/README.md").read_text()
    options = {}
    for program in ("pg_dump", "pg_restore"):
        (line,) = (line for line in readme.splitlines() if line.startswith(f"{program} "))
        words = line.replace('--host "$HOST" --username migrator', "").split()[1:]
        names = {"mlflow": tracking.database, "mlflow.dump": str(tmp_path / "mlflow.dump")}
        options[program] = [names.get(word, word) for word in words]
    with tracking.server():
        client = MlflowClient(tracking.url)
        run = client.create_run(client.create_experiment("kept")).info.run_id
        client.log_metric(run, "auc", 0.75)
    tracking.cluster.run("pg_dump", *options["pg_dump"], user=OWNER, password=PASSWORD)
    with tracking.cluster.admin(tracking.database) as admin:
        admin.execute("DELETE FROM metrics; DELETE FROM latest_metrics; DROP TABLE registered_model_aliases")
    tracking.cluster.run("pg_restore", *options["pg_restore"], user=OWNER, password=PASSWORD)
    tracking.migrate()
    with tracking.server():
        client = MlflowClient(tracking.url)
        assert client.get_run(run).data.metrics == {"auc": 0.75}
        client.log_metric(run, "auc", 0.8, step=1)


@pytest.mark.parametrize("megabytes", [64, pytest.param(1024, marks=pytest.mark.nightly)])
def test_a_large_artifact_goes_to_the_bucket_and_comes_back_without_passing_the_server(
    migrated: Tracking, gcs: str, tmp_path: Path, megabytes: int
) -> None:
    tracking = migrated
    large = tmp_path / "large.bin"
    piece = os.urandom(1024**2)
    digest = hashlib.sha256()
    with large.open("wb") as file:
        for _ in range(megabytes):
            file.write(piece)
            digest.update(piece)
    client = (
        "import resource, sys, mlflow\n"
        "from service.tracking import tracked_run\n"
        "with tracked_run(sys.argv[1], 'large', {}) as run:\n"
        "    run.client.log_artifact(run.id, sys.argv[2])\n"
        "    print(run.client.download_artifacts(run.id, 'large.bin', sys.argv[3]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
    )
    copy = tmp_path / "copy"
    copy.mkdir()
    with tracking.server():
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", client, tracking.url, large, copy],
            env=os.environ | {"STORAGE_EMULATOR_HOST": gcs, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    received = hashlib.sha256()
    with (copy / "large.bin").open("rb") as file:
        while read := file.read(1024**2):
            received.update(read)
    assert received.digest() == digest.digest()
    memory = int(done.stdout.split()[-1])
    print(f"{megabytes} MiB to the bucket and back: {took:.0f} s, {memory} MiB of memory in the client")
    assert memory < 900  # less than the gigabyte: MLflow, pandas and scikit-learn alone take about 400
