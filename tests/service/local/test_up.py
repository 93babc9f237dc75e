import contextlib
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from service.lifecycle.query import main as ask
from service.local.processes import free
from tests.facts import states

ROOT = Path(__file__).parents[3]
SMALL = """
name = "small"
target_column = "converted"
positive = true
id_column = "lead_id"
time_column = "created_at"
leaks = ["contract_value"]
metric = "roc_auc"
[sample]
rows = 3000
[economics]
conversion_value = 900
contact_cost = 90
"""


def wait_until(true: Callable[[], bool]) -> None:
    """The limit ends a hang only: machines that run tests are shared."""
    deadline = time.monotonic() + 600
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Up:
    """scripts/up with ports of its own, its output in a file or, with `terminal`, on a pseudo-terminal."""

    def __init__(
        self,
        folder: Path,
        source: Path,
        *more: str,
        terminal: bool = False,
        before: Sequence[str] = (),
        script: Path = ROOT / "scripts/up",
    ) -> None:
        self.port, self.mlflow_port, self._mark = free(), free(), f"STARTED_BY={uuid.uuid4()}"
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed on the way out
        command = [*before, script, "--folder", folder, "--source", source, *more]
        # As from an interactive shell, whatever the signals' dispositions are here.
        started = ["env", "--default-signal=HUP,INT,TERM", self._mark, "setsid", *(["--ctty"] if terminal else [])]
        self._terminal, slave = os.openpty() if terminal else (-1, -1)
        self.process = subprocess.Popen(
            [*started, *map(str, command), "--port", str(self.port), "--mlflow-port", str(self.mlflow_port)],
            stdin=slave if terminal else subprocess.DEVNULL,
            stdout=slave if terminal else self._output,
            stderr=slave if terminal else self._output,
        )
        if terminal:
            os.close(slave)

    def text(self) -> str:
        """What it has printed until now."""
        while self._terminal >= 0 and select.select([self._terminal], [], [], 0)[0]:
            try:
                self._output.write(os.read(self._terminal, 65_536))
            except OSError:  # EIO: nobody has the terminal open any more
                break
        self._output.seek(0)
        return self._output.read().decode()

    def wait_for(self, text: str) -> str:
        """What it has printed when the text is in it."""
        wait_until(lambda: text in self.text() or self.process.poll() is not None)
        assert text in self.text()
        return self.text()

    def wait_until_up(self) -> str:
        return self.wait_for("Ctrl-C stops everything")

    def wait_for_library(self, name: str) -> None:
        """Return when the process has loaded a file with this in its path."""
        wait_until(lambda: name in Path(f"/proc/{self.process.pid}/maps").read_text())

    def get(self, path: str, port: int | None = None) -> dict[str, object]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port or self.port}{path}", timeout=60) as answer:
            document: dict[str, object] = json.load(answer)
        return document

    def running(self) -> list[str]:
        """Command lines of all processes that it started and that have not ended, in whatever session they are."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended
                if self._mark.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
        return found

    def ctrl_c(self) -> int:
        """Press it, where there is a terminal; its exit code."""
        if self._terminal >= 0:
            os.write(self._terminal, b"\x03")
        else:
            self.process.send_signal(signal.SIGINT)
        return self.ended()

    def close_terminal(self) -> int:
        os.close(self._terminal)
        self._terminal = -1
        return self.ended()

    def send(self, sign: signal.Signals) -> int:
        self.process.send_signal(sign)
        return self.ended()

    def ended(self) -> int:
        """Its exit code, as soon as it has ended."""

        def over() -> bool:
            self.text()  # it could not print to a terminal that nobody reads
            return self.process.poll() is not None

        wait_until(over)
        return int(self.process.returncode)

    def __enter__(self) -> "Up":
        return self

    def __exit__(self, *_: object) -> None:
        """End all that is left of it, where a test has failed."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self._mark.encode() in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
        self.process.wait()
        self._output.close()
        if self._terminal >= 0:
            os.close(self._terminal)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("up")
    (made / "small.toml").write_text(SMALL)
    return made


@pytest.fixture(scope="module")
def first(folder: Path) -> Iterator[Up]:
    with Up(folder, folder / "small.toml") as up:
        up.wait_until_up()
        yield up


