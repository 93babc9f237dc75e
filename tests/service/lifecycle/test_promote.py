"""By hand to any version, and back; nothing unverified, and nothing that would refuse today's callers unasked."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from service import history
from service.history import Decision
from service.lifecycle import promote, rollback
from service.lifecycle.promotion.reconcile import repair
from service.lifecycle.runtime.runner import JobFailed
from service.model import bundle
from service.model.schema import Feature, LeadSchema
from service.storage import Folder, Storage, open_storage
from service.tracking import ALIAS, tracked_run
from tests.conftest import free_port
from tests.facts import states
from tests.service import forge

NOWHERE = f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def models(tmp_path: Path) -> Storage:
    """Three versions, of which the last is served; the decisions that led there are recorded."""
    made = open_storage(str(tmp_path))
    for seed, version in enumerate(("v1", "v2", "v3")):
        forge.release(made, seed=seed, version=version)
    return made


def hand(models: Storage, *arguments: str, module: str = "promote", tracking: str = NOWHERE) -> int:
    given = ["--models", models.url, "--tracking", tracking, "--author", "ann", "--reason", "a pilot", *arguments]
    main = rollback.main if module == "rollback" else promote.main
    return main(given)


def served(models: Storage) -> str:
    pointed = bundle.read_pointer(models)
    assert pointed is not None
    return bundle.load(models, pointed[0]).version


def test_a_version_is_served_by_hand_with_author_and_reason_though_mlflow_is_away(
    models: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hand(models, "v1") == 0
    out, err = capsys.readouterr()
    assert out == f"serving v1 from {models.url}, before v3\n"
    assert "does not answer" in err
    states(err, "v1 is served", "next job", "alias")
    assert served(models) == "v1"
    (decision,) = history.latest(models, Decision)
    assert (decision.action, decision.trigger, decision.version, decision.before) == ("promoted", "hand", "v1", "v3")
    assert (decision.author, decision.reason) == ("ann", "a pilot")


def test_promoted_twice_it_is_decided_once(models: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    assert hand(models, "v1") == 0
    moved = models.read(bundle.POINTER)
    assert hand(models, "v1") == 0
    assert "v1 is served already" in capsys.readouterr().err
    assert models.read(bundle.POINTER) == moved
    assert len(history.latest(models, Decision, 10)) == 1


def test_rolled_back_again_and_again_it_goes_further_back(models: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    hand(models, "v2"), hand(models, "v1"), hand(models, "v3")
    assert hand(models, module="rollback") == 0
    assert served(models) == "v1"
    assert hand(models, module="rollback") == 0
    assert served(models) == "v2"
    *_, last = history.latest(models, Decision, 10)
    assert (last.action, last.version, last.before) == ("rolled_back", "v2", "v1")
    assert hand(models, "v1", module="rollback") == 0
    assert served(models) == "v1"


def test_where_nothing_was_served_before_a_version_is_asked_for(
    models: Storage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hand(models, module="rollback") == 1  # the forge's pointer does not say
    states(capsys.readouterr().err, "before v3", "not known", "v1, v2, v3")
    assert hand(open_storage(str(tmp_path / "empty")), module="rollback") == 1
    assert "serves nothing yet" in capsys.readouterr().err


def test_a_version_that_is_not_there_or_not_whole_is_not_served(
    models: Storage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hand(models, "v9") == 1
    states(capsys.readouterr().err, "v9/SHA256SUMS", "not exist", "v1, v2, v3")
    (tmp_path / "models/v1/golden.json").write_text("[]")
    assert hand(models, "v1") == 1
    states(capsys.readouterr().err, "golden.json", "published sum")
    assert served(models) == "v3"


def test_a_schema_that_would_refuse_todays_callers_needs_to_be_accepted(
    models: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    before = bundle.read_pointer(models)
    assert before is not None
    forge.release(models, seed=0, version="wide", schema=WIDE)
    assert hand(models, "v3") == 1
    states(capsys.readouterr().err, "callers", "field 'new'", "gone", "promote v3 --new-schema")
    assert hand(models, "v3", module="rollback") == 1
    assert served(models) == "wide"
    assert hand(models, "v3", "--new-schema") == 0
    pointed = bundle.read_pointer(models)
    assert pointed is not None
    assert (pointed[0].version, pointed[0].new_schema) == ("v3", True)


WIDE = LeadSchema(features=(*forge.SCHEMA.features, Feature(name="new", kind="number")))


def test_a_new_schema_can_be_accepted_after_the_pointer_names_it(models: Storage) -> None:
    assert hand(models, "v3", "--new-schema") == 0
    pointed = bundle.read_pointer(models)
    assert pointed is not None
    assert (pointed[0].version, pointed[0].new_schema) == ("v3", True)


def test_a_broken_champion_keeps_nobody_from_going_back(
    models: Storage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models/v3/model.onnx").write_bytes(b"")
    assert hand(models, "v1", module="rollback") == 0
    states(capsys.readouterr().err, "v3", "pointer", "compared")
    assert served(models) == "v1"


def test_a_pointer_that_moved_meanwhile_is_left_alone(models: Storage, tmp_path: Path) -> None:
    class Meanwhile(Folder):
        """Somebody else moves the pointer just before."""

        def swap(self, key: str, data: bytes, generation: str | None) -> str:
            (tmp_path / bundle.POINTER).write_text((tmp_path / bundle.POINTER).read_text().replace("test", "else"))
            return super().swap(key, data, generation)

    with pytest.raises(JobFailed, match="decide again"):
        promote.promote(Meanwhile(tmp_path), NOWHERE, "v1", "ann", "why", datetime.now(UTC))
    assert served(models) == "v3"


def test_author_and_reason_are_asked_for(models: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        promote.main(["--models", models.url, "--tracking", NOWHERE, "v1"])
    assert ended.value.code == 2
    assert "--author, --reason" in capsys.readouterr().err
    for main in (promote.main, rollback.main):
        with pytest.raises(SystemExit) as shown:
            main(["--help"])
        assert shown.value.code == 0
        assert "examples:\n  python -m service.lifecycle." in capsys.readouterr().out


@pytest.mark.slow
def test_the_alias_that_mlflow_missed_is_put_right_by_the_next_repair(models: Storage, mlflow_url: str) -> None:
    runs = {}
    for seed, version in enumerate(("r1", "r2")):
        pipeline, frame = forge.train(seed=seed)
        with tracked_run(mlflow_url, "forge", {}) as run:
            run.register("forge", pipeline, frame)
            runs[version] = run.id
        forge.release(models, seed=seed, version=version, run_id=run.id)

    def crowned() -> str:
        return str(MlflowClient(mlflow_url).get_model_version_by_alias("forge", ALIAS).run_id)

    assert hand(models, "r1", tracking=mlflow_url) == 0
    assert crowned() == runs["r1"]
    assert hand(models, "r2") == 0  # MLflow is away
    assert (served(models), crowned()) == ("r2", runs["r1"])
    decision = repair(models, mlflow_url)
    assert decision == history.latest(models, Decision)[0]
    assert crowned() == runs["r2"]
    assert repair(models, mlflow_url) == decision
    assert len(history.latest(models, Decision, 10)) == 2


def test_where_nothing_is_served_there_is_nothing_to_repair(tmp_path: Path) -> None:
    assert repair(open_storage(str(tmp_path)), NOWHERE) is None
