"""Trainings are recorded in a real MLflow server, quietly, and a model comes back from it as it went in."""

import json
import socketserver
import threading
from datetime import UTC, datetime

import mlflow
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from mlflow.tracking import MlflowClient

from service.history import Decision
from service.lifecycle.training.candidates import MAX_CATEGORIES, candidates
from service.lifecycle.training.selection import fit
from service.model.schema import Feature, LeadSchema
from service.tracking import ALIAS, TrackingError, end_abandoned, follow, tracked_run
from tests.conftest import free_port
from tests.facts import stating

SCHEMA = LeadSchema(
    features=(
        Feature(name="a.b", kind="number"),
        Feature(name="job", kind="category"),
        Feature(name="ok", kind="boolean"),
    )
)
DRAW = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "a.b": np.where(DRAW.random(400) < 0.1, np.nan, DRAW.normal(size=400)),
        "job": np.array([f"job {i}" for i in DRAW.integers(0, MAX_CATEGORIES + 20, 400)], dtype=object),
        "ok": np.where(DRAW.random(400) < 0.1, np.nan, DRAW.integers(0, 2, 400)),
    }
)
DECISION = Decision(
    time=datetime(2026, 11, 23, 9, tzinfo=UTC),
    action="promoted",
    trigger="hand",
    version="v1",
    before=None,
    author="ann",
    reason="a test",
)
TARGET = (DRAW.random(400) < 0.3).astype(np.int8)


@pytest.mark.parametrize("candidate", ["logistic_regression", "spline_regression", "gradient_boosting"])
def test_every_candidate_comes_back_from_the_registry_with_the_same_scores(
    mlflow_url: str, candidate: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pipeline = candidates(SCHEMA, FRAME)[candidate]
    fit(pipeline, FRAME, TARGET, FRAME)
    picture = Figure()
    picture.subplots().plot([0, 1])
    with tracked_run(mlflow_url, "crm", {"source": "crm"}) as run:
        run.log({"candidate": candidate, "note": "x" * 9_000}, {"roc_auc": 0.8, f"{candidate}.held_out.profit": -3.5})
        run.attach({"MODEL_CARD.md": "# Card"}, {"roc.png": picture})
        version = run.register("crm", pipeline, FRAME)
    follow(mlflow_url, "crm", run.id, DECISION)
    assert capfd.readouterr() == ("", "")

    client = MlflowClient(mlflow_url)
    recorded = client.get_run(run.id)
    assert recorded.info.status == "FINISHED"
    assert recorded.data.params["candidate"] == candidate
    assert recorded.data.metrics == {"roc_auc": 0.8, f"{candidate}.held_out.profit": -3.5}
    assert {file.path for file in client.list_artifacts(run.id)} == {"MODEL_CARD.md", "roc.png"}
    champion = client.get_model_version_by_alias("crm", ALIAS)
    assert (champion.version, champion.run_id) == (version, run.id)
    assert json.loads(champion.tags["decision.20261123T090000.000000Z"])["author"] == "ann"
    loaded = mlflow.sklearn.load_model(f"models:/crm@{ALIAS}")
    assert np.array_equal(loaded.predict_proba(FRAME), pipeline.predict_proba(FRAME))


def test_the_registered_model_holds_names_and_types_but_no_lead(mlflow_url: str) -> None:
    pipeline = candidates(SCHEMA, FRAME)["logistic_regression"].fit(FRAME, TARGET)
    with tracked_run(mlflow_url, "no-leads", {}) as run:
        version = run.register("no-leads", pipeline, FRAME)
    info = mlflow.models.get_model_info(f"models:/no-leads/{version}")
    assert info.saved_input_example_info is None
    assert {c.name: (str(c.type), c.required) for c in info.signature.inputs} == {
        "a.b": ("DataType.double", False),
        "job": ("DataType.string", False),
        "ok": ("DataType.double", False),
    }


def test_a_run_that_raises_is_marked_failed_with_the_errors_type_but_not_its_message(mlflow_url: str) -> None:
    with pytest.raises(ValueError, match="Ann"), tracked_run(mlflow_url, "fails", {}) as run:
        raise ValueError("row 3: 'Ann Example' is no number")
    recorded = MlflowClient(mlflow_url).get_run(run.id)
    assert recorded.info.status == "FAILED"
    assert recorded.data.tags["failure"] == "ValueError"


def test_what_the_server_refuses_becomes_an_error_that_names_it(mlflow_url: str) -> None:
    with pytest.raises(TrackingError, match=f"MLflow at {mlflow_url} refused"), tracked_run(mlflow_url, "x", {}) as run:
        run.log({}, {"not a % name": 1.0})
    with pytest.raises(TrackingError, match=stating("no version", "'never-registered'", "run 0")):
        follow(mlflow_url, "never-registered", "0", DECISION)


def test_the_alias_goes_back_and_forth_with_what_is_served(mlflow_url: str) -> None:
    pipeline = candidates(SCHEMA, FRAME)["logistic_regression"].fit(FRAME, TARGET)
    made = []
    for _ in range(2):
        with tracked_run(mlflow_url, "two", {}) as run:
            made.append((run.id, run.register("two", pipeline, FRAME)))
    client = MlflowClient(mlflow_url)
    for run_id, version in (*made, made[0], made[0]):
        follow(mlflow_url, "two", run_id, DECISION)
        assert client.get_model_version_by_alias("two", ALIAS).version == version


def test_a_run_whose_program_was_killed_is_ended_and_no_other(mlflow_url: str) -> None:
    client = MlflowClient(mlflow_url)
    experiment = client.create_experiment("abandoned")
    mine, other = (client.create_run(experiment, tags={"job": job}).info.run_id for job in ("retrain", "evaluate"))
    end_abandoned(mlflow_url, "abandoned", {"job": "retrain"})
    end_abandoned(mlflow_url, "no such experiment", {"job": "retrain"})
    assert [client.get_run(id).info.status for id in (mine, other)] == ["KILLED", "RUNNING"]


def test_a_server_that_is_not_there_is_said_after_one_try() -> None:
    tries: list[object] = []

    class HangsUp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            tries.append(self.client_address)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), HangsUp) as nobody:
        thread = threading.Thread(target=nobody.serve_forever, args=[0.02])
        thread.start()
        with pytest.raises(TrackingError, match=stating("not answer", "scripts/up")):
            follow(f"http://127.0.0.1:{nobody.server_address[1]}", "crm", "0", DECISION)
        nobody.shutdown()
        thread.join()
    assert len(tries) == 1
    with pytest.raises(TrackingError, match=r"does not answer .*refused"):
        follow(f"http://127.0.0.1:{free_port()}", "crm", "0", DECISION)
