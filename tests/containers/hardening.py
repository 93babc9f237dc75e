"""How containers are run here, as tightly as in production, and proof that they are: asked of the process itself."""

import json
from typing import Any

from tests.containers.engine import Engine

MEMORY = 512 * 1024**2
HARDENED = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)


def state(engine: Engine, container: str) -> Any:
    """What the engine knows of a container's process."""
    return json.loads(engine.run("inspect", "--format", "{{json .State}}", container))


def python(engine: Engine, container: str, program: str) -> str:
    """What a Python program prints inside the container."""
    return engine.run("exec", container, "python", "-c", program, check=False)


def shell(engine: Engine, image: str, script: str) -> str:
    """What a script prints in a new container of the image."""
    return engine.run("run", "--rm", "--network=host", "--entrypoint=sh", image, "-c", script, check=False)


def assert_without_privilege(status: str) -> None:
    """By its /proc/<pid>/status a process is nobody in particular, can do nothing special, and never will."""
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split() == ["10001"] * 4
    assert facts["Gid"].split() == ["10001"] * 4
    assert {int(facts[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"  # a filter


def assert_locked(engine: Engine, container: str, memory: int) -> None:
    """The running container has no privilege, a read-only root, and this many bytes of memory at most."""
    assert_without_privilege(python(engine, container, "print(open('/proc/1/status').read())"))
    for folder in ("/", "/app", "/opt/venv", "/etc", "/var/tmp"):
        said = python(engine, container, f"open('{folder}/x', 'w')")
        assert "Read-only file system" in said, f"{folder}: {said}"
    limits = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"  # cgroup v2, v1
    read = f"import pathlib; print(*(p.read_text() for p in map(pathlib.Path, {limits}) if p.exists()))"
    assert int(python(engine, container, read)) == memory


def assert_only_what_runs(engine: Engine, image: str) -> None:
    """No compiler, no installer, nothing of the build is in the image."""
    assert shell(engine, image, "command -v gcc cc c++ ld make git pip pip3 uv cyclonedx-py") == ""
    leftovers = shell(engine, image, "find /etc/pip.conf /root /tmp /opt/build -type f 2>/dev/null")
    assert [file for file in leftovers.split() if not file.startswith("/root/.")] == []
    modules = shell(engine, image, "cd /opt/venv/lib/python3.11/site-packages && echo *").split()
    assert not {"pip", "setuptools", "cyclonedx_py"} & {*modules}


def sbom(engine: Engine, image: str) -> dict[str, str]:
    """The packages in the image's own list, by name."""
    listed = json.loads(engine.run("run", "--rm", "--network=host", "--entrypoint=cat", image, "/app/sbom.cdx.json"))
    assert listed["bomFormat"] == "CycloneDX"
    return {each["name"]: each["version"] for each in listed["components"]}


def installed(engine: Engine, image: str) -> dict[str, str]:
    """The packages that the image's Python finds, by name."""
    program = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    found = engine.run("run", "--rm", "--network=host", "--entrypoint=python", image, "-c", program)
    return dict(json.loads(found))
