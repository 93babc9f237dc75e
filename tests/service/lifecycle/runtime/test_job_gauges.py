import subprocess
from pathlib import Path

import grpc
import pytest

from service.lifecycle.runtime import cloud_monitoring
from service.lifecycle.runtime.gauges import NAMES, Gauge, PublishFailed
from service.lifecycle.runtime.job_gauges import publish
from service.storage import StorageError, open_storage
from tests.service.lifecycle.monitoring import Monitoring

SUCCESS, FAILURE = (f"leadscoring_job_last_{end}_timestamp_seconds" for end in ("success", "failure"))


def figure(value: float, name: str = "roc_auc") -> Gauge:
    return Gauge("leadscoring_evaluation_figure", value, {"figure": name})


def test_figures_stand_in_a_file_that_prometheus_reads(tmp_path: Path) -> None:
    labels = {"feature": 'a "b" \\ c\nd'}
    gauges = [figure(0.8), figure(0.1, "brier"), Gauge("leadscoring_feature_unseen_excess_ratio", 1e-9, labels)]
    publish(str(tmp_path / "figures"), "evaluate", gauges, open_storage(str(tmp_path / "models")))
    (file,) = (tmp_path / "figures").iterdir()
    assert file.name == "evaluate.prom"
    lines = file.read_text().splitlines()
    assert 'leadscoring_evaluation_figure{figure="roc_auc",job="evaluate"} 0.8' in lines
    assert 'leadscoring_feature_unseen_excess_ratio{feature="a \\"b\\" \\\\ c\\nd",job="evaluate"} 1e-09' in lines
    assert lines.count("# TYPE leadscoring_evaluation_figure gauge") == 1


@pytest.mark.system
def test_promtool_finds_nothing_to_object_to(tmp_path: Path) -> None:
    gauges = [Gauge(name, 1.5) for name in NAMES]
    publish(str(tmp_path), "evaluate", gauges, open_storage(str(tmp_path / "models")))
    text = (tmp_path / "evaluate.prom").read_bytes()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr + checked.stdout


def test_a_run_that_fails_does_not_make_the_figures_vanish(tmp_path: Path) -> None:
    models = open_storage(str(tmp_path / "models"))
    publish(str(tmp_path), "evaluate", [figure(0.8), figure(0.1, "brier"), Gauge(SUCCESS, 1)], models)
    publish(str(tmp_path), "evaluate", [Gauge(FAILURE, 2)], models)
    text = (tmp_path / "evaluate.prom").read_text()
    assert 'figure="roc_auc",job="evaluate"} 0.8' in text
    assert f'{SUCCESS}{{job="evaluate"}} 1' in text
    assert f'{FAILURE}{{job="evaluate"}} 2' in text


def test_a_figure_that_is_said_anew_replaces_all_of_its_name(tmp_path: Path) -> None:
    models = open_storage(str(tmp_path / "models"))
    publish(str(tmp_path), "evaluate", [figure(0.8), figure(0.1, "brier")], models)
    publish(str(tmp_path), "evaluate", [figure(0.7)], models)
    text = (tmp_path / "evaluate.prom").read_text()
    assert 'figure="roc_auc",job="evaluate"} 0.7' in text
    assert "brier" not in text


def test_a_figure_that_a_run_with_figures_leaves_out_is_gone_and_those_on_runs_stay(tmp_path: Path) -> None:
    models = open_storage(str(tmp_path / "models"))
    publish(str(tmp_path), "evaluate", [figure(0.8), Gauge(SUCCESS, 1), Gauge(FAILURE, 0)], models)
    for gauges in ([Gauge("leadscoring_evaluation_leads", 9), Gauge(SUCCESS, 2)], [Gauge(FAILURE, 3)]):
        publish(str(tmp_path), "evaluate", gauges, models)
        text = (tmp_path / "evaluate.prom").read_text()
        assert "leadscoring_evaluation_figure" not in text
        assert 'leadscoring_evaluation_leads{job="evaluate"} 9' in text
        assert f'{SUCCESS}{{job="evaluate"}} 2' in text
    assert f'{FAILURE}{{job="evaluate"}} 3' in text


def test_what_cloud_monitoring_refuses_goes_out_with_the_next_run(
    tmp_path: Path,
    monitoring: Monitoring,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("UNREACHABLE", "OVER_QUOTA"):
        monkeypatch.setattr(
            cloud_monitoring, name, getattr(cloud_monitoring, name).with_delay(0.01, 0.05, 2).with_timeout(0.2)
        )
    models, target = open_storage(str(tmp_path)), "projects/p/locations/r"
    monitoring.refusals = [grpc.StatusCode.RESOURCE_EXHAUSTED] * 1000
    with pytest.raises(PublishFailed):
        publish(target, "evaluate", [figure(0.8)], models)
    monitoring.refusals = []
    publish(target, "evaluate", [Gauge(FAILURE, 2)], models)
    (request,) = monitoring.requests
    assert [s.points[0].value.double_value for s in request.time_series] == [2, 0.8]


def test_jobs_keep_their_figures_apart(tmp_path: Path) -> None:
    models = open_storage(str(tmp_path / "models"))
    publish(str(tmp_path), "evaluate", [figure(0.8)], models)
    publish(str(tmp_path), "drift", [Gauge(SUCCESS, 1)], models)
    assert "evaluation" not in (tmp_path / "drift.prom").read_text()


def test_that_the_storage_fails_is_made_known_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where a folder should be")
    with pytest.raises(StorageError):
        publish(str(tmp_path / "figures"), "evaluate", [Gauge(FAILURE, 2)], open_storage(str(tmp_path / "models")))
    assert FAILURE in (tmp_path / "figures/evaluate.prom").read_text()


def test_a_name_without_a_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match="add it to"):
        Gauge("leadscoring_unheard_of", 1)
