import dataclasses
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.benchmarks import peers
from tests.benchmarks.serving import start
from tests.benchmarks.serving.start import Figures

GOOD = Figures(seconds=[0.8, 0.9, 2.0], megabytes=80.0, libraries=[0.7])


def run(monkeypatch: pytest.MonkeyPatch, figures: Figures, *options: str) -> int:
    monkeypatch.setattr(start, "measure", lambda *_: figures)
    return start.main(options)


def test_all_bars_met_is_success(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, GOOD, "--json", str(tmp_path / "figures.json")) == 0
    assert json.loads((tmp_path / "figures.json").read_text())["passed"] is True


@pytest.mark.parametrize("worse", [{"seconds": [1.1, 0.9, 1.2]}, {"megabytes": 111.0}])
def test_each_missed_bar_is_a_failure(monkeypatch: pytest.MonkeyPatch, worse: dict[str, object]) -> None:
    assert run(monkeypatch, dataclasses.replace(GOOD, **worse)) == 1  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # MLflow's, about its own type hints
def test_a_start_is_timed_to_a_score_and_its_memory_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs are real; on this clock each takes as long as is said here."""
    clock = 0.0

    def takes(seconds: float, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal clock
            answer = real(*arguments, **options)
            clock += seconds
            return answer

        return call

    monkeypatch.setattr(peers, "launch", takes(1, peers.launch))
    monkeypatch.setattr(start, "_first_score", takes(10, start._first_score))
    monkeypatch.setattr(start, "_pss_mb", takes(100, start._pss_mb))
    monkeypatch.setattr(start, "subprocess", SimpleNamespace(run=takes(1_000, subprocess.run)))
    timed = SimpleNamespace(perf_counter=lambda: clock, monotonic=time.monotonic, sleep=time.sleep)
    monkeypatch.setattr(start, "time", timed)
    figures = start.measure(tmp_path, 1, lambda _: None, rows=2_000)
    assert (figures.seconds, figures.libraries) == ([11], [1_000])
    assert 30 < figures.megabytes < 500
