"""The jobs image: it trains and retrains for real, as hardened as in production."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from service.model import bundle
from service.storage import open_storage
from tests.benchmarks.image import SHARE
from tests.conftest import HANG_S
from tests.containers.engine import Engine
from tests.containers.hardening import HARDENED, assert_locked, assert_only_what_runs, installed, sbom, state
from tests.service.lifecycle import loop

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
MEMORY = 2 * 1024**3
LOCKED = (*HARDENED, "--tmpfs=/tmp:uid=10001,mode=0700", f"--memory={MEMORY}")
Run = Callable[..., str]


@pytest.fixture
def run(engine: Engine, jobs_image: str, gcs: str) -> Run:
    """Runs a job in a container to its end, as infra/stacks/lifecycle.py calls it; gives what it says."""

    def job(name: str, *arguments: str, mount: Path | None = None) -> str:
        options = [*LOCKED, f"--env=STORAGE_EMULATOR_HOST={gcs}", "--entrypoint=python"]
        if mount:
            mount.chmod(0o755)  # the container's user is not the one that runs the tests
            options.append(f"--volume={mount}:/sources:ro")
        command = ["-m", f"service.lifecycle.{name}", *arguments]
        return engine.run("run", "--rm", "--network=host", *options, jobs_image, *command)

    return job


def test_it_trains_records_and_publishes(run: Run, gcs_url: str, mlflow_url: str, tmp_path: Path) -> None:
    source = (ROOT / "service/examples/sample.toml").read_text().replace("rows = 20_000", "rows = 2_000")
    (tmp_path / "sample.toml").write_text(source)
    models = open_storage(f"{gcs_url}/models")
    said = run(
        "train", "--source=/sources/sample.toml", f"--models={models.url}", f"--tracking={mlflow_url}", mount=tmp_path
    )
    pointed = bundle.read_pointer(models)
    assert pointed
    served = bundle.load(models, pointed[0])
    assert f"serving {served.version}" in said
    assert served.manifest.provenance.git_commit == "0123abc"  # the commit that the image was built from
    run_id = served.manifest.provenance.mlflow_run_id
    assert MlflowClient(mlflow_url).get_run(run_id).info.status == "FINISHED"


def test_it_retrains_and_serves_a_better_model(run: Run, gcs_url: str, mlflow_url: str, tmp_path: Path) -> None:
    champion = loop.first_champion(tmp_path, "retrained-in-container", mlflow_url)
    made = loop.make(champion, gcs_url, mlflow_url, tmp_path / "metrics")
    before = made.served().version
    local, mounted = f"{tmp_path}/", "/sources/"
    arguments = [each.replace(local, mounted) for each in made.arguments()]
    metrics = arguments.index("--metrics")
    said = run("retrain", *arguments[:metrics], *arguments[metrics + 2 :], mount=tmp_path)
    assert f"promoted: {made.served().version}: better in roc_auc" in said
    assert made.served().version != before


def test_the_running_container_has_no_privilege(engine: Engine, jobs_image: str) -> None:
    sleep = ["-c", "import time; time.sleep(60)"]
    with engine.container(jobs_image, *LOCKED, "--entrypoint=python", command=sleep) as container:
        assert_locked(engine, container, MEMORY)


def test_sigterm_ends_a_training_at_once_and_publishes_nothing(
    engine: Engine,
    jobs_image: str,
    gcs: str,
    gcs_url: str,
    mlflow_url: str,
) -> None:
    models = open_storage(f"{gcs_url}/models")
    arguments = ["--source=service/examples/sample.toml", f"--models={models.url}", f"--tracking={mlflow_url}"]
    command = ["-m", "service.lifecycle.train", *arguments]
    options = [*LOCKED, f"--env=STORAGE_EMULATOR_HOST={gcs}", "--entrypoint=python"]
    with engine.container(jobs_image, *options, command=command) as container:
        deadline = time.monotonic() + HANG_S
        while "reading the leads" not in engine.run("logs", container):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        engine.run("stop", "--time", "240", container)
        # Not of SIGKILL, and not the code of a training that went on to its end.
        assert state(engine, container)["ExitCode"] == 128 + signal.SIGTERM
    assert bundle.read_pointer(models) is None
    client = MlflowClient(mlflow_url)
    experiment = client.get_experiment_by_name("sample")
    assert "FAILED" in {run.info.status for run in client.search_runs([experiment.experiment_id])}


def test_only_what_trains_is_in_the_image(engine: Engine, jobs_image: str) -> None:
    assert_only_what_runs(engine, jobs_image)
    files = engine.run("run", "--rm", "--network=host", "--entrypoint=ls", jobs_image, "/app/service").split()
    assert {"lifecycle", "model", "examples", "records.py"} <= {*files}
    assert "api" not in files
    assert sbom(engine, jobs_image) == installed(engine, jobs_image)
    labels = json.loads(engine.run("inspect", "--format", "{{json .Config.Labels}}", jobs_image))
    assert labels["org.opencontainers.image.revision"] == "0123abc"


def test_the_scoring_image_is_at_most_six_tenths_of_it(engine: Engine, scoring_image: str, jobs_image: str) -> None:
    scoring, jobs = map(int, engine.run("inspect", "--format", "{{.Size}}", scoring_image, jobs_image).split())
    print(f"scoring image: {scoring / 1e6:.0f} MB, {scoring / jobs:.0%} of the jobs image's {jobs / 1e6:.0f} MB")
    assert scoring <= SHARE * jobs