@pytest.mark.slow
def test_leads_are_trained_on_recorded_published_served_and_scored(first: Up) -> None:
    text = first.text()
    assert "contract_value: left out" in text
    states(text.splitlines(), "10", 300, "held-out")
    assert len(re.findall(r"│ L-\d+ │", text)) == 10
    assert re.search(rf"Up in \d+ s\n  page      http://127\.0\.0\.1:{first.port}/\n", text)
    assert f"http://127.0.0.1:{first.port}/docs" in text
    (command,) = re.findall(r"^  SQL       scripts/query (.*)$", text, re.M)
    assert ask(shlex.split(command)) == 0
    with urllib.request.urlopen(f"http://127.0.0.1:{first.port}/", timeout=60) as page:
        assert "<title>" in page.read().decode()
    model = first.get("/v1/model")
    query = "/api/2.0/mlflow/registered-models/alias?name=small&alias=champion"
    champion = first.get(query, first.mlflow_port)["model_version"]
    assert isinstance(champion, dict)
    assert isinstance(model["provenance"], dict)
    assert champion["run_id"] == model["provenance"]["mlflow_run_id"]


@pytest.mark.slow
def test_the_requests_of_the_readme_are_answered(first: Up) -> None:
    readmes = [(ROOT / name).read_text() for name in ("README.md", "service/README.md")]
    commands = dict.fromkeys(command for readme in readmes for command in re.findall(r"^curl .*$", readme, re.M))
    assert len(commands) == 5
    for command in commands:
        own = command.replace(":8080/", f":{first.port}/").replace("curl -s", "curl -sf")
        answer = subprocess.run(["bash", "-c", own], capture_output=True, text=True, check=True).stdout
        assert "leadscoring_" in answer or "model_version" in answer or "threshold" in answer
        assert ("reasons" in answer) is ("explain" in command)


@pytest.mark.slow
def test_a_second_start_on_the_same_folder_is_refused_and_the_first_is_named(first: Up, folder: Path) -> None:
    with Up(folder, folder / "small.toml") as second:
        assert second.ended() == 1
        said = second.text()
    states(said, "scripts/up", folder / "small", f"process {first.process.pid}", f"http://127.0.0.1:{first.port}/")
    assert first.get("/v1/model")


@pytest.mark.slow
def test_ctrl_c_stops_all_that_was_started(first: Up) -> None:
    assert len(first.running()) > 3
    assert first.ctrl_c() == 0
    assert "Stopping" in first.text()
    assert first.running() == []


@pytest.mark.slow
def test_closing_the_terminal_stops_all_that_a_second_start_without_training_started(first: Up, folder: Path) -> None:
    if first.process.poll() is None:
        first.ctrl_c()
    with Up(folder, folder / "small.toml", terminal=True) as second:
        text = second.wait_until_up()
        states(text, "trained", "these very leads")
        assert "fitting" not in text
        assert len(second.running()) > 3
        assert second.close_terminal() == 0
        assert second.running() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "stop", "code"),
    [
        pytest.param("Starting MLflow", Up.close_terminal, 129, id="MLflow starts, closed terminal"),
        pytest.param("Starting MLflow", lambda up: up.send(signal.SIGTERM), 143, id="MLflow starts, SIGTERM"),
        pytest.param("fitting", Up.ctrl_c, 130, id="training, Ctrl-C"),
        pytest.param("fitting", Up.close_terminal, 129, id="training, closed terminal"),
    ],
)
def test_a_start_that_is_stopped_halfway_leaves_nothing_running(
    folder: Path, stage: str, stop: Callable[[Up], int], code: int
) -> None:
    more = ["--retrain", "--folder", str(folder / "halfway")]
    with Up(folder, folder / "small.toml", *more, terminal=True) as up:
        up.wait_for(stage)
        assert stop(up) == code
        assert "Traceback" not in up.text()
        assert up.running() == []


@pytest.mark.parametrize(("library", "codes"), [("/numpy/", {130, -signal.SIGINT}), ("/pandas/", {130})])
def test_ctrl_c_while_libraries_load_prints_no_traceback(tmp_path: Path, library: str, codes: set[int]) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    with Up(tmp_path, tmp_path / "small.toml", terminal=True) as up:
        up.wait_for_library(library)
        assert up.ctrl_c() in codes
        assert "Traceback" not in up.text()
        assert up.running() == []


