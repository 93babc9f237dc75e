"""A retraining serves a better model and nothing else, says why, and survives being killed at any step."""

import signal
from datetime import timedelta
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from mlflow.tracking import MlflowClient

from service import history
from service.history import Decision, DriftCheck, Estimate, FeatureDrift, Power
from service.lifecycle import retrain
from service.lifecycle.promotion import lease
from service.lifecycle.promotion.gate import Rules
from service.lifecycle.promotion.power import Look
from service.lifecycle.runtime import runner
from service.lifecycle.runtime.runner import JobFailed
from service.lifecycle.training import onnx_export, registration
from service.model import bundle
from service.storage import Storage
from service.tracking import ALIAS
from tests.facts import states
from tests.service.lifecycle import loop, stopping
from tests.service.lifecycle.loop import NOW, SCORED, Loop

NAME = "retrained"
SAID: tuple[Literal["promoted", "refused", "kept"], ...] = (
    "kept",
    "refused",
    "kept",
    "refused",
    "promoted",
    "refused",
)
"""Yesterday's decision first."""


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory, mlflow_url: str) -> Path:
    return loop.first_champion(tmp_path_factory.mktemp("champion"), NAME, mlflow_url)


@pytest.fixture
def changed(champion: Path, gcs_url: str, mlflow_url: str, tmp_path: Path) -> Loop:
    return loop.make(champion, gcs_url, mlflow_url, tmp_path / "metrics")


def decisions(made: Loop) -> list[Decision]:
    return history.latest(made.models, Decision, 100)


def champion_run(made: Loop) -> str:
    """The run of the model that has the alias."""
    return str(MlflowClient(made.mlflow).get_model_version_by_alias(NAME, ALIAS).run_id)


def check(made: Loop, since: timedelta = timedelta(0), found: bool = True, version: str | None = None) -> None:
    """A drift check, of the served model unless another is named."""
    pointed = bundle.read_pointer(made.models)
    assert pointed is not None
    time = pointed[0].moved_at + since
    as_ever = FeatureDrift(
        feature="", distance=0, p_value=1, influence=0, drifted=False, missing=0, missing_in_training=0, unseen=0
    )
    drift = DriftCheck(
        time=time,
        since=time,
        until=time,
        model_version=version or pointed[0].version,
        leads=1,
        found=found,
        features=(),
        scores=as_ever,
        decisions=as_ever,
        expected={},
        benchmark={},
        reasons=(),
        mlflow_run_id="none",
    )
    history.append(made.models, drift)


