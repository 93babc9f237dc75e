"""A roll-out under load: a new generation takes over from the old one behind a load balancer, pod by pod."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from infra.components.cloud_armor import HEALTH_PATH
from infra.stacks.edge import DRAINING_SECONDS
from infra.stacks.serving import DEPLOY
from service.records import read_object
from service.storage import open_storage
from tests.conftest import HANG_S, free_port
from tests.containers.engine import Engine
from tests.containers.hardening import HARDENED, MEMORY, state
from tests.containers.load import Load
from tests.service.forge import LEAD, release

pytestmark = pytest.mark.system

REQUESTS = 20_000
PODS = 2  # of each generation
# Seconds of a roll-out are as many tenths here.
PACE = 0.1
POD = yaml.safe_load((DEPLOY / "deployment.yaml").read_text())["spec"]["template"]["spec"]
PRE_STOP = POD["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
GRACE = POD["terminationGracePeriodSeconds"]
# The endpoint leaves its group this long after the pod is told to go: as late as preStop allows with the draining.
DETACHED = PRE_STOP - DRAINING_SECONDS

PROXY = """
global
    stats socket {socket} level admin
defaults
    mode http
    retries 0
    option http-keep-alive
    http-reuse always
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend door
    bind 127.0.0.1:{port}
    default_backend pods
backend pods
    balance leastconn
    option httpchk GET {path}
    timeout check 3s
    default-server check inter 1s fall 2 rise 1
{servers}
"""


class Proxy:
    """haproxy in the load balancer's place, told of endpoints as the load balancer is."""

    def __init__(self, folder: Path, servers: dict[str, int]) -> None:
        self.port, self._socket = free_port(), folder / "haproxy.sock"
        lines = [f"    server {name} 127.0.0.1:{port} disabled" for name, port in servers.items()]
        self.config = folder / "haproxy.cfg"
        text = PROXY.format(socket=self._socket, port=self.port, path=HEALTH_PATH, servers="\n".join(lines))
        self.config.write_text(text)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run it."""
        program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/sbin") or pytest.skip(
            "no haproxy on this machine: scripts/install-system installs it"
        )
        with subprocess.Popen([program, "-db", "-f", self.config]) as process:
            try:
                yield
            finally:
                process.terminate()

    def say(self, command: str) -> str:
        """What it answers on its socket."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self._socket))
            client.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: client.recv(65536), b"")).decode()

    def attach(self, name: str) -> None:
        """An endpoint joins."""
        self.say(f"set server pods/{name} state ready")

    def detach(self, name: str) -> None:
        """An endpoint leaves: no new request goes there, those under way are answered."""
        self.say(f"set server pods/{name} state drain")

    def served(self) -> dict[str, int]:
        """Requests by server."""
        rows = [row.split(",") for row in self.say("show stat").splitlines() if row.startswith("pods,")]
        return {row[1]: int(row[7]) for row in rows}


@dataclass(frozen=True)
class Pod:
    """A pod, or the container that stands for it."""

    name: str
    container: str


def test_no_request_fails_and_no_record_is_lost(
    engine: Engine, scoring_image: str, gcs: str, gcs_url: str, tmp_path: Path
) -> None:
    release(open_storage(f"{gcs_url}/models"))
    names = [f"{generation}-{number}" for generation in ("old", "new") for number in range(PODS)]
    ports = {name: free_port() for name in names}
    proxy = Proxy(tmp_path, ports)
    with contextlib.ExitStack() as stack:
        stack.enter_context(proxy.running())

        def start(name: str) -> Pod:
            """As the Deployment does: the pod is ready before the load balancer knows it."""
            options = environment(gcs, gcs_url, ports[name])
            pod = Pod(name, stack.enter_context(engine.container(scoring_image, *HARDENED, *options)))
            deadline = time.monotonic() + HANG_S
            while not is_ready(ports[name]):
                assert time.monotonic() < deadline, engine.run("logs", pod.container)
                time.sleep(0.05)
            proxy.attach(name)
            return pod

        def end(pod: Pod) -> None:
            """As Kubernetes does: endpoint removal and preStop begin at once, then comes SIGTERM, then SIGKILL."""
            time.sleep(DETACHED * PACE)
            proxy.detach(pod.name)
            time.sleep((PRE_STOP - DETACHED) * PACE)
            engine.run("stop", "--time", str(GRACE - PRE_STOP), pod.container)
            ended = state(engine, pod.container)
            assert (ended["ExitCode"], ended["OOMKilled"]) == (0, False), engine.run("logs", pod.container)

        old = [start(name) for name in names[:PODS]]
        load = Load(proxy.port, LEAD)
        with load.running():
            until(load, REQUESTS // 4)
            new = []
            for name, leaving in zip(names[PODS:], old, strict=True):
                new.append(start(name))
                end(leaving)
            until(load, REQUESTS)
        served = proxy.served()
        for pod in new:
            end(pod)

    print(f"rolling update: {len(load.answered):,} requests, {len(load.failed)} failed, by pod {served}")
    assert load.failed == []
    assert len(load.answered) >= REQUESTS
    assert all(served[name] > 0 for name in names)
    predictions = open_storage(f"{gcs_url}/predictions")
    stored = [predictions.read(key) for key in predictions.keys("")]
    records = Counter(record.lead_id for each in stored if each for record in read_object(each.data))
    assert records.total() == len(load.answered)
    assert records.keys() == {*load.answered}


def is_ready(port: int) -> bool:
    """What the readiness probe and the load balancer's health check ask."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}{HEALTH_PATH}", timeout=3, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def until(load: Load, count: int) -> None:
    """Wait until as many requests are answered."""
    deadline = time.monotonic() + HANG_S
    while len(load.answered) < count:
        assert time.monotonic() < deadline, (len(load.answered), load.failed[:5])
        time.sleep(0.1)


def environment(gcs: str, gcs_url: str, port: int) -> list[str]:
    """The options of one pod's container."""
    settings = {
        "MODELS_URL": f"{gcs_url}/models",
        "PREDICTIONS_URL": f"{gcs_url}/predictions",
        "SPOOL_DIR": "/spool",
        "PORT": str(port),
        "ALLOW_ANONYMOUS": "true",
    }
    variables = [f"--env=LEADSCORING_{name}={value}" for name, value in settings.items()]
    return [
        *variables,
        f"--env=STORAGE_EMULATOR_HOST={gcs}",
        "--tmpfs=/spool:uid=10001,mode=0700",
        f"--memory={MEMORY}",
    ]
