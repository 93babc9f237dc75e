"""Each command says 1 where a limit is missed, as it is with the estimators that it was written against."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from service.lifecycle.data.source import Source
from service.lifecycle.evaluation.calibration import Groups
from service.lifecycle.evaluation.labelled import LabelledLeads
from service.lifecycle.promotion.challenger import refit
from service.lifecycle.training.selection import Selection
from tests.benchmarks.loop import calibration, label_free, noise
from tests.benchmarks.loop.limits import Limit, judged


@pytest.mark.parametrize(("value", "status"), [(0.05, 0), (0.06, 1)])
def test_a_missed_limit_is_the_exit_status(value: float, status: int) -> None:
    def measure(quick: bool) -> Iterator[Limit]:
        assert quick
        yield Limit("share", value, 0, 0.05)

    assert judged("name", "", measure, ["--quick"]) == status


def test_the_sum_of_distances_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "QUICK", 100)
    monkeypatch.setattr(calibration, "SIZES", (1_000,))
    monkeypatch.setattr(calibration, "SHAPES", {"a tenth converts": (1.0, 9.0)})
    monkeypatch.setattr(calibration, "WORLDS", {})
    assert calibration.main(["--quick"]) == 0
    monkeypatch.setattr(Groups, "error", lambda self, off=None: np.abs(self.off).sum() / self.leads)
    assert calibration.main(["--quick"]) == 1


def test_a_wrong_allowance_for_luck_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"QUICK": 4, "ROWS": (), "WINDOWS": (1_000,), "LOOKS": 1, "DRAWS": 100, "GATE": 1_000}.items():
        monkeypatch.setattr(noise, name, value)
    monkeypatch.setattr(noise, "LUCK", 0.1)
    assert noise.main(["--quick"]) == 0
    monkeypatch.setattr(noise, "optimism", lambda *_: {"roc_auc": 0.3})
    assert noise.main(["--quick"]) == 1


@pytest.mark.slow
def test_a_reference_from_leads_that_the_model_was_fitted_on_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LEADS": (4_000,), "QUICK": 1, "WINDOWS": 2}.items():
        monkeypatch.setattr(label_free, name, value)
    honest = next(label_free.measure(True))

    def in_sample(matured: LabelledLeads, chosen: Selection, source: Source) -> Selection:
        again = refit(matured, chosen, source)
        seen = matured.leads.frame.iloc[chosen.split.held_out]
        return replace(again, scores=again.pipeline.predict_proba(seen)[:, 1])

    monkeypatch.setattr(label_free, "refit", in_sample)
    found_out = next(label_free.measure(True))
    assert honest.value < found_out.value
    assert not found_out.met
