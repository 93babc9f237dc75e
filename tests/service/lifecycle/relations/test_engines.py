"""The choice of an engine."""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.lifecycle.relations import engines
from service.lifecycle.relations.duck import DuckEngine
from service.lifecycle.relations.relation import RelationsFailed
from service.storage import Folder

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def _chosen(*arguments: str) -> str:
    parser = argparse.ArgumentParser()
    engines.add_engine(parser)
    return str(parser.parse_args(arguments).engine)


def test_the_option_goes_before_the_variable_and_the_variable_before_duckdb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(engines.VARIABLE, raising=False)
    assert _chosen() == "duckdb"
    monkeypatch.setenv(engines.VARIABLE, "spark")
    assert _chosen() == "spark"
    assert _chosen("--engine", "duckdb") == "duckdb"


def test_an_unknown_engine_in_the_variable_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(engines.VARIABLE, "Spark")
    with pytest.raises(SystemExit):
        _chosen()
    assert "'Spark' is neither duckdb nor spark" in capsys.readouterr().err


def test_duckdb_needs_no_place_and_spark_names_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LEADSCORING_SPARK_PARENT", raising=False)
    window = (Folder(tmp_path), NOW - timedelta(days=1), NOW)
    with engines.opened("duckdb", *window, "evaluate", print) as engine:
        assert isinstance(engine, DuckEngine)
    with (
        pytest.raises(RelationsFailed, match="LEADSCORING_SPARK_PARENT"),
        engines.opened("spark", *window, "evaluate", print),
    ):
        pass
