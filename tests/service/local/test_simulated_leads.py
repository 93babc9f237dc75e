from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from service.lifecycle.data.leads import load
from service.lifecycle.data.sample import Sample
from service.lifecycle.data.source import Source, load_source
from service.lifecycle.evaluation.outcomes import read_outcomes
from service.lifecycle.training.candidates import candidates
from service.lifecycle.training.golden import golden
from service.lifecycle.training.onnx_export import to_onnx
from service.lifecycle.training.reference_profile import describe
from service.local.simulated_leads import A_DAY, Player
from service.model.bundle import publish
from service.storage import open_storage
from tests.service import forge
from tests.service.api.server import Server
from tests.service.lifecycle.test_train import EXAMPLES

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def source() -> Source:
    given = load_source(EXAMPLES / "sample.toml")
    return given.model_copy(update={"maturity_days": 4.0, "sample": Sample(rows=600)})


def test_leads_are_scored_through_http_and_their_outcomes_come_late_and_in_pieces(
    source: Source, tmp_path: Path
) -> None:
    known = load(source)
    pipeline = candidates(known.schema, known.frame, 0)["logistic_regression"].fit(known.frame, known.target)
    exported, store = to_onnx(pipeline), open_storage(str(tmp_path / "store"))
    scores = pipeline.predict_proba(known.frame)[:, 1]
    described = forge.manifest(exported, known.schema)
    what = describe(known.schema, known.frame, known.frame, scores, known.target, 0.4)
    sums = publish(store, described, exported.onnx, golden(pipeline, known.schema, known.frame), "# Card", what)
    forge.point(store, described.version, sums)
    server = Server(tmp_path, upload_seconds=0.1)
    leads, said = open_storage(str(tmp_path / "leads")), list[str]()
    player = Player(source, Sample(rows=1), f"http://127.0.0.1:{server.port}", leads, START, said.append)
    try:
        for step in range(1, 41):
            player.play(step / 4)
        server.wait(lambda: server.metric("leadscoring_records_uploaded_total") == 10 * A_DAY)
    finally:
        server.stop()
    records = server.records()
    assert len({record.lead_id for record in records}) == len(records) == 10 * A_DAY
    missing = np.mean([record.inputs.get("employees") is None for record in records])
    assert 0.09 < missing < 0.15  # as the generator hides them
    outcomes = read_outcomes(source, known.outcomes, leads)
    assert outcomes.rejected == ()
    assert set(outcomes.converted) < {record.lead_id for record in records}
    assert 0.6 < len(outcomes.converted) / len(records) < 0.9
    assert 0.07 < np.mean(list(outcomes.converted.values())) < 0.15
    assert len(list(leads.keys("outcomes/"))) == 10
    assert len(said) == 10


def test_a_service_that_is_away_is_said_and_missed_leads_come_later(source: Source, tmp_path: Path) -> None:
    leads, said = open_storage(str(tmp_path / "leads")), list[str]()
    player = Player(source, Sample(rows=1), "http://127.0.0.1:9", leads, START, said.append)
    player.play(0.5)
    assert "refused" in said[0]
    assert list(leads.keys("outcomes/")) == []
