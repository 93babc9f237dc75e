import dataclasses
import json
import os
from fractions import Fraction
from pathlib import Path

import pytest

from monitoring.catalogue.promises import LATENCY
from tests.benchmarks.serving import overload
from tests.benchmarks.serving.arrivals import SHED
from tests.benchmarks.serving.overload import Figures, Row


def row(times: float, shed: int) -> Row:
    outcomes = {"200": 1_000} | ({SHED: shed} if shed else {})
    waited = 0.01 if shed else None
    return Row(times, 1e3 * times, 1e3 * min(times, 0.9), 0.9, 0.05, 0.2, waited, 0.01, 1.0, 100, outcomes, {"200": 9})


GOOD = [row(0.5, 0), row(1.0, 10), row(3.0, 2_000)]


def run(monkeypatch: pytest.MonkeyPatch, rows: list[Row], *options: str) -> int:
    monkeypatch.setattr(overload, "measure", lambda *_: Figures(100, 1_000.0, rows))
    monkeypatch.setattr("tests.benchmarks.serving.load.missing", lambda: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    return overload.main(options)


def test_all_bars_met_is_success(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = ["--json", str(tmp_path / "figures.json"), "--plot", str(tmp_path / "figures.png")]
    assert run(monkeypatch, GOOD, *options) == 0
    assert json.loads((tmp_path / "figures.json").read_text())["passed"] is True
    assert (tmp_path / "figures.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("place", "worse"),
    [
        (2, {"p99_s": 0.26}),
        (2, {"p99_s": float("nan")}),  # nothing was accepted
        (2, {"of_capacity": 0.79}),
        (0, {"outcomes": {"200": 999, SHED: 1}}),
        (1, {"outcomes": {"200": 999, "503": 1}}),
        (1, {"outcomes": {"200": 999, "unanswered": 1}}),
        (2, {"ready": {"200": 9, "503": 1}}),
        (1, {"late_s": 0.2}),
    ],
)
def test_each_missed_bar_is_a_failure(monkeypatch: pytest.MonkeyPatch, place: int, worse: dict[str, object]) -> None:
    rows = [*GOOD]
    rows[place] = dataclasses.replace(rows[place], **worse)  # type: ignore[arg-type]
    assert run(monkeypatch, rows) == 1


def test_the_bar_is_the_promise() -> None:
    assert f'le="{overload.P99_BAR_S:g}"' in LATENCY.bad
    assert LATENCY.objective == Fraction(99, 100)


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--leads", "1001"]])
def test_wrong_use_is_told(monkeypatch: pytest.MonkeyPatch, wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, GOOD, *wrong)
    assert ended.value.code == 2


@pytest.mark.system
@pytest.mark.filterwarnings("default")  # MLflow's, about its own type hints
def test_a_small_run_answers_or_refuses_every_request(tmp_path: Path) -> None:
    figures = overload.measure(tmp_path, 1, 1, 100, lambda _: None, rows=2_000)
    most = figures.rows[-1]
    assert all({"200"} <= row.outcomes.keys() <= {"200", SHED} for row in figures.rows)
    assert most.outcomes["200"] + most.outcomes.get(SHED, 0) == pytest.approx(3 * figures.capacity, rel=0.01)
    assert all(row.ready["200"] for row in figures.rows)
