"""scripts/install-system on a bare Debian, in a container of the base image."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.engine import Engine

pytestmark = pytest.mark.system

SCRIPTS = Path(__file__).parents[2] / "scripts"
COMMAND = "/repo/scripts/install-system"


@pytest.fixture
def machine(engine: Engine, base: str) -> Iterator[str]:
    """A bare machine with our scripts on it."""
    with engine.container(
        base, f"--volume={SCRIPTS}:/repo/scripts:ro", "--entrypoint=sleep", command=["infinity"]
    ) as container:
        yield container


def shell(engine: Engine, machine: str, script: str) -> str:
    """What a script prints there, then its exit code: `=0`."""
    return engine.run("exec", machine, "bash", "-c", f"( {script} ) 2>&1; echo =$?")


@pytest.mark.nightly
def test_a_bare_debian_gets_what_the_tests_need_and_starts_none_of_it(engine: Engine, machine: str) -> None:
    def do(script: str) -> str:
        return shell(engine, machine, script)

    needed = re.findall(r"^    [\w-]+:([\w.-]+)$", (SCRIPTS / "install-system").read_text(), re.M)
    assert {"prometheus", "prometheus-alertmanager", "docker.io", "chromium"} <= set(needed)
    assert do(f"{COMMAND} --check").endswith(f"missing: {' '.join(needed)}\n=1")
    refused = do(f"setpriv --reuid 10001 --clear-groups {COMMAND}")
    assert "only by root on Debian" in refused
    assert refused.endswith("=1")

    do("echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/no-fsync")  # nothing here must survive a crash
    do("echo '# the own policy of this machine' > /usr/sbin/policy-rc.d")
    assert do(COMMAND).endswith("install-system: done\n=0")
    assert do(
        "promtool --version && dockerd --version && mmdebstrap --version && haproxy -v && podman --version"
    ).endswith("=0")
    programs = do("cat /proc/[0-9]*/comm").split()
    assert not {"prometheus", "prometheus-node", "dockerd", "containerd", "haproxy"} & set(programs)
    assert do("cat /usr/sbin/policy-rc.d*") == "# the own policy of this machine\n=0"

    assert do(COMMAND) == "install-system: everything is there\n=0"


def test_wrong_use_is_told_from_failure(engine: Engine, machine: str) -> None:
    assert shell(engine, machine, f"{COMMAND} --al").endswith("see --help\n=2")
    assert engine.run("exec", machine, COMMAND, "--help").startswith("Install the Debian packages")
