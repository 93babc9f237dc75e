"""The job: recent leads are read, compared and recorded; run again it does no harm; too few leads are no failure."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from service import history
from service.history import DriftCheck
from service.lifecycle.drift import main
from service.model.bundle import Economics
from service.model.contact_rule import ContactRule
from service.model.schema import Feature, LeadSchema
from service.model.stored_rule import read_rule
from tests.conftest import free_port
from tests.facts import states
from tests.service import forge
from tests.service.lifecycle.records import NOON, record, upload
from tests.service.lifecycle.world import World, days

pytestmark = pytest.mark.slow  # MLflow, and trainings


def checks(world: World) -> list[DriftCheck]:
    return history.latest(world.models, DriftCheck, 99)


def blinded(world: World, version: str, count: int = 600) -> None:
    """Leads of the last week of which nothing is known any more but their region, which is new."""
    times = [NOON - days(6) + i * days(5) / count for i in range(count)]
    made = [record(f"B-{i}", t, inputs={"region": "east"}, model_version=version) for i, t in enumerate(times)]
    upload(world.predictions, made, name="blinded")


def test_a_quiet_week_is_recorded_and_nothing_is_found(tmp_path: Path, mlflow_url: str) -> None:
    world = World(tmp_path, "quiet-week")
    money = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=200)
    pointer = forge.release(world.models, economics=money, contact_rule=ContactRule(line=0.4))
    world.score(pointer, NOON - days(7), NOON, 700, seed=5)
    world.score(pointer, NOON - days(30), NOON - days(20), 300, seed=6)
    assert main(world.options(mlflow_url, NOON, "--metrics", str(tmp_path / "figures"))) == 0
    (entry,) = checks(world)
    assert (entry.leads, entry.found, entry.reasons) == (700, False, ())
    assert (entry.since, entry.until, entry.model_version) == (NOON - days(7), NOON, pointer.version)
    assert {f.feature for f in entry.features} == {f.name for f in forge.SCHEMA.features}
    assert entry.expected["roc_auc"].low < entry.expected["roc_auc"].value < entry.expected["roc_auc"].high
    client = MlflowClient(mlflow_url)
    run = client.get_run(entry.mlflow_run_id)
    assert (run.info.status, run.data.tags["drift"]) == ("FINISHED", "none")
    assert run.data.metrics["expected.roc_auc"] == entry.expected["roc_auc"].value
    kept = {
        Path(client.download_artifacts(entry.mlflow_run_id, a.path)) for a in client.list_artifacts(run.info.run_id)
    }
    assert {file.name for file in kept} == {"report.html", "summary.md", "drift.json"}
    texts = {file.name: file.read_text() for file in kept}
    states(texts["summary.md"], "itself changed")
    states(texts["report.html"], "Plot 1: score")
    figures = (tmp_path / "figures" / "drift.prom").read_text()
    assert 'leadscoring_drift_found{job="drift"} 0.0' in figures
    assert 'leadscoring_expected_figure{figure="roc_auc",job="drift"}' in figures
    assert 'leadscoring_feature_unseen_excess_ratio{feature="region",job="drift"} 0.0' in figures

    # The contact rule follows the leads: a fifth of them fits.
    rule, generation = read_rule(world.models, pointer.version)
    assert rule is not None
    assert (rule.basis, rule.leads, rule.since, rule.until) == ("recent", 700, NOON - days(7), NOON)
    assert rule.line > 0.4
    assert rule.share_above == pytest.approx(0.2, abs=0.01)

    # The same check again changes nothing.
    assert main(world.options(mlflow_url, NOON)) == 0
    assert checks(world) == [entry]
    assert read_rule(world.models, pointer.version).generation == generation


def test_leads_that_differ_are_found_which_is_no_failure(
    tmp_path: Path, mlflow_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, "blinded")
    pointer = forge.release(world.models)
    blinded(world, pointer.version)
    assert main(world.options(mlflow_url, NOON, "--metrics", str(tmp_path / "figures"))) == 0
    (entry,) = checks(world)
    assert entry.found
    by_name = {f.feature: f for f in entry.features}
    assert by_name["visits"].missing == by_name["region"].unseen == 1
    assert entry.scores.drifted
    assert "visits differs" in capsys.readouterr().out
    figures = (tmp_path / "figures" / "drift.prom").read_text()
    missing = 1 - by_name["visits"].missing_in_training
    assert f'leadscoring_feature_missing_excess_ratio{{feature="visits",job="drift"}} {missing!r}' in figures
    for said in ("leadscoring_drift_found", "leadscoring_drift_score_shifted"):
        assert f'{said}{{job="drift"}} 1.0' in figures
    assert MlflowClient(mlflow_url).get_run(entry.mlflow_run_id).data.tags["drift"] == "found"


def test_a_thin_week_is_filled_up_from_before_and_an_empty_one_says_so(
    tmp_path: Path, mlflow_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, "thin")
    world.explore(0.1)
    pointer = forge.release(world.models)
    assert main(world.options(mlflow_url, NOON)) == 0
    assert "0 leads were scored" in capsys.readouterr().err
    world.score(pointer, NOON - days(3), NOON, 90, seed=5)
    assert main(world.options(mlflow_url, NOON)) == 0
    assert "90 leads were scored" in capsys.readouterr().err
    assert checks(world) == []
    rule, _ = read_rule(world.models, pointer.version)
    assert rule
    assert rule.explores
    world.score(pointer, NOON - days(26), NOON - days(24), 500, seed=6)
    assert main(world.options(mlflow_url, NOON)) == 0
    assert [(c.leads, c.since) for c in checks(world)] == [(590, NOON - days(28))]


def test_leads_scored_by_the_version_before_count_unless_their_fields_meant_something_else(
    tmp_path: Path, mlflow_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, "versions")
    other = LeadSchema(features=(*forge.SCHEMA.features, Feature(name="more", kind="number")))
    foreign, before = (forge.release(world.models, seed, f"v{seed}", s) for seed, s in ((1, other), (2, forge.SCHEMA)))
    world.score(before, NOON - days(5), NOON, 300, seed=5)
    blinded(world, foreign.version, 400)
    served = forge.release(world.models, 3, "v3", new_schema=True)
    assert main(world.options(mlflow_url, NOON)) == 0
    (entry,) = checks(world)
    assert (entry.model_version, entry.leads) == (served.version, 300)
    states(capsys.readouterr().err, "scored by v1", "left out")


def test_without_a_record_in_mlflow_there_is_no_entry(tmp_path: Path) -> None:
    world = World(tmp_path, "unrecorded")
    blinded(world, forge.release(world.models).version)
    assert main(world.options(f"http://127.0.0.1:{free_port()}", NOON)) == 1
    assert checks(world) == []


def test_a_model_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(tmp_path)
    assert main(world.options("http://127.0.0.1:9", NOON)) == 1
    assert "serves no model" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--days", "0"], ["--days", "91"], ["--leads-at-least", "5"], ["--days", "x"]])
def test_wrong_use_ends_with_2(tmp_path: Path, wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(World(tmp_path).options("http://127.0.0.1:9", NOON, *wrong))
    assert ended.value.code == 2
