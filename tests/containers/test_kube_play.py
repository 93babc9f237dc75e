"""The Deployment as it is rendered for an environment, run by podman: the YAML itself is tried, not only the image."""

import copy
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from infra.environments import PROD
from infra.stacks.serving import objects
from service.records import read_object
from service.storage import Storage, open_storage
from tests.conftest import HANG_S, free_port
from tests.containers.engine import Engine
from tests.containers.hardening import assert_without_privilege
from tests.service.api.issuer import AUDIENCE, Issuer
from tests.service.forge import LEAD, release

pytestmark = pytest.mark.system

# What an engine within a container needs: runc, no systemd, and limits that it may set.
CONTAINERS_CONF = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=4096:4096"]
"""
IMAGE = "localhost/lead-scoring/scoring:latest"
Podman = Callable[..., str]


@pytest.fixture(scope="module")
def podman(engine: Engine, scoring_image: str) -> Iterator[Podman]:
    """podman with storage of its own, and the scoring image in it."""
    for program in ("podman", "runc", "catatonit"):
        if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/libexec/podman"):
            pytest.skip(f"no {program} on this machine: scripts/install-system installs it")
    with tempfile.TemporaryDirectory(prefix="podman-") as folder:  # podman refuses a run root of over 50 characters
        home = Path(folder)
        (home / "containers.conf").write_text(CONTAINERS_CONF)

        def run(*arguments: str | Path, check: bool = True) -> str:
            command = ["podman", "--root", home / "root", "--runroot", home / "run", *arguments]
            environment = os.environ | {"CONTAINERS_CONF": str(home / "containers.conf")}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG_S, check=False)
            assert done.returncode == 0 or not check, f"podman {arguments[0]}: {done.stdout}{done.stderr}"
            return done.stdout.strip()

        engine.run("save", "--output", home / "image.tar", scoring_image)
        run("load", "--quiet", "--input", home / "image.tar")
        (home / "image.tar").unlink()
        try:
            yield run
        finally:
            run("pod", "rm", "--force", "--all", check=False)
            run("rmi", "--all", "--force", check=False)


def on_a_laptop(deployment: dict[str, Any], gcs: str, gcs_url: str, port: int, keys_url: str) -> dict[str, Any]:
    """All that a laptop forces changed; everything else stands as it is rendered for production."""
    laptop = copy.deepcopy(deployment)
    pod = laptop["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    container["image"] = IMAGE  # built here, pushed nowhere
    values = {variable["name"]: variable for variable in container["env"]}
    values["LEADSCORING_MODELS_URL"]["value"] = f"{gcs_url}/models"  # an emulator's bucket
    values["LEADSCORING_PREDICTIONS_URL"]["value"] = f"{gcs_url}/predictions"
    added = {
        "STORAGE_EMULATOR_HOST": gcs,
        "LEADSCORING_IAP_KEYS_URL": keys_url,  # a proxy's keys of our own
        "LEADSCORING_PORT": str(port),  # the host's network, on which 8080 may be taken
    }
    container["env"] += [{"name": name, "value": value} for name, value in added.items()]
    pod["hostNetwork"] = True  # the emulator listens on loopback
    container["ports"] = []
    # podman would run curl inside the container, which has none: they are asked from outside.
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        del container[probe]
    return laptop


def wait_for(true: Callable[[], Any], what: str, seconds: float = HANG_S) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def leads(predictions: Storage) -> list[str]:
    """Of every uploaded record."""
    stored = [predictions.read(key) for key in predictions.keys("")]
    return sorted(record.lead_id for each in stored if each for record in read_object(each.data))


def test_the_rendered_deployment_serves_without_privilege_and_survives_a_kill(
    podman: Podman, gcs: str, gcs_url: str, tmp_path: Path
) -> None:
    release(open_storage(f"{gcs_url}/models"))
    found = objects(PROD, image=IMAGE, account="account")
    issuer, port = Issuer(), free_port()
    deployment = on_a_laptop(found["deployment"], gcs, gcs_url, port, issuer.url)
    audience = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "scoring-iap"},
        "data": {"audience": AUDIENCE},
    }
    (tmp_path / "scoring.yaml").write_text(yaml.safe_dump_all([audience, deployment]))
    podman("kube", "play", tmp_path / "scoring.yaml")
    (name,) = (each for each in podman("ps", "--format", "{{.Names}}").split() if each.endswith("-scoring"))

    def inspect() -> Any:
        return json.loads(podman("inspect", name))[0]

    http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=HANG_S, trust_env=False)

    def answers(path: str) -> bool:
        try:
            return http.get(path).status_code == 200
        except httpx.TransportError:
            return False

    def score(lead: str) -> int:
        headers = {"x-goog-iap-jwt-assertion": issuer.sign()}
        body = {"leads": [{"lead_id": lead, "features": LEAD}]}
        return http.post("/v1/score", json=body, headers=headers).status_code

    wait_for(lambda: answers("/readyz"), podman("logs", name, check=False))
    assert answers("/healthz")
    assert http.post("/v1/score", json={"leads": []}).status_code == 401  # the audience is mounted, and asked for
    assert score("before") == 200

    before = inspect()
    assert_without_privilege(Path(f"/proc/{before['State']['Pid']}/status").read_text())
    assert before["HostConfig"]["ReadonlyRootfs"] is True
    assert before["HostConfig"]["Memory"] == PROD.scoring_memory_mib * 2**20
    said = podman("exec", name, "python", "-c", "open('/app/x', 'w')", check=False)
    assert said == ""
    assert podman("exec", name, "sh", "-c", "touch /app/x 2>/dev/null || echo refused") == "refused"

    os.kill(before["State"]["Pid"], signal.SIGKILL)
    wait_for(lambda: inspect()["State"]["Pid"] not in (0, before["State"]["Pid"]), "it is not started anew")
    wait_for(lambda: answers("/readyz"), podman("logs", name, check=False))
    assert score("after") == 200
    podman(
        "pod",
        "stop",
        "--all",
        "--time",
        str(found["deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]),
    )
    assert leads(open_storage(f"{gcs_url}/predictions")) == ["after", "before"]
