"""One command goes from a lead source to a served model; stopped anywhere, it leaves the old model served."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from service.lifecycle.data.sample import Sample, generate
from service.lifecycle.data.source import Exploration, Source, SourceError, load_source
from service.lifecycle.train import main, train
from service.lifecycle.training import selection
from service.lifecycle.training.candidates import candidates
from service.model import bundle
from service.storage import Folder, StorageError, open_storage
from service.tracking import ALIAS
from tests.conftest import free_port
from tests.facts import states, stating
from tests.service.api.server import Server

EXAMPLES = Path(__file__).parents[3] / "service" / "examples"
ROWS = 600
FAST = "logistic_regression"


class Power(Exception):
    """The machine stops here."""


class Stopping(Folder):
    """A folder of a machine that stops before or after one write: of the key that ends so, or of the pointer."""

    def __init__(self, root: Path, before: str = "", after: str = "") -> None:
        super().__init__(root)
        self.before, self.after = before, after

    def create(self, key: str, data: bytes) -> None:
        self._stop(key, self.before)
        super().create(key, data)
        self._stop(key, self.after)

    def swap(self, key: str, data: bytes, generation: str | None) -> str:
        self._stop(key, self.before)
        generation = super().swap(key, data, generation)
        self._stop(key, self.after)
        return generation

    def _stop(self, key: str, suffix: str) -> None:
        if suffix and key.endswith(suffix):
            raise Power


def named(name: str) -> Source:
    return load_source(EXAMPLES / "sample.toml").model_copy(update={"name": name, "sample": Sample(rows=ROWS)})


def champion(mlflow_url: str, name: str) -> str | None:
    try:
        return str(MlflowClient(mlflow_url).get_model_version_by_alias(name, ALIAS).version)
    except MlflowException:
        return None


def served(root: Path) -> str | None:
    """The version that the pointer names, loaded and verified as the service does it."""
    models = open_storage(str(root))
    pointed = bundle.read_pointer(models)
    return bundle.load(models, pointed[0]).version if pointed else None


def test_a_training_is_recorded_published_served_and_crowned(mlflow_url: str, tmp_path: Path) -> None:
    source = named("whole").model_copy(update={"leave_out": ("region",), "exploration": Exploration(share=0.1)})
    trained = train(source, open_storage(str(tmp_path)), mlflow_url)
    assert served(tmp_path) == trained.manifest.version
    version = MlflowClient(mlflow_url).get_model_version_by_alias("whole", ALIAS)
    assert version.run_id == trained.manifest.provenance.mlflow_run_id
    run = MlflowClient(mlflow_url).get_run(version.run_id)
    assert run.data.params["bundle_version"] == trained.manifest.version
    assert run.data.params["metric_reason"] == source.metric_reason
    assert run.data.metrics["roc_auc"] == pytest.approx(trained.manifest.benchmark["roc_auc"])
    files = {file.path for file in MlflowClient(mlflow_url).list_artifacts(version.run_id)}
    assert files == {"MODEL_CARD.md", "roc.png", "calibration.png", "lift.png", "profit.png"}
    card = (tmp_path / "models" / trained.manifest.version / "MODEL_CARD.md").read_text()
    said = [
        "not fitted again",
        "nobody (a sample)",
        "contract_value: left out",
        "contract_value: left out as a leak; alone it ranks the outcomes with ROC-AUC 1.00",
        trained.leads.sha256,
        "| A | 0.",
    ]
    assert [text for text in said if text not in card] == []
    published = bundle.read_manifest(open_storage(str(tmp_path)), trained.manifest.version)
    assert published.leaks == trained.leaks
    rule = published.contact_rule
    assert rule is not None
    assert (rule.basis, rule.leads, published.exploration) == ("training", ROWS // 5, 0.1)
    assert rule.share_above is not None
    contacts = rule.share_above + (1 - rule.share_above) * rule.explore_probability
    assert contacts <= source.economics.contacts_per_1000_leads / 1000 + 1e-9
    assert rule.explore_probability == pytest.approx(
        0.1 * source.economics.contacts_per_1000_leads / 1000 / (1 - rule.share_above)
    )
    lines = [line for line in card.splitlines() if line.startswith("|")]
    assert {line.count(" |") for line in lines} <= {2, 3, 6, 7}

    # The second training takes the schema that callers know, though the source has changed its mind.
    changed = source.model_copy(update={"leave_out": (), "sample": Sample(rows=ROWS + 50)})
    again = train(changed, open_storage(str(tmp_path)), mlflow_url)
    assert served(tmp_path) == again.manifest.version != trained.manifest.version
    assert again.manifest.lead_schema == trained.manifest.lead_schema
    states(again.leads.notes, "region: left out", "served schema")
    assert champion(mlflow_url, "whole") == "2"
    with pytest.raises(SourceError, match=stating("no column", "'no such'", "leave_out")):
        train(source.model_copy(update={"leave_out": ("no such",)}), open_storage(str(tmp_path)), mlflow_url)
    with pytest.raises(SourceError, match=stating("source", "'whole'", "--models")):
        train(named("other"), open_storage(str(tmp_path)), mlflow_url)
    assert served(tmp_path) == again.manifest.version


def test_a_training_on_a_sample_states_it_in_bundle_card_and_run(
    mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "candidates", lambda *given: {FAST: candidates(*given)[FAST]})
    source = named("sampled").model_copy(update={"sample": Sample(rows=1_500)})
    source = source.model_copy(update={"recipe": source.recipe.model_copy(update={"rows": 1_200})})
    trained = train(source, open_storage(str(tmp_path)), mlflow_url, reason_to_publish="a test")
    of = bundle.read_manifest(open_storage(str(tmp_path)), trained.manifest.version).provenance
    assert of.sample is not None
    assert (of.rows, of.seen_rows, of.sample.leads, of.sample.whole) == (1_500, 1_500, 1_500, 300)
    assert of.sample.sampled == len(trained.leads.target) < 1_500
    assert trained.leads.whole[trained.selection.split.held_out].all()
    card = (tmp_path / "models" / trained.manifest.version / "MODEL_CARD.md").read_text()
    first = of.sample.strata[0]
    states(card, f"{of.sample.sampled:,} of 1,500 leads", "seed 0", f"| {first.leads:,} | {first.sampled:,} |")
    params = MlflowClient(mlflow_url).get_run(of.mlflow_run_id).data.params
    assert (params["sample.leads"], params["sample.whole"]) == ("1500", "300")
    assert f"{first.sampled} of {first.leads}" in params["sample.strata"]


@pytest.mark.slow
def test_stopped_anywhere_nothing_unrecorded_or_half_written_is_served(mlflow_url: str, tmp_path: Path) -> None:
    """Stopped before the bundle is written, halfway, before the pointer, and before the alias; then let through."""
    stops: list[dict[str, str]] = [
        {"before": "model.onnx"},
        {"before": "SHA256SUMS"},
        {"before": "champion.json"},
        {"after": "champion.json"},
    ]
    source, pointed = named("stops"), []
    for stop in stops:
        with pytest.raises(Power):
            train(source, Stopping(tmp_path, **stop), mlflow_url)
        pointed.append(served(tmp_path) is not None)
        assert champion(mlflow_url, "stops") is None
        assert len(MlflowClient(mlflow_url).search_model_versions("name = 'stops'")) == len(pointed)
    assert pointed == [False, False, False, True]
    trained = train(source, open_storage(str(tmp_path)), mlflow_url)
    assert served(tmp_path) == trained.manifest.version
    assert champion(mlflow_url, "stops") == "5"


@pytest.mark.slow
def test_a_model_without_skill_is_published_for_a_reason_only_which_is_told_wherever_it_is_shown(
    mlflow_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw, models = np.random.default_rng(1), tmp_path / "models"
    rows = [f"{draw.normal():.3f},{draw.normal():.3f},{'yes' if draw.random() < 0.2 else 'no'}" for _ in range(600)]
    (tmp_path / "dice.csv").write_text("\n".join(["height,weight,outcome", *rows]) + "\n")
    toml = tmp_path / "dice.toml"
    toml.write_text(
        'name = "dice"\npath = "dice.csv"\ntarget_column = "outcome"\npositive = "yes"\nmetric = "roc_auc"\n'
        'metric_reason = "ranking"\nagreed_by = "sales"\nagreed_on = 2026-01-01\n'
        "[economics]\nconversion_value = 100\ncontact_cost = 20\ncontacts_per_1000_leads = 500\n"
    )
    command = ["--source", str(toml), "--models", str(models), "--tracking", mlflow_url]
    assert main(command) == 1
    states(capsys.readouterr().err, "ROC-AUC", "chance", "--publish-anyway")
    assert served(models) is None
    assert main([*command, "--publish-anyway", "a demonstration"]) == 0
    states(capsys.readouterr().out.splitlines()[-1], "NO USE SHOWN", "a demonstration")
    version = served(models)
    assert version is not None
    states((models / "models" / version / "MODEL_CARD.md").read_text(), "NO USE SHOWN", "a demonstration")
    server = Server(tmp_path, models=str(models))
    try:
        assert server.http.get("/v1/model").json()["skill"]["published_because"] == "a demonstration"
        states(server.http.get("/").text, "not shown to be of use", "a demonstration")
    finally:
        server.stop()


@pytest.mark.slow
def test_leads_whose_metric_nobody_agreed_on_are_for_a_first_look_on_this_machine(
    mlflow_url: str, gcs_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leads = generate(Sample(rows=ROWS)).frame
    leads.to_csv(tmp_path / "crm.csv", index=False)
    toml, models = tmp_path / "crm.toml", tmp_path / "models"
    toml.write_text(
        'name = "unsigned"\npath = "crm.csv"\ntarget_column = "converted"\npositive = true\n'
        'id_column = "lead_id"\ntime_column = "created_at"\nleaks = ["contract_value"]\nagreed_by = "sales"\n'
        "[economics]\nconversion_value = 600\ncontact_cost = 60\n"
    )
    lacks = ("metric, metric_reason, agreed_on", "scripts/check --decide")
    assert main(["--source", str(toml), "--models", gcs_url, "--tracking", mlflow_url]) == 1
    states(capsys.readouterr().err, "others", *lacks)
    assert champion(mlflow_url, "unsigned") is None
    assert main(["--source", str(toml), "--models", str(models), "--tracking", mlflow_url]) == 0
    states(capsys.readouterr().out.splitlines()[-1], "first look on this machine", *lacks)
    version = served(models)
    assert version is not None
    states((models / "models" / version / "MODEL_CARD.md").read_text(), "look on this machine", *lacks)
    here = Server(tmp_path, models=str(models))
    try:
        assert here.http.get("/v1/model").json()["agreement"]["agreed_by"] == "sales"
    finally:
        here.stop()
    elsewhere = Server(tmp_path, models=str(models), ready=False, host="0.0.0.0", allow_anonymous=True)
    try:
        elsewhere.wait(lambda: elsewhere.metric('leadscoring_bundle_refused_total{reason="not_agreed"}') == 1)
        assert elsewhere.http.get("/readyz").status_code == 503
        (line,) = [entry for entry in elsewhere.logs() if entry.get("reason") == "not_agreed"]
        states(line["detail"], "others", *lacks)
    finally:
        elsewhere.stop()


def test_without_a_record_nothing_is_published(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    arguments = ["--source", str(EXAMPLES / "sample.toml"), "--models", str(tmp_path), "--tracking", address]
    assert main(arguments) == 1
    assert list(tmp_path.iterdir()) == []


def test_figures_are_shown_and_nothing_is_left_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = tmp_path / "small.toml"
    toml.write_text((EXAMPLES / "sample.toml").read_text().replace("rows = 20_000", f"rows = {ROWS}"))
    assert main(["--source", str(toml), "--figures"]) == 0
    out, err = capsys.readouterr()
    shown = ["roc_auc", "lift", "5-fold", "held", "the one chosen", "crm_instance: left out", "'eu-1'"]
    assert [text for text in shown if text not in out] == []
    states(out.splitlines(), "contract_value", "left out as a leak", "1.00")
    assert next(place for place, line in enumerate(out.splitlines()[::-1]) if "as a leak" in line) < 6
    assert "fitting gradient_boosting on 480 leads" in err
    assert list(tmp_path.iterdir()) == [toml]


def test_an_unusable_source_ends_with_2_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = tmp_path / "crm.toml"
    toml.write_text((EXAMPLES / "sample.toml").read_text().replace("metric =", "metrik ="))
    assert main(["--source", str(toml), "--figures"]) == 2
    states(capsys.readouterr().err, "metrik:", "unknown", "'metric'")


def test_models_and_tracking_are_asked_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEADSCORING_MODELS_URL", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["--source", str(EXAMPLES / "sample.toml")])
    assert ended.value.code == 2
    assert "give --models and --tracking, or --figures" in capsys.readouterr().err


def test_a_storage_that_cannot_be_read_stops_the_training_before_it_starts(tmp_path: Path) -> None:
    (tmp_path / "champion.json").mkdir()
    with pytest.raises(StorageError, match=r"champion\.json"):
        train(named("unread"), open_storage(str(tmp_path)), "http://127.0.0.1:9")


def test_ctrl_c_ends_a_training_with_130_and_no_traceback(tmp_path: Path) -> None:
    toml = tmp_path / "small.toml"
    toml.write_text((EXAMPLES / "sample.toml").read_text().replace("rows = 20_000", "rows = 100_000"))
    command = [sys.executable, "-m", "service.lifecycle.train", "--source", str(toml), "--figures"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as training:
        assert training.stderr
        begun = next(line for line in training.stderr if "reading" in line)
        training.send_signal(signal.SIGINT)
        said = begun + training.stderr.read()
        assert training.wait() == 130
    assert "Traceback" not in said