def test_nohup_keeps_its_meaning(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    with Up(tmp_path, tmp_path / "small.toml", before=["nohup"]) as up:
        up.wait_for_library("/pandas/")
        up.process.send_signal(signal.SIGHUP)
        wait_until((tmp_path / "small/mlflow.log").exists)
        assert up.send(signal.SIGTERM) == 143


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        (Up.ctrl_c, 130),
        (Up.close_terminal, 129),
        (lambda up: up.send(signal.SIGTERM), 143),
    ],
    ids=["Ctrl-C", "closed terminal", "SIGTERM"],
)
def test_an_installation_that_is_stopped_leaves_no_pip_running(
    tmp_path: Path, stop: Callable[[Up], int], code: int
) -> None:
    """pip is a stand-in that never ends: the real one would ask a package index."""
    for name in ("scripts/up", "scripts/env", "lock/jobs.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho pip runs >/dev/tty\nexec sleep 600\n")
    python.chmod(0o755)
    with Up(tmp_path, tmp_path / "small.toml", script=tmp_path / "scripts/up", terminal=True) as up:
        up.wait_for("pip runs")
        assert stop(up) == code
        assert "the installation failed" not in up.text()
        assert up.running() == []


def test_a_taken_port_is_named_before_any_work(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [ROOT / "scripts/up", "--port", port, "--folder", tmp_path], capture_output=True, text=True, check=False
        )
    assert ended.returncode == 1
    states(ended.stderr, f"port {port}", "taken")
    assert re.search(r"--port \d+", ended.stderr)
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["up.lock"]


def test_an_unusable_source_is_wrong_use(tmp_path: Path) -> None:
    source = tmp_path / "crm.toml"
    source.write_text(SMALL.replace("metric =", "metrik ="))
    ended = subprocess.run([ROOT / "scripts/up", "--source", source], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "did you mean 'metric'?" in ended.stderr


def test_a_source_s_path_may_be_relative_to_where_one_stands(tmp_path: Path) -> None:
    (tmp_path / "crm.toml").write_text(SMALL.replace('"roc_auc"', '"gini"'))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ended = subprocess.run(
        [ROOT / "scripts/up", "--source", "crm.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert ended.returncode == 2
    assert "'precision'" in ended.stderr


@pytest.mark.skipif("BANK_MARKETING_CSV" not in os.environ, reason="BANK_MARKETING_CSV names no file of real leads")
@pytest.mark.nightly
def test_real_leads_come_up_too(tmp_path: Path) -> None:
    with Up(tmp_path, ROOT / "service/examples/bank_marketing.toml") as up:
        text = up.wait_until_up()
        assert "duration: left out" in text
        lead = {"age": 41, "job": "admin.", "emp.var.rate": 1.1, "pdays": 999}
        body = json.dumps({"leads": [{"features": lead}]}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{up.port}/v1/score", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            (scored,) = json.load(answer)["scores"]
        assert 0 < scored["score"] < 1


@pytest.mark.nightly
def test_the_loop_closes_before_a_newcomer_s_eyes(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL.replace("leaks", "maturity_days = 1.5\nleaks"))
    port = free()
    with Up(tmp_path, tmp_path / "small.toml", "--with-loop", "--speed", "4320", "--loop-port", str(port)) as up:
        text = up.wait_until_up()
        assert "a day takes 20 s" in text
        up.wait_for("evaluate done after")
        assert "outcomes came today" in up.text()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            page = answer.read().decode()
        assert re.search(r'leadscoring_evaluation_figure\{figure="roc_auc",job="evaluate"\} 0\.\d+', page)
        assert 'leadscoring_evaluation_records_missing_ratio{job="evaluate"} 0.0' in page
        assert list((tmp_path / "small/store/history/evaluations").iterdir())
        assert up.ctrl_c() == 0
        assert up.running() == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--speed", "2"], "--speed goes with --with-loop"),
        (["--with-loop", "--speed", "0"], "--speed 0 is not between"),
    ],
)
def test_a_speed_that_means_nothing_is_wrong_use(more: list[str], said: str) -> None:
    ended = subprocess.run([ROOT / "scripts/up", *more], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr
