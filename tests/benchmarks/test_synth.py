import subprocess
from pathlib import Path

import pytest

from tests.benchmarks import synth
from tests.benchmarks.synth import Cost, Result

ROOT = Path(__file__).parents[2]


def result(seconds: float, megabytes: float) -> Result:
    return Result("prod", "a machine", Cost(seconds, megabytes, 1000), Cost(10, 500, 1000))


@pytest.mark.parametrize(
    ("seconds", "megabytes", "passed"), [(4.0, 300, True), (4.1, 300, False), (4.0, 301, False), (1, 100, True)]
)
def test_a_bar_is_met_or_missed(seconds: float, megabytes: float, passed: bool) -> None:
    assert result(seconds, megabytes).passed is passed


@pytest.mark.slow
def test_the_memory_of_python_and_of_node_is_seen() -> None:
    cost = synth.synthesize(synth.OURS, "dev")
    assert cost.megabytes > 20
    assert cost.node_megabytes > 20
    assert cost.seconds > 0


@pytest.mark.nightly
def test_both_forms_are_really_run_and_their_memory_seen() -> None:
    measured = synth.measure("dev", runs=1)
    assert measured.memory_ratio <= synth.MEMORY_BAR
    assert measured.ours.megabytes > 20
    assert measured.ours.node_megabytes > 20
    assert min(measured.ours.seconds, measured.naive.seconds) > 0


def test_a_missed_bar_is_an_exit_status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(synth, "measure", lambda _env: result(9, 100))
    assert synth.main([]) == 1
    assert "MISSED" in capsys.readouterr().out
    monkeypatch.setattr(synth, "measure", lambda _env: result(1, 100))
    assert synth.main(["--json"]) == 0
    assert '"time_ratio": 0.1' in capsys.readouterr().out


def test_a_synthesis_that_fails_is_no_figure() -> None:
    with pytest.raises(SystemExit, match="the synthesis failed with 3"):
        synth.synthesize("raise SystemExit(3)", "dev")


def test_an_unknown_bench_is_wrong_use() -> None:
    done = subprocess.run([ROOT / "scripts" / "bench", "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "scripts/bench synth" in done.stderr
