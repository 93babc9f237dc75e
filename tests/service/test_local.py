import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.processes import free

ROOT = Path(__file__).parent.parent.parent
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


class Up:
    """scripts/up with its output on a file, its ports and folder its own."""

    def __init__(self, folder: Path, source: Path, *more: str) -> None:
        self.port, self.mlflow_port = free(), free()
        self.output = folder / "output.txt"
        command = [ROOT / "scripts/up", "--folder", folder, "--source", source, *more]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*map(str, command), "--port", str(self.port), "--mlflow-port", str(self.mlflow_port)],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.output.read_text()

    def wait_until_up(self) -> str:
        deadline = time.monotonic() + 180
        while "Ctrl-C stops everything" not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.1)
        return self.text()

    def get(self, path: str, port: int | None = None) -> dict[str, object]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port or self.port}{path}", timeout=10) as answer:
            document: dict[str, object] = json.load(answer)
        return document

    def group(self) -> list[str]:
        """Command lines of everything that runs in the sessions that it started."""
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        return [
            line for line in listed.splitlines() if str(self.mlflow_port) in line or str(self.output.parent) in line
        ]

    def ctrl_c(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("up")
    (made / "small.toml").write_text(SMALL)
    return made


@pytest.fixture(scope="module")
def first(folder: Path) -> Iterator[Up]:
    up = Up(folder, folder / "small.toml")
    try:
        up.wait_until_up()
        yield up
    finally:
        if up.process.poll() is None:
            up.ctrl_c()


@pytest.mark.slow
def test_leads_are_trained_on_recorded_published_served_and_scored(first: Up) -> None:
    text = first.text()
    assert "contract_value: left out" in text
    assert "The best 10 of 300 held-out leads" in text
    assert len(re.findall(r"│ L-\d+ │", text)) == 10
    assert f"http://127.0.0.1:{first.port}/docs" in text
    model = first.get("/v1/model")
    query = "/api/2.0/mlflow/registered-models/alias?name=small&alias=champion"
    champion = first.get(query, first.mlflow_port)["model_version"]
    assert isinstance(champion, dict)
    assert isinstance(model["provenance"], dict)
    assert champion["run_id"] == model["provenance"]["mlflow_run_id"]


@pytest.mark.slow
def test_the_requests_of_the_readme_are_answered(first: Up) -> None:
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"^curl .*$", readme, re.M)
    assert len(commands) == 4
    for command in commands:
        own = command.replace(":8080/", f":{first.port}/").replace("curl -s", "curl -sf")
        answer = subprocess.run(["bash", "-c", own], capture_output=True, text=True, check=True).stdout
        assert "leadscoring_" in answer or "model_version" in answer or "threshold" in answer
        assert ("reasons" in answer) is ("explain" in command)


@pytest.mark.slow
def test_ctrl_c_stops_all_that_was_started_and_a_second_start_needs_no_training(first: Up, folder: Path) -> None:
    assert first.group() != []
    assert first.ctrl_c() == 0
    assert "Stopping" in first.text()
    assert first.group() == []
    started = time.monotonic()
    second = Up(folder, folder / "small.toml")
    try:
        text = second.wait_until_up()
        took = time.monotonic() - started
    finally:
        assert second.ctrl_c() == 0
    assert "was trained on these very leads" in text
    assert "fitting" not in text
    assert took < 60  # seconds on an idle machine: the training and the first making of MLflow's tables are gone


def test_a_taken_port_is_named_before_any_work(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [ROOT / "scripts/up", "--port", port, "--folder", tmp_path], capture_output=True, text=True, check=False
        )
    assert ended.returncode == 1
    assert re.search(rf"port {port} is taken by another program; give another one: --port \d+", ended.stderr)
    assert list(tmp_path.iterdir()) == []


def test_an_unusable_source_is_wrong_use(tmp_path: Path) -> None:
    source = tmp_path / "crm.toml"
    source.write_text(SMALL.replace("metric =", "metrik ="))
    ended = subprocess.run([ROOT / "scripts/up", "--source", source], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "did you mean 'metric'?" in ended.stderr


def test_a_source_s_path_may_be_relative_to_where_one_stands(tmp_path: Path) -> None:
    (tmp_path / "crm.toml").write_text(
        SMALL.replace("[sample]\nrows = 3000", "").replace('"small"', '"s"\npath = "no.csv"')
    )
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
    assert "metric_reason: missing" in ended.stderr


@pytest.mark.skipif("BANK_MARKETING_CSV" not in os.environ, reason="BANK_MARKETING_CSV names no file of real leads")
@pytest.mark.slow
def test_real_leads_come_up_too(tmp_path: Path) -> None:
    up = Up(tmp_path, ROOT / "service/examples/bank_marketing.toml")
    try:
        text = up.wait_until_up()
        assert "duration: left out" in text
        lead = {"age": 41, "job": "admin.", "emp.var.rate": 1.1, "pdays": 999}
        body = json.dumps({"leads": [{"features": lead}]}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{up.port}/v1/score", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            (scored,) = json.load(answer)["scores"]
        assert 0 < scored["score"] < 1
    finally:
        assert up.ctrl_c() == 0


@pytest.mark.slow
def test_the_loop_closes_before_a_newcomer_s_eyes(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL.replace("leaks", "maturity_days = 1.5\nleaks"))
    port = free()
    up = Up(tmp_path, tmp_path / "small.toml", "--with-loop", "--speed", "4320", "--loop-port", str(port))
    try:
        text = up.wait_until_up()
        assert "a day takes 20 s" in text
        deadline = time.monotonic() + 300
        while "evaluate done after" not in up.text():
            assert up.process.poll() is None, up.text()
            assert time.monotonic() < deadline, up.text()
            time.sleep(0.5)
        assert "outcomes came today" in up.text()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        assert re.search(r'leadscoring_evaluation_figure\{job="evaluate",figure="roc_auc"\} 0\.\d+', page)
        assert 'leadscoring_evaluation_records_missing_ratio{job="evaluate"} 0.0' in page
        assert list((tmp_path / "small/store/history/evaluations").iterdir())
    finally:
        assert up.ctrl_c() == 0
    assert up.group() == []


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
