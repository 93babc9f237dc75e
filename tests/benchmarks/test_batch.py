import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from service.model.schema import Feature, LeadSchema
from tests.benchmarks import batch as bench
from tests.benchmarks.batch import Figures
from tests.benchmarks.peers import ProgramMissing
from tests.benchmarks.spark import FORMS, SparkFailed, started

GOOD = Figures(
    rows=1_000_000,
    threads=2,
    rates={
        "ours, Parquet": 900.0,
        bench.RECORDED: 800.0,
        "ours, CSV": 800.0,
        "ONNX Runtime alone": 1000.0,
        "MLflow pyfunc, Parquet": 100.0,
        "MLflow pyfunc, in memory": 110.0,
        "MLflow spark_udf, second job": 85.0,
        "MLflow spark_udf": 90.0,
        "MLflow spark_udf, spread": 110.0,
    },
    processor_seconds={
        "ours, Parquet": 2.0,
        bench.RECORDED: 2.5,
        "ours, CSV": 2.2,
        "ONNX Runtime alone": 1.8,
        "MLflow pyfunc, Parquet": 15.0,
        "MLflow pyfunc, in memory": 14.0,
        "MLflow spark_udf, second job": 32.0,
        "MLflow spark_udf": 30.0,
        "MLflow spark_udf, spread": 31.0,
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
    assert written["bars"][bench.SPARK]["value"] == pytest.approx(900 / 85)


def test_without_spark_its_rows_and_its_bar_are_told_as_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    schema = LeadSchema(features=(Feature(name="pages", kind="number"),))
    with (
        pytest.raises(ProgramMissing, match="default-jre-headless") as missing,
        started(tmp_path, tmp_path, tmp_path, schema, 2),
    ):
        pass
    rates = {name: rate for name, rate in GOOD.rates.items() if "spark" not in name}
    figures = dataclasses.replace(GOOD, rates=rates, not_run=dict.fromkeys(FORMS, f"not run: {missing.value}"))
    assert run(monkeypatch, figures, "--json", str(tmp_path / "figures.json")) == 0
    assert "it needs Java" in capsys.readouterr().out
    written = json.loads((tmp_path / "figures.json").read_text())
    assert "it needs Java" in written["rows_per_second"]["MLflow spark_udf"]
    assert "it needs Java" in written["bars_not_run"][bench.SPARK]


def test_a_spark_that_fails_is_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*_: object) -> Figures:
        raise SparkFailed("Spark ended")

    monkeypatch.setattr(bench, "measure", fails)
    assert bench.main([]) == 1
    assert "Spark ended" in capsys.readouterr().err


@pytest.mark.parametrize(
    "worse",
    [
        {"rates": GOOD.rates | {"ONNX Runtime alone": 1_200.0}},
        {"rates": GOOD.rates | {"MLflow pyfunc, Parquet": 130.0}},
        {"rates": GOOD.rates | {"MLflow spark_udf, second job": 95.0}},
        {"rates": GOOD.rates | {"ours, CSV": 600.0}},
        {"processor_seconds": GOOD.processor_seconds | {bench.RECORDED: 2.7}},
        {"large_mb": 300.0},
        {"worst_difference": 1e-3},
        {"worst_difference": float("nan")},
    ],
)
def test_each_missed_bar_is_a_failure(monkeypatch: pytest.MonkeyPatch, worse: dict[str, object]) -> None:
    assert run(monkeypatch, dataclasses.replace(GOOD, **worse)) == 1  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # MLflow's, about its own type hints
def test_a_small_run_without_spark_measures_all_other_forms_and_finds_the_same_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    small_run_finds_the_same_scores(tmp_path, rows=2_000, spark=False)


@pytest.mark.nightly
@pytest.mark.filterwarnings("default")
def test_a_small_run_measures_all_forms_and_finds_the_same_scores(tmp_path: Path) -> None:
    small_run_finds_the_same_scores(tmp_path, rows=10_000, spark=shutil.which("java") is not None)


def small_run_finds_the_same_scores(folder: Path, rows: int, spark: bool) -> None:
    figures = bench.measure(folder, rows=rows, rounds=1, threads=2, tell=lambda _: None)
    assert figures.rates.keys() | figures.not_run.keys() == GOOD.rates.keys()
    assert bool(figures.not_run) is not spark
    assert min(figures.rates.values()) > 0
    assert 0 <= figures.worst_difference < 1e-5
    assert figures.small_mb > 50
