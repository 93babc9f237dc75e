import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service import history
from service.history import Decision, DriftCheck, Estimate, Evaluation
from service.storage import open_storage

TIME = datetime(2026, 3, 1, tzinfo=UTC)


def decision(time: datetime = TIME, reason: str = "better") -> Decision:
    return Decision(
        time=time,
        action="promoted",
        trigger="drift",
        version="two",
        before="one",
        author="a test",
        reason=reason,
        figures={"brier": Estimate(0.1, 0.08, 0.12)},
    )


def test_an_entry_is_read_as_it_was_written(tmp_path: Path) -> None:
    models = open_storage(str(tmp_path))
    key = history.append(models, decision())
    assert key.startswith("history/decisions/20260301T000000")
    assert history.latest(models, Decision) == [decision()]
    assert history.latest(models, Evaluation) == []
    assert history.latest(models, DriftCheck) == []


def test_an_evaluation_of_an_older_release_is_read(tmp_path: Path) -> None:
    models = open_storage(str(tmp_path))
    old = {
        "kind": "evaluation",
        "time": "2026-03-01T00:00:00Z",
        "since": "2026-02-01T00:00:00Z",
        "until": "2026-02-28T00:00:00Z",
        "model_version": "one",
        "leads": 100,
        "without_outcome": 3,
        "complete": None,
        "missing_records": 0.0,
        "figures": {"roc_auc": {"value": 0.8, "low": 0.7, "high": 0.9}},
        "benchmark": {"roc_auc": 0.8},
        "bands": [{"band": "A", "leads": 100, "converted": 20, "contacted": 50}],
        "business": {"contacts": 50.0},
        "changes": [],
        "mlflow_run_id": "run",
    }
    models.create("history/evaluations/20260301T000000.000000Z-00000000.json", json.dumps(old).encode())
    (read,) = history.latest(models, Evaluation)
    assert (read.leads, read.comparison, read.selection) == (100, None, None)


def test_what_is_written_twice_is_there_once_and_another_entry_of_that_time_is_not_lost(tmp_path: Path) -> None:
    models = open_storage(str(tmp_path))
    assert history.append(models, decision()) == history.append(models, decision())
    history.append(models, decision(reason="worse"))
    assert sorted(d.reason for d in history.latest(models, Decision, 9)) == ["better", "worse"]


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_the_newest_come_last(place: str, tmp_path: Path, gcs_url: str) -> None:
    models = open_storage(str(tmp_path) if place == "folder" else gcs_url)
    for days in (3, 1, 2):
        history.append(models, decision(TIME + timedelta(days=days)))
    assert [d.time.day for d in history.latest(models, Decision, 2)] == [3, 4]
