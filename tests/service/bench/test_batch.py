import dataclasses
import json
from pathlib import Path

import pytest

from service.bench import batch as bench
from service.bench.batch import Figures

GOOD = Figures(
    rows=1_000_000,
    threads=2,
    rates={
        "ours, Parquet": 900.0,
        "ours, CSV": 800.0,
        "ONNX Runtime alone": 1000.0,
        "MLflow pyfunc, Parquet": 100.0,
        "MLflow pyfunc, in memory": 110.0,
    },
    processor_seconds={
        "ours, Parquet": 2.0,
        "ours, CSV": 2.2,
        "ONNX Runtime alone": 1.8,
        "MLflow pyfunc, Parquet": 15.0,
        "MLflow pyfunc, in memory": 14.0,
    },
    small_mb=200.0,
    large_mb=210.0,
    worst_difference=1e-8,
)


def run(monkeypatch: pytest.MonkeyPatch, figures: Figures, *options: str) -> int:
    monkeypatch.setattr(bench, "measure", lambda *_: figures)
    return bench.main(options)


def test_all_bars_met_is_success(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, GOOD, "--json", str(tmp_path / "figures.json")) == 0
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["passed"] is True
    assert written["rows_per_second"]["MLflow spark_udf"].startswith("not run: ")


@pytest.mark.parametrize(
    "worse",
    [
        {"rates": GOOD.rates | {"ONNX Runtime alone": 1_200.0}},
        {"rates": GOOD.rates | {"MLflow pyfunc, Parquet": 130.0}},
        {"rates": GOOD.rates | {"ours, CSV": 600.0}},
        {"large_mb": 300.0},
        {"worst_difference": 1e-3},
        {"worst_difference": float("nan")},
    ],
)
def test_each_missed_bar_is_a_failure(monkeypatch: pytest.MonkeyPatch, worse: dict[str, object]) -> None:
    assert run(monkeypatch, dataclasses.replace(GOOD, **worse)) == 1  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # MLflow's, about its own type hints
def test_a_small_run_measures_all_forms_and_finds_the_same_scores(tmp_path: Path) -> None:
    figures = bench.measure(tmp_path, rows=10_000, rounds=1, threads=2, tell=lambda _: None)
    assert figures.rates.keys() == GOOD.rates.keys()
    assert min(figures.rates.values()) > 0
    assert 0 <= figures.worst_difference < 1e-5
    assert figures.small_mb > 50
