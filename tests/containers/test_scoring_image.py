"""The scoring image, built from the real Dockerfile and run as hardened as in production."""

import itertools
import json
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.records import read_object
from service.storage import Storage, open_storage
from tests.benchmarks.image import OVER_BASE_MB
from tests.conftest import HANG_S
from tests.containers.engine import Engine
from tests.containers.hardening import (
    MEMORY,
    assert_locked,
    assert_only_what_runs,
    installed,
    sbom,
    shell,
    state,
)
from tests.containers.scoring import Service, leads, scoring
from tests.service.forge import LEAD, release

# One engine serves them all, so one worker runs them all.
pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]


@pytest.fixture
def service(engine: Engine, scoring_image: str, gcs: str, gcs_url: str) -> Iterator[Service]:
    """The image, ready to score with a bundle from a bucket."""
    models = open_storage(f"{gcs_url}/models")
    release(models)
    predictions = open_storage(f"{gcs_url}/predictions")
    with scoring(engine, scoring_image, gcs, models, predictions) as service:
        yield service


def recorded(predictions: Storage) -> Counter[str]:
    """How many records of each lead were uploaded."""
    objects = [predictions.read(key) for key in predictions.keys("")]
    return Counter(record.lead_id for stored in objects if stored for record in read_object(stored.data))


def test_the_container_serves_a_score_without_any_privilege(engine: Engine, service: Service) -> None:
    answer = service.http.post("/v1/score", json={"leads": [{"lead_id": "a", "features": LEAD}]})
    assert answer.status_code == 200, answer.text
    assert 0 < answer.json()["scores"][0]["score"] < 1

    assert_locked(engine, service.container, MEMORY)


def test_the_engine_finds_the_container_healthy(engine: Engine, service: Service) -> None:
    deadline = time.monotonic() + HANG_S
    while (health := state(engine, service.container)["Health"])["Status"] != "healthy":
        assert time.monotonic() < deadline, health
        time.sleep(0.2)


def test_it_swaps_to_the_next_bundle_of_the_bucket(service: Service) -> None:
    before = service.http.get("/readyz").json()["model_version"]
    expected = release(service.models, seed=1).version
    deadline = time.monotonic() + HANG_S
    while service.http.get("/readyz").json()["model_version"] != expected:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert before != expected
    assert service.http.post("/v1/score", json=leads("a")).json()["scores"][0]["model_version"] == expected


def test_sigterm_under_load_answers_what_is_in_flight_and_uploads_every_record(
    engine: Engine, service: Service
) -> None:
    answered, failed = list[str](), list[str]()
    stopping = threading.Event()

    def call(caller: int) -> None:
        with httpx.Client(base_url=service.http.base_url, timeout=HANG_S, trust_env=False) as http:
            for number in itertools.count():
                lead = f"{caller}-{number}"
                try:
                    answer = http.post("/v1/score", json=leads(lead))
                except httpx.ConnectError:
                    return  # it listens no more
                except httpx.TransportError as error:
                    # A connection that was idle may be closed as a request comes in: the load balancer, which has
                    # forgotten the pod by then, sends none. A request that was begun before is answered.
                    if not stopping.is_set():
                        failed.append(f"{lead}: {error!r}")
                    return
                (answered if answer.status_code == 200 else failed).append(lead)

    with ThreadPoolExecutor(8) as callers:
        for caller in range(8):
            callers.submit(call, caller)
        deadline = time.monotonic() + HANG_S
        while len(answered) < 200:
            assert time.monotonic() < deadline, failed
            time.sleep(0.01)
        assert list(service.predictions.keys("")) == []
        stopping.set()
        engine.run("stop", "--time", "20", service.container)
    ended = state(engine, service.container)
    assert (ended["ExitCode"], ended["OOMKilled"]) == (0, False), engine.run("logs", service.container)
    assert failed == []
    # Whoever got a score can rely on its record, and no lead has two.
    records = recorded(service.predictions)
    assert {*answered, "first"} <= records.keys()
    assert {*records.values()} == {1}


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
    assert_only_what_runs(engine, scoring_image)
    packages = {name.lower() for name in installed(engine, scoring_image)}
    assert "onnxruntime" in packages
    assert not {"scikit-learn", "pandas", "mlflow", "cdktf"} & packages
    files = shell(engine, scoring_image, "cd /app && find . -type f ! -name '*.pyc' ! -name sbom.cdx.json").split()
    expected = [
        *(ROOT / "service").glob("*.py"),
        *(ROOT / "service/model").rglob("*"),
        *(ROOT / "service/reading").rglob("*"),
        *(ROOT / "service/api").rglob("*"),
    ]
    allowed = {f"./{path.relative_to(ROOT)}" for path in expected}
    assert {"./service/api/__main__.py", "./service/model/bundle.py", "./service/settings.py"} <= set(files) <= allowed


def test_the_engine_is_sent_nothing_else_of_the_repository(engine: Engine, base: str, tmp_path: Path) -> None:
    recipe = tmp_path / "Dockerfile"
    recipe.write_text(f"FROM {base}\nCOPY . /context\n")
    shutil.copy(ROOT / "service/Dockerfile.dockerignore", tmp_path)
    engine.build(ROOT, "--file", recipe, "--tag", "context")
    files = shell(engine, "context", "cd /context && find . -type f").split()
    assert "./lock/serving.txt" in files
    locks = "|".join(re.findall(r"lock/\w+\.txt", (ROOT / "service/Dockerfile").read_text()))
    toml = r"service/examples/\w+\.toml"
    modules = r"service/((model|reading|api|lifecycle)/(\w+/)*)?\w+\.py"
    page = r"service/api/page/(static/\w+\.(js|css|svg)|templates/\w+\.html)"
    expected = rf"\./({locks}|{toml}|{modules}|{page})$"
    strangers = [file for file in files if not re.match(expected, file)]
    assert strangers == []


def test_the_image_lists_exactly_what_is_installed_in_it(engine: Engine, scoring_image: str) -> None:
    assert sbom(engine, scoring_image) == installed(engine, scoring_image)


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
    assert over <= OVER_BASE_MB
