"""MLflow's image, built from the real Dockerfile: migrates an empty PostgreSQL and serves, without any privilege."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import mlflow
import pytest
from mlflow.tracking import MlflowClient

from tests.conftest import HANG_S
from tests.containers.engine import Engine
from tests.containers.hardening import assert_only_what_runs, installed, sbom, shell
from tests.mlflow_server.cluster import Unavailable, running_cluster
from tests.mlflow_server.server import Tracking

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
HARDENED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=2g")


@pytest.fixture(scope="session")
def mlflow_image(engine: Engine, base: str) -> str:
    """The image, built as a release builds it."""
    arguments = {"BASE_IMAGE": base, "COMMIT": "0123abc", "VERSION": "1.2.3"}
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    engine.build(ROOT, "--file", ROOT / "mlflow-server/Dockerfile", "--tag", "lead-scoring/mlflow-server", *options)
    return "lead-scoring/mlflow-server"


@pytest.fixture
def tracking(gcs: str, tmp_path: Path) -> Iterator[Tracking]:
    """Settings on an empty database, with the password mounted as a secret is."""
    try:
        with running_cluster() as cluster:
            yield Tracking.on(cluster, "mlflow", gcs, tmp_path)
    except Unavailable as reason:
        pytest.skip(str(reason))


def options(environment: dict[str, str]) -> list[str]:
    secret = Path(environment["TRACKING_DATABASE_PASSWORD_FILE"])
    secret.chmod(0o444)
    given = {name: value for name, value in environment.items() if name.startswith(("TRACKING_", "STORAGE_"))}
    given["TRACKING_DATABASE_PASSWORD_FILE"] = "/secrets/database/password"
    variables = [f"--env={name}={value}" for name, value in given.items()]
    return [*HARDENED, f"--volume={secret}:/secrets/database/password:ro", *variables]


def test_it_migrates_serves_keeps_a_run_and_an_artifact_and_ends_cleanly(
    engine: Engine, mlflow_image: str, tracking: Tracking, gcs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs)
    proves_itself = {"TRACKING_DATABASE_CA": tracking.cluster.authority.read_text()}
    migration = options(tracking.migration() | proves_itself)
    said = engine.run("run", "--rm", "--network=host", *migration, mlflow_image, "migrate")
    assert "may read and write rows" in said

    serving = tracking.serving() | proves_itself | {"TRACKING_AUTHENTICATED_BY": "proxy", "TRACKING_WORKERS": "2"}
    with (
        engine.container(mlflow_image, *options(serving), "--health-interval=1s") as container,
        httpx.Client(base_url=tracking.url, timeout=30, trust_env=False) as http,
    ):
        deadline = time.monotonic() + HANG_S
        while True:
            try:
                if http.get("/health").status_code == 200:
                    break
            except httpx.TransportError:
                assert time.monotonic() < deadline, engine.run("logs", container)
                time.sleep(0.1)

        note = tmp_path / "note.txt"
        note.write_text("kept")
        client = MlflowClient(tracking.url)
        run = client.create_run(client.create_experiment("in a container")).info.run_id
        client.log_metric(run, "auc", 0.75)
        client.log_artifact(run, str(note))
        assert client.get_run(run).data.metrics == {"auc": 0.75}
        shown = http.get("/get-artifact", params={"run_uuid": run, "path": "note.txt"})
        assert (shown.status_code, shown.text) == (200, "kept")
        assert http.get("/ready").text == "ready\n"

        process = engine.run("exec", container, "cat", "/proc/1/status")
        facts = dict(line.split(":\t", 1) for line in process.splitlines() if ":\t" in line)
        assert facts["Uid"].split() == facts["Gid"].split() == ["10001"] * 4
        assert {int(facts[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
        assert facts["NoNewPrivs"] == "1"
        for folder in ("/app", "/opt/venv", "/etc"):
            assert "Read-only file system" in engine.run("exec", container, "touch", f"{folder}/x", check=False)
        deadline = time.monotonic() + HANG_S
        while engine.run("inspect", "--format", "{{.State.Health.Status}}", container) != "healthy":
            assert time.monotonic() < deadline
            time.sleep(0.2)

        engine.run("stop", "--time", "10", container)
        ended = json.loads(engine.run("inspect", "--format", "{{json .State}}", container))
        assert (ended["ExitCode"], ended["OOMKilled"]) == (0, False), engine.run("logs", container)


def test_unsafe_settings_end_it_with_2_by_name(engine: Engine, mlflow_image: str, tracking: Tracking) -> None:
    container = engine.run("create", "--network=host", *options(tracking.serving()), mlflow_image)
    try:
        said = engine.run("start", "--attach", container, check=False)
        assert "TRACKING_AUTHENTICATED_BY: authenticated_by is missing" in said  # it listens on all addresses
        assert engine.run("inspect", "--format", "{{.State.ExitCode}}", container) == "2"
    finally:
        engine.run("rm", container)


def test_only_what_serves_is_in_the_image(engine: Engine, base: str, mlflow_image: str) -> None:
    assert_only_what_runs(engine, mlflow_image)
    files = shell(engine, mlflow_image, "cd /app && find . -type f ! -name '*.pyc' ! -name sbom.cdx.json").split()
    assert {file.rpartition("/")[2] for file in files} == {
        path.name for path in (ROOT / "mlflow-server/tracking_server").glob("*.py")
    }
    config = json.loads(engine.run("inspect", "--format", "{{json .Config}}", mlflow_image))
    assert config["Labels"]["org.opencontainers.image.revision"] == "0123abc"
    assert (config["User"], config["StopSignal"]) == ("10001:10001", "SIGTERM")
    sizes = engine.run("inspect", "--format", "{{.Size}}", mlflow_image, base).split()
    print(f"MLflow's image: {(int(sizes[0]) - int(sizes[1])) / 1e6:.0f} MB over its base")


def test_the_image_lists_exactly_what_is_installed_in_it(engine: Engine, mlflow_image: str) -> None:
    packages = installed(engine, mlflow_image)
    assert packages["mlflow"] == mlflow.__version__
    assert sbom(engine, mlflow_image) == packages
