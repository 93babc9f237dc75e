import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.peers import ours_at
from tests.benchmarks.serving import serve
from tests.benchmarks.serving.serve import Figures, Row


def row(name: str, leads: int, rate: float, p99: float = 5.0, errors: int = 0) -> Row:
    return Row(name, leads, rate, 1.0, p99, 100.0, 1_000, errors)


GOOD = [
    row("ours", 1, 12_000),
    row("empty FastAPI endpoint", 1, 11_000),
    row("mlflow models serve", 1, 90),
    row("ours", 1_000, 200_000),
    row("mlflow models serve", 1_000, 30_000),
    row("ONNX Runtime alone", 1_000, 400_000),
]


def run(monkeypatch: pytest.MonkeyPatch, figures: Figures, *options: str) -> int:
    monkeypatch.setattr(serve, "measure", lambda *_, **__: figures)
    monkeypatch.setattr("tests.benchmarks.serving.load.missing", lambda: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    return serve.main(options)


def test_all_bars_met_is_success_and_what_did_not_run_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = Figures(GOOD, {"ours": 1e-8}, {"BentoML": "not run: no package index"})
    options = ["--json", str(tmp_path / "figures.json"), "--plot", str(tmp_path / "figures.png")]
    assert run(monkeypatch, figures, *options) == 0
    assert "not run: no package" in capsys.readouterr().out
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["passed"] is True
    assert written["not_run"] == {"BentoML": "not run: no package index"}
    assert written["bars"]["one lead : mlflow"]["value"] == pytest.approx(133.3, abs=0.1)
    assert (tmp_path / "figures.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("place", "worse"),
    [
        (0, {"rows_per_second": 10_900.0}),
        (0, {"p99_ms": 7.6}),
        (0, {"errors": 1}),
        (2, {"rows_per_second": 101.0}),
        (3, {"rows_per_second": 139_000.0}),
        (4, {"rows_per_second": 33_500.0}),
    ],
)
def test_each_missed_bar_is_a_failure(monkeypatch: pytest.MonkeyPatch, place: int, worse: dict[str, float]) -> None:
    rows = [*GOOD]
    rows[place] = dataclasses.replace(rows[place], **worse)  # type: ignore[arg-type]
    assert run(monkeypatch, Figures(rows, {"ours": 1e-8})) == 1


def test_a_change_that_may_cost_more_than_a_twentieth_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    steady, slower, noisy = [0.99, 1.01] * 5, [0.93, 0.95] * 5, [0.7, 1.4] * 5
    for ratios, status in ((steady, 0), (slower, 1), (noisy, 1)):
        assert run(monkeypatch, Figures(GOOD, {"ours": 1e-8}, against={1: ratios})) == status


def test_the_bound_is_that_of_students_t() -> None:
    # Mean of the logarithms 0, standard error .1, 2.776 the 97.5 % point with four degrees of freedom.
    ratios = np.exp(np.array([-1, -1, 0, 1, 1]) * 0.1 * np.sqrt(5))
    assert serve.lower_bound(ratios) == pytest.approx(np.exp(-0.2776), abs=1e-4)


def test_a_commit_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.main(["--against", "no-such-commit"]) == 1
    assert "no-such-commit" in capsys.readouterr().err


@pytest.mark.parametrize("worst", [1e-3, float("nan")])
def test_other_scores_are_a_failure(monkeypatch: pytest.MonkeyPatch, worst: float) -> None:
    assert run(monkeypatch, Figures(GOOD, {"ours": worst})) == 1


def test_a_machine_without_the_load_generator_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        serve.main([])
    assert ended.value.code == 2
    assert "wrk, taskset not found; scripts/install-system" in capsys.readouterr().err


@pytest.mark.system
@pytest.mark.filterwarnings("default")  # MLflow's, about its own type hints
def test_a_small_run_asks_ours_another_commit_and_the_floors(tmp_path: Path) -> None:
    before = ours_at("HEAD", tmp_path / "commit")
    figures = serve.measure(tmp_path, 1, 1, [], lambda _: None, rows=2_000, against=before)
    assert {(each.name, each.leads) for each in figures.rows} == {
        *(("ours", 1), ("ours at HEAD", 1), ("empty FastAPI endpoint", 1), ("raw ASGI", 1)),
        *(("ours", 1_000), ("ours at HEAD", 1_000), ("ONNX Runtime alone", 1_000)),
    }
    # Not "no errors": on a busy machine the service rightly sheds some of the large requests.
    assert all(each.requests > each.errors for each in figures.rows)
    assert {size: len(ratios) for size, ratios in figures.against.items()} == {1: 1, 1_000: 1}
    assert figures.worst.keys() == {"ours", "ours at HEAD"}
    assert figures.worst["ours"] < 1e-5