def test_a_better_challenger_is_fitted_on_all_leads_served_recorded_and_crowned(
    changed: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    before = changed.served()
    assert retrain.main(changed.arguments()) == 0
    out = capsys.readouterr().out
    now = changed.served()
    assert now.version != before.version
    assert out.startswith(f"promoted: {now.version}: better in roc_auc by ")
    of = now.manifest.provenance
    assert (of.rows, of.seen_rows, of.champion) == (loop.ROWS + SCORED, loop.ROWS, before.version)
    assert of.seen_until == loop.SCORED_AT.replace(minute=0) + timedelta(hours=1)  # the end of the last lead's hour
    assert now.manifest.lead_schema == before.manifest.lead_schema
    states(now.card, "fitted again")
    *_, decision = decisions(changed)
    assert (decision.action, decision.trigger, decision.version, decision.before) == (
        "promoted",
        "schedule",
        now.version,
        before.version,
    )
    assert decision.time == NOW
    assert decision.figures["gain.roc_auc"].low > 0.1
    assert champion_run(changed) == of.mlflow_run_id == decision.mlflow_run_id
    run = MlflowClient(changed.mlflow).get_run(of.mlflow_run_id)
    assert run.data.tags["decision"] == "passed the gate"
    assert run.data.metrics["compared.gain.roc_auc"] == pytest.approx(decision.figures["gain.roc_auc"].value)
    assert 'leadscoring_challenger_refused_in_a_row{job="retrain"} 0' in (changed.metrics / "retrain.prom").read_text()

    # The next day: too early; forced, nothing is left to judge by that the new champion has not seen.
    tomorrow = ["--now", (NOW + timedelta(days=1)).isoformat()]
    assert retrain.main(changed.arguments(*tomorrow)) == 0
    states(capsys.readouterr().out.splitlines(), "kept", now.version, "last", f"{NOW:%Y-%m-%d %H:%M} UTC")
    assert retrain.main(changed.arguments(*tomorrow, "--force", "--trigger", "hand")) == 0
    states(capsys.readouterr().out.splitlines(), "too few leads", 0)
    assert sorted(d.action for d in decisions(changed)) == ["kept", "promoted", "promoted", "refused"]
    assert changed.served().version == now.version
    assert 'leadscoring_challenger_refused_in_a_row{job="retrain"} 1' in (changed.metrics / "retrain.prom").read_text()
    assert MlflowClient(changed.mlflow).get_model_version_by_alias(NAME, ALIAS).run_id == of.mlflow_run_id


def test_a_challenger_that_is_no_better_is_refused_and_the_champion_stays(
    champion: Path, mlflow_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    same = loop.make(champion, str(tmp_path / "store"), mlflow_url, tmp_path / "metrics", changed=False)
    # Four times the leads do better than the champion's 600: here the gate asks for more than that.
    better = same.served()
    refused = Rules(gain=0.5, failed=50)
    monkeypatch.setattr(retrain, "Rules", lambda: refused)
    assert retrain.main(same.arguments("--trigger", "hand")) == 0
    assert capsys.readouterr().out.startswith("refused: ")
    assert same.served().version == better.version
    *_, decision = decisions(same)
    assert (decision.action, decision.version, decision.before) == ("refused", None, better.version)
    assert decision.mlflow_run_id is not None
    run = MlflowClient(mlflow_url).get_run(decision.mlflow_run_id)
    assert run.data.tags["decision"] == "refused"
    assert run.data.tags["reason"] == decision.reason
    assert decision.power is not None
    assert (decision.power.metric, decision.power.look) == ("roc_auc", 1)
    states(decision.reason, "look 1", f"{decision.power.detectable:.4f}", f"{decision.power.interesting:.4f}")
    assert run.data.metrics["power.detectable"] == decision.power.detectable
    next_week = (NOW + timedelta(days=7)).isoformat()
    assert retrain.main([*same.arguments("--trigger", "hand"), "--now", next_week]) == 0
    again = decisions(same)[-1].power
    assert again is not None
    assert again.look == 2
    assert champion_run(same) == better.manifest.provenance.mlflow_run_id


@pytest.mark.parametrize(
    ("since", "found", "version", "due"),
    [(1, True, None, True), (1, False, None, False), (-1, True, None, False), (1, True, "another", False)],
)
def test_drift_is_a_reason_only_where_it_was_found_since_the_champion_is_served(
    since: int, found: bool, version: str | None, due: bool, champion: Path, mlflow_url: str, tmp_path: Path
) -> None:
    made = loop.make(champion, str(tmp_path / "store"), mlflow_url, tmp_path / "metrics")
    check(made, timedelta(days=since), found, version)
    assert retrain.main(made.arguments("--trigger", "drift")) == 0
    *_, decision = decisions(made)
    assert (decision.trigger, decision.action) == ("drift", "promoted" if due else "kept")


def test_calibration_is_a_reason_only_where_it_has_failed(
    champion: Path, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = loop.make(champion, str(tmp_path / "store"), mlflow_url, tmp_path / "metrics")
    monkeypatch.setattr(retrain, "miscalibration", lambda *_: None)
    assert retrain.main(made.arguments("--trigger", "calibration")) == 0
    assert "calibrated within noise" in decisions(made)[-1].reason
    monkeypatch.undo()
    assert retrain.main(made.arguments("--trigger", "calibration")) == 0
    assert {d.action for d in decisions(made) if d.trigger == "calibration"} == {"kept", "promoted"}


def test_a_model_whose_engines_disagree_is_refused(
    champion: Path, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = loop.make(champion, str(tmp_path / "store"), mlflow_url, tmp_path / "metrics")
    before = made.served().version
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    assert retrain.main(made.arguments()) == 0
    *_, decision = decisions(made)
    assert decision.action == "refused"
    states(decision.reason, "ONNX", "scikit-learn", "differ")
    assert made.served().version == before


def tried(
    made: Loop, action: Literal["promoted", "refused", "kept"], days: float, author: str = retrain.AUTHOR
) -> None:
    """An audit record of so many days before the retraining."""
    time, served = NOW - timedelta(days=days), made.served().version
    said = Decision(
        time=time, action=action, trigger="schedule", version=None, before=served, author=author, reason="a test"
    )
    history.append(made.models, said)


@pytest.mark.parametrize(
    ("action", "author", "rests"),
    [("refused", retrain.AUTHOR, True), ("kept", retrain.AUTHOR, False), ("refused", "somebody", False)],
)
def test_it_rests_after_a_refusal_as_after_a_promotion_but_not_after_doing_nothing(
    action: Literal["refused", "kept"], author: str, rests: bool, champion: Path, mlflow_url: str, tmp_path: Path
) -> None:
    made = loop.make(champion, str(tmp_path / "store"), mlflow_url, tmp_path / "metrics")
    tried(made, action, days=1, author=author)
    assert retrain.main(made.arguments("--trigger", "drift")) == 0
    assert ("last retrained or promoted" in decisions(made)[-1].reason) is rests


def test_it_rests_after_somebody_moved_the_pointer_by_hand(champion: Path, mlflow_url: str, tmp_path: Path) -> None:
    made = loop.make(champion, str(tmp_path / "store"), mlflow_url, tmp_path / "metrics")
    pointed = bundle.read_pointer(made.models)
    assert pointed is not None
    tried(made, "refused", days=9)
    by_hand = pointed[0].model_copy(update={"moved_at": NOW - timedelta(days=1), "moved_by": "ann"})
    bundle.move_pointer(made.models, by_hand, pointed[1])
    assert retrain.main(made.arguments()) == 0
    states(decisions(made)[-1].reason, "last", f"{by_hand.moved_at:%Y-%m-%d %H:%M} UTC")


def test_the_next_window_holds_the_leads_that_the_last_look_at_this_champion_asked_for(
    champion: Path, mlflow_url: str, tmp_path: Path
) -> None:
    made = loop.make(champion, str(tmp_path / "store"), mlflow_url, tmp_path / "metrics")
    pointed = bundle.read_pointer(made.models)
    assert pointed is not None
    gain, power = (
        {"gain.roc_auc": Estimate(0, 0, 0)},
        Power(
            metric="roc_auc",
            leads=1_000,
            converted=90,
            look=1,
            error=1,
            detectable=1,
            interesting=0.03,
            leads_needed=1_234,
        ),
    )
    for days, before, needed in ((3, pointed[0].version, 1_100), (2, pointed[0].version, 1_234), (1, "another", 9_999)):
        said = Decision(
            time=pointed[0].moved_at + timedelta(days=10 - days),
            action="refused",
            trigger="schedule",
            version=None,
            before=before,
            author=retrain.AUTHOR,
            reason="a test",
            figures=gain,
            power=msgspec.structs.replace(power, leads_needed=needed),
        )
        history.append(made.models, said)
    work = runner.Loop(made.source, made.models, made.predictions, made.leads, made.mlflow, NOW, print, print)
    assert retrain._look(work, pointed[0]) == Look(3, 0.03, 1_234)
    moved = pointed[0].model_copy(update={"moved_at": NOW})
    assert retrain._look(work, moved) == Look(1, 0.03, None)


def test_refusals_are_counted_since_the_last_promotion_whatever_was_kept_between(
    champion: Path, mlflow_url: str, tmp_path: Path
) -> None:
    made = loop.make(champion, str(tmp_path / "store"), mlflow_url, tmp_path / "metrics")
    for days, action in enumerate(SAID, 1):
        tried(made, action, days)
    assert retrain.main(made.arguments()) == 0
    assert 'leadscoring_challenger_refused_in_a_row{job="retrain"} 2' in (made.metrics / "retrain.prom").read_text()


def test_a_retraining_that_lost_its_lease_leaves_the_pointer_alone(
    champion: Path, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = loop.make(champion, str(tmp_path / "store"), mlflow_url, tmp_path / "metrics")
    before = made.served().version

    def lost(_: lease.Lease) -> None:
        raise JobFailed("the lease was lost")

    monkeypatch.setattr(lease.Lease, "check", lost)
    assert retrain.main(made.arguments()) == 1
    assert "the lease was lost" in capsys.readouterr().err
    assert made.served().version == before


def test_of_two_retrainings_at_once_one_is_sent_away(
    champion: Path, mlflow_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = loop.make(champion, str(tmp_path / "store"), mlflow_url, tmp_path / "metrics")
    with lease.hold(made.models, "retrain", seconds=1.5):
        assert retrain.main(made.arguments()) == 1
    states(capsys.readouterr().err, "at work", "leases/retrain.json")
    assert [d.action for d in decisions(made)] == ["promoted"]  # that of the champion itself


def test_a_pointer_that_somebody_moved_meanwhile_is_left_where_it_is(
    champion: Path, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = loop.make(champion, str(tmp_path / "store"), mlflow_url, tmp_path / "metrics")
    whole = registration.publish

    def meanwhile(models: Storage, ready: registration.Release) -> str:
        pointed = bundle.read_pointer(models)
        assert pointed is not None
        bundle.move_pointer(models, pointed[0].model_copy(update={"reason": "somebody else"}), pointed[1])
        return whole(models, ready)

    monkeypatch.setattr(registration, "publish", meanwhile)
    assert retrain.main(made.arguments()) == 1
    pointed = bundle.read_pointer(made.models)
    assert pointed is not None
    assert pointed[0].reason == "somebody else"


def test_nothing_served_or_another_sources_models_are_said(
    champion: Path, mlflow_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = loop.make(champion, str(tmp_path / "store"), mlflow_url, tmp_path / "metrics")
    other = loop.write_source(tmp_path, "other")
    assert retrain.main([*made.arguments(), "--source", str(other)]) == 1
    states(capsys.readouterr().err, "source", "'retrained'", "'other'")
    assert retrain.main([*made.arguments(), "--models", str(tmp_path / "empty")]) == 1
    states(capsys.readouterr().err, "nothing", "train first")


MOVED = {"pointer", "record", "alias", "output"}
"""Steps after which the new version is served."""
EACH_TIME = {"register", "pointer", "output"}
"""Before, at and after the move of the pointer; the nightly run kills at all steps."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=[] if step in EACH_TIME else pytest.mark.nightly) for step in stopping.STEPS]
)
def test_killed_at_any_step_it_recovers_at_the_next_start(
    step: str, champion: Path, gcs_url: str, mlflow_url: str
) -> None:
    made = loop.make(champion, gcs_url, mlflow_url, champion / step)
    first = made.served()
    assert made.killed(step) == -signal.SIGKILL
    stopped = made.served().version  # loaded and verified: never half a bundle
    assert (stopped != first.version) == (step in MOVED)
    loop.run_out(made)
    assert retrain.main(made.arguments()) == 0
    now = made.served()
    assert now.version != first.version
    assert now.version == stopped or step not in MOVED
    promoted = [d for d in decisions(made) if d.version == now.version]
    assert [(d.action, d.trigger, d.before) for d in promoted] == [("promoted", "schedule", first.version)]
    assert promoted[0].figures["gain.roc_auc"].low > 0.1
    assert champion_run(made) == now.manifest.provenance.mlflow_run_id
    client = MlflowClient(mlflow_url)
    experiment = client.get_experiment_by_name(NAME)
    assert client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'") == []
    assert "leadscoring_job_last_success" in (made.metrics / "retrain.prom").read_text()


def test_of_many_scored_leads_a_challenger_learns_from_a_sample(changed: Loop) -> None:
    source = changed.source
    source = source.model_copy(update={"recipe": source.recipe.model_copy(update={"rows": 2_000})})
    told: list[str] = []
    work = runner.Loop(
        source, changed.models, changed.predictions, changed.leads, changed.mlflow, NOW, told.append, told.append
    )
    decision = retrain.retrain(work, rules=Rules(leads=200, outcomes=30))
    assert decision.action == "promoted"
    of = changed.served().manifest.provenance
    assert of.sample is not None
    assert (of.rows, of.sample.leads, of.sample.whole) == (loop.ROWS + SCORED, loop.ROWS + SCORED, 500)
    assert of.seen_rows == loop.ROWS
    assert of.sample.sampled < loop.ROWS + SCORED
    states(told, f"sample of {of.sample.sampled:,}")
    states(changed.served().card, f"sample of {of.sample.sampled:,} of 3,000 leads")
