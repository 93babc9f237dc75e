"""The drill's command. In full it needs Prometheus and Alertmanager, and some minutes."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import HANG_S
from tests.drill import __main__ as drill
from tests.drill import watch
from tests.drill.faults import FAULTS
from tests.drill.pagerduty import Event

ROOT = Path(__file__).parents[2]
GRACE_S = 30
"""A program that outlives the drill by its own stop is killed after 15 s."""
KILL = next(fault for fault in FAULTS if fault.name == "kill")


def event(severity: str = "critical", link: str = f"file://{drill.RUNBOOKS}/telemetry.md") -> Event:
    return Event(1.0, "trigger", "k", KILL.alert, severity, "Nothing scores.", link)


def test_a_page_must_have_its_severity_and_a_runbook_that_is_there() -> None:
    assert drill.wrong(KILL, event()) == ""
    assert drill.wrong(KILL, event("warning")) == "severity warning instead of critical"
    for link in ("", "file:///telemetry.md", f"file://{drill.RUNBOOKS}/none.md"):
        assert "leads nowhere" in drill.wrong(KILL, event(link=link))


def test_alerts_beside_those_asked_for_are_told_apart() -> None:
    slow = next(fault for fault in FAULTS if fault.name == "slow")
    came = [
        Event(1.0, action, "k", alert)
        for action, alert in (
            ("trigger", slow.alert),
            ("trigger", "ScoringLatencyBurnSlow"),
            ("trigger", "SpoolFillsUp"),
            ("resolve", ""),
        )
    ]
    assert drill.beside(came, [slow]) == (["ScoringLatencyBurnSlow"], ["SpoolFillsUp"])


def test_without_prometheus_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert drill.main([]) == 2
    assert "no prometheus and no prometheus-alertmanager on PATH; scripts/install-system" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--only", "rain"], ["--within", "0"], ["--within", "601"]])
def test_wrong_use_is_named(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        drill.main(wrong)
    assert wrong[0] in capsys.readouterr().err


def test_the_rules_are_the_catalogues_on_a_faster_clock() -> None:
    rules = watch.rules({"batch": ("*/30 * * * *", 10)})
    assert "alert: BatchLate" in rules
    assert "DriftLate" not in rules
    assert "alert: ServiceMetricsAbsent" in rules  # Google's metrics only silence it
    assert "alert: DatabaseDown" not in rules


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.drill", "--folder", str(folder), *options]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def left(folder: Path) -> list[str]:
    """Command lines of what still runs there once it has had time to end."""
    deadline = time.monotonic() + GRACE_S
    while (found := running_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def running_in(folder: Path) -> list[str]:
    """Command lines of what runs there: the folder stands in them, or in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            command = (process / "cmdline").read_bytes()
            if str(folder).encode() in command + (process / "environ").read_bytes():
                found.append(command.decode(errors="replace"))
    return found


@pytest.mark.system
@pytest.mark.parametrize(
    ("chosen", "faults"),
    [
        (["--only", "kill"], ["kill"]),
        pytest.param([], [fault.name for fault in FAULTS], marks=pytest.mark.nightly, id="all"),
    ],
)
def test_every_fault_pages_and_ends_once_it_is_mended(tmp_path: Path, chosen: list[str], faults: list[str]) -> None:
    running = start(tmp_path / "drill", *chosen, "--json", str(tmp_path / "drill.json"), "--within", "600")
    said, _ = running.communicate(timeout=7200)
    assert running.returncode == 0, said
    document = json.loads((tmp_path / "drill.json").read_text())
    assert [row["fault"] for row in document["faults"]] == faults
    assert all(row["told_s"] > 0 and row["resolved_s"] > 0 and row["dedup_key"] for row in document["faults"])
    assert "durations divided by 60" in said
    assert left(tmp_path / "drill") == []


@pytest.mark.system
@pytest.mark.nightly
def test_a_page_that_takes_too_long_ends_with_1(tmp_path: Path) -> None:
    running = start(tmp_path / "drill", "--only", "kill", "--within", "2")  # it holds for ten seconds
    said, _ = running.communicate(timeout=3600)
    assert running.returncode == 1, said
    assert "MISSING: kill" in said
    assert left(tmp_path / "drill") == []


@pytest.mark.system
def test_ctrl_c_stops_everything_that_was_started(tmp_path: Path) -> None:
    folder = tmp_path / "drill"
    running = start(folder, "--only", "kill")
    try:
        deadline = time.monotonic() + HANG_S
        while not (folder / "train.log").exists() and time.monotonic() < deadline:
            assert running.poll() is None
            time.sleep(0.1)
        assert len(running_in(folder)) >= 3  # itself, MLflow, the training
    finally:
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=HANG_S)
    assert running.returncode == 1
    assert "Stopped; so is everything that was started" in said
    assert left(folder) == []
