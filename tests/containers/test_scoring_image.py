"""The scoring image, built from the real Dockerfile and run as hardened as in production."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.records import read_object
from service.storage import Storage, open_storage
from tests.conftest import free_port
from tests.containers.engine import Engine
from tests.service.forge import LEAD, release

# One engine serves them all, so one worker runs them all.
pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
HARDENED = (
    "--read-only",
    "--tmpfs=/spool:uid=10001,mode=0700",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--memory=512m",
    "--health-interval=1s",
)


@dataclass(frozen=True)
class Service:
    """A container that serves scores, and what it writes to."""

    container: str
    http: httpx.Client
    predictions: Storage


@pytest.fixture
def service(engine: Engine, scoring_image: str, gcs: str, gcs_url: str) -> Iterator[Service]:
    """The image, ready to score with a bundle from a bucket."""
    release(open_storage(f"{gcs_url}/models"))
    predictions = open_storage(f"{gcs_url}/predictions")
    port = str(free_port())
    environment = {
        "STORAGE_EMULATOR_HOST": gcs,
        "LEADSCORING_MODELS_URL": f"{gcs_url}/models",
        "LEADSCORING_PREDICTIONS_URL": predictions.url,
        "LEADSCORING_SPOOL_DIR": "/spool",
        "LEADSCORING_UPLOAD_SECONDS": "3600",  # so that only a clean stop uploads
        "LEADSCORING_PORT": port,
        "LEADSCORING_ALLOW_ANONYMOUS": "true",  # the image listens on all addresses, and here no proxy is in front
    }
    variables = [f"--env={name}={value}" for name, value in environment.items()]
    with (
        engine.container(scoring_image, *HARDENED, *variables) as container,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as http,
    ):
        deadline = time.monotonic() + 30
        while not is_ready(http):
            assert time.monotonic() < deadline, engine.run("logs", container)
            time.sleep(0.02)
        yield Service(container, http, predictions)


def is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def state(engine: Engine, container: str) -> Any:
    return json.loads(engine.run("inspect", "--format", "{{json .State}}", container))


def python(engine: Engine, container: str, program: str) -> str:
    """What a Python program prints inside the container."""
    return engine.run("exec", container, "python", "-c", program, check=False)


def shell(engine: Engine, image: str, script: str) -> str:
    """What a script prints in a new container of the image."""
    return engine.run("run", "--rm", "--network=host", "--entrypoint=sh", image, "-c", script, check=False)


def test_the_container_serves_a_score_without_any_privilege(engine: Engine, service: Service) -> None:
    answer = service.http.post("/v1/score", json={"leads": [{"lead_id": "a", "features": LEAD}]})
    assert answer.status_code == 200, answer.text
    assert 0 < answer.json()["scores"][0]["score"] < 1

    process = python(engine, service.container, "print(open('/proc/1/status').read())")
    facts = dict(line.split(":\t", 1) for line in process.splitlines() if ":\t" in line)
    assert facts["Uid"].split() == ["10001"] * 4
    assert facts["Gid"].split() == ["10001"] * 4
    assert {int(facts[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert facts["NoNewPrivs"] == "1"
    for folder in ("/app", "/opt/venv", "/tmp"):
        assert "Read-only file system" in python(engine, service.container, f"open('{folder}/x', 'w')")
    limits = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"  # cgroup v2, v1
    read = f"import pathlib; print(*(p.read_text() for p in map(pathlib.Path, {limits}) if p.exists()))"
    assert int(python(engine, service.container, read)) == 512 * 1024**2


def test_the_engine_finds_the_container_healthy(engine: Engine, service: Service) -> None:
    deadline = time.monotonic() + 30
    while (health := state(engine, service.container)["Health"])["Status"] != "healthy":
        assert time.monotonic() < deadline, health
        time.sleep(0.2)


def test_sigterm_ends_it_cleanly_with_every_record_uploaded(engine: Engine, service: Service) -> None:
    ids = [f"lead-{n:02}" for n in range(50)]
    leads = [{"lead_id": each, "features": LEAD} for each in ids]
    assert service.http.post("/v1/score", json={"leads": leads}).status_code == 200
    assert list(service.predictions.keys("")) == []

    engine.run("stop", "--time", "20", service.container)
    ended = state(engine, service.container)
    assert (ended["ExitCode"], ended["OOMKilled"]) == (0, False), engine.run("logs", service.container)

    objects = [service.predictions.read(key) for key in service.predictions.keys("")]
    assert [record.lead_id for stored in objects if stored for record in read_object(stored.data)] == ids


def test_nothing_is_reported_to_the_makers_of_the_engine_room(engine: Engine, service: Service) -> None:
    # ONNX Runtime tries to keep a device id as soon as it would report, and complains on a read-only disk.
    assert "telemetry" not in engine.run("logs", service.container).lower()


def test_missing_settings_are_named_and_end_it_with_2(engine: Engine, scoring_image: str) -> None:
    container = engine.run("create", "--network=host", scoring_image)
    try:
        said = engine.run("start", "--attach", container, check=False)
        assert "LEADSCORING_MODELS_URL: Field required" in said
        assert state(engine, container)["ExitCode"] == 2
    finally:
        engine.run("rm", container)


def test_only_what_serves_is_in_the_image(engine: Engine, scoring_image: str) -> None:
    assert shell(engine, scoring_image, "command -v gcc cc c++ ld make git pip pip3 uv") == ""
    modules = shell(engine, scoring_image, "cd /opt/venv/lib/python3.11/site-packages && echo *")
    assert "onnxruntime" in modules
    assert not {"pip", "setuptools", "sklearn", "pandas", "mlflow", "cdktf"} & set(modules.split())
    files = shell(engine, scoring_image, "cd /app && find . -type f ! -name '*.pyc'").split()
    expected = [
        *(ROOT / "service").glob("*.py"),
        *(ROOT / "service/model").rglob("*"),
        *(ROOT / "service/api").rglob("*"),
    ]
    allowed = {f"./{path.relative_to(ROOT)}" for path in expected}
    assert {"./service/api/__main__.py", "./service/model/bundle.py", "./service/settings.py"} <= set(files) <= allowed
    assert shell(engine, scoring_image, "find /etc/pip.conf /root/.config /root/.cache /tmp -type f 2>/dev/null") == ""


def test_the_engine_is_sent_nothing_else_of_the_repository(engine: Engine, base: str, tmp_path: Path) -> None:
    recipe = tmp_path / "Dockerfile"
    recipe.write_text(f"FROM {base}\nCOPY . /context\n")
    shutil.copy(ROOT / "service/Dockerfile.dockerignore", tmp_path)
    engine.build(ROOT, "--file", recipe, "--tag", "context")
    files = shell(engine, "context", "cd /context && find . -type f").split()
    assert "./lock/serving.txt" in files
    strangers = [
        file for file in files if not re.match(r"\./(lock/serving\.txt|service/((model|api)/)?\w+\.py)$", file)
    ]
    assert strangers == []


def test_the_image_says_what_it_is_made_from(engine: Engine, scoring_image: str) -> None:
    config = json.loads(engine.run("inspect", "--format", "{{json .Config}}", scoring_image))
    assert config["Labels"]["org.opencontainers.image.revision"] == "0123abc"
    assert config["Labels"]["org.opencontainers.image.version"] == "1.2.3"
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert list(config["ExposedPorts"]) == ["8080/tcp"]


def test_the_image_is_at_most_330_mb_over_its_base(engine: Engine, base: str, scoring_image: str) -> None:
    sizes = engine.run("inspect", "--format", "{{.Size}}", scoring_image, base).split()
    over = (int(sizes[0]) - int(sizes[1])) / 1e6
    print(f"scoring image: {over:.0f} MB over its base")
    assert over <= 330
