"""A Docker engine of the tests' own: its daemon, data and socket live in a temporary folder and end with it.

It has no bridge and leaves iptables alone: builds and containers use the host's network, which is also how
they reach the servers that tests start on loopback.
"""

import ast
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import HANG_S

SUITE = "bookworm"  # the Debian whose Python is 3.11
PACKAGES = "python3,python3-venv,ca-certificates"
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
COMMAND_S = 3 * HANG_S  # builds and installations of packages take minutes on a busy machine
REMEDY = "scripts/install-system installs what is needed (root on Debian)"
# The settings of the host's pip that make sense inside a build; addresses of files do not.
PIP_SETTINGS = frozenset({"index-url", "extra-index-url", "trusted-host", "timeout", "default-timeout", "proxy"})


class Unavailable(Exception):
    """An engine cannot run here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine, and the client that talks to it."""

    client: str
    socket: Path

    def run(self, *arguments: str | Path, seconds: float = COMMAND_S, check: bool = True) -> str:
        """What `docker ARGUMENTS` prints, errors included. Raises AssertionError with it when the command fails."""
        done = subprocess.run(
            [self.client, *arguments],
            env=os.environ | {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0 or not check, f"docker {arguments[0]} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout.strip()

    def build(self, context: Path, *options: str | Path) -> None:
        """Build an image, on the host's network and with the host's settings of pip."""
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as secret:
            secret.write(pip_conf())
            secret.flush()
            self.run(
                "build",
                "--network",
                "host",
                "--secret",
                f"id=pip.conf,src={secret.name}",
                *options,
                context,
            )

    @contextlib.contextmanager
    def container(self, image: str, *options: str, command: Sequence[str] = ()) -> Iterator[str]:
        """A running container on the host's network, by its id; gone at the end."""
        name = self.run("run", "--detach", "--network", "host", *options, image, *command)
        try:
            yield name
        finally:
            self.run("rm", "--force", "--volumes", name)


@contextlib.contextmanager
def running_engine() -> Iterator[Engine]:
    """Start an engine; stop it and remove all that it made at the end. Raises Unavailable."""
    daemon = program("dockerd")
    if os.geteuid() != 0:
        raise Unavailable("a Docker engine of our own needs root: run the tests as root, or in a container that is")
    client = buildkit_client()
    folder = Path(tempfile.mkdtemp(prefix="engine-"))  # short: the path of a socket has at most 107 characters
    engine = Engine(client, folder / "docker.sock")
    command: list[str | Path] = [
        *(daemon, "--host", f"unix://{engine.socket}", "--pidfile", folder / "docker.pid"),
        *("--data-root", folder / "data", "--exec-root", folder / "exec"),
        *("--bridge", "none", "--iptables=false", "--ip-forward=false"),
    ]
    try:
        with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                _wait(engine, process, folder / "log")
                yield engine
            finally:
                process.terminate()  # it stops its own containerd
    finally:
        # The one mount that the daemon leaves: the name of the host's network.
        subprocess.run(["umount", folder / "exec/netns/default"], capture_output=True)
        shutil.rmtree(folder)


def base_image(engine: Engine, cache: Path) -> str:
    """The name of a Debian base image made on this machine, a stand-in for the pinned one of production.

    Its files are cached. It alone knows the certificates by which this machine reaches the package index.
    """
    archive = cache / f"{SUITE}-{PACKAGES.replace(',', '-')}.tar"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as draft:
            made = Path(draft, archive.name)
            # Nothing of it must survive a crash of the machine.
            options = ("--quiet", "--variant=minbase", f"--include={PACKAGES}", "--dpkgopt=force-unsafe-io")
            subprocess.run([program("mmdebstrap"), *options, SUITE, made], check=True, timeout=COMMAND_S)
            made.rename(archive)
    engine.run("import", archive, "stand-in/debian")
    with tempfile.TemporaryDirectory() as context:
        recipe = "FROM stand-in/debian\n"
        if CA_BUNDLE.exists():
            shutil.copy(CA_BUNDLE, context)
            recipe += f"COPY {CA_BUNDLE.name} {CA_BUNDLE}\nENV PIP_CERT={CA_BUNDLE}\n"
        Path(context, "Dockerfile").write_text(recipe)
        engine.build(Path(context), "--tag", "stand-in/python")
    return "stand-in/python"


def program(name: str) -> str:
    """Its path. Raises Unavailable."""
    if path := shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        return path
    raise Unavailable(f"no {name} on this machine: {REMEDY}")


def buildkit_client() -> str:
    """A docker client that can build with BuildKit: up to 20.10 by itself, later ones with the buildx plugin."""
    folders = os.environ.get("PATH", "").split(":")
    for client in filter(None, (shutil.which("docker", path=folder) for folder in folders)):
        version = subprocess.run([client, "--version"], capture_output=True, text=True).stdout
        plugin = subprocess.run([client, "buildx", "version"], capture_output=True)
        if version.startswith("Docker version 20.") or plugin.returncode == 0:
            return client
    raise Unavailable(f"no docker client that can build with BuildKit on PATH: {REMEDY}")


def pip_conf() -> str:
    """The host's pip settings as a configuration file, without what only the host can see."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    lines = ["[global]"]
    for line in listed.stdout.splitlines():
        name, _, quoted = line.partition("=")
        setting = name.rpartition(".")[2]
        values = [value for value in str(ast.literal_eval(quoted)).split() if not value.startswith("file:")]
        if setting in PIP_SETTINGS and values:
            lines.append(f"{setting} = {' '.join(values)}")
    return "\n".join(lines) + "\n"


def _wait(engine: Engine, process: "subprocess.Popen[bytes]", log: Path, seconds: float = HANG_S) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(AssertionError):
            engine.run("version")
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise Unavailable(f"dockerd does not come up here; the end of its log:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)
