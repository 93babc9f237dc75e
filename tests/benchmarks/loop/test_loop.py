"""Each command says 1 where a limit is missed, as it is with the estimators that it was written against."""

from collections.abc import Iterator

import numpy as np
import pytest

from service.lifecycle.evaluation.calibration import Groups
from service.model.bundle import JudgedOn
from tests.benchmarks.loop import calibration, noise
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


def test_a_benchmark_that_is_thought_surer_than_it_is_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"QUICK": 12, "ROWS": (), "WINDOWS": (2_000,), "LOOKS": 2, "DRAWS": 100, "GATE": 1_000}.items():
        monkeypatch.setattr(noise, name, value)
    monkeypatch.setattr(noise, "LUCK", 1)
    assert noise.main(["--quick"]) == 0
    sure = JudgedOn.model_validate

    def surer(*given: object, **_: object) -> JudgedOn:
        return sure({"leads": 1, "converted": 1, "errors": dict.fromkeys(noise.NAMES, 0.0)})

    monkeypatch.setattr(noise, "judged_on", surer)
    monkeypatch.setattr(noise, "window", lambda draw, leads: _sure(noise.window_of(draw, leads)))
    assert noise.main(["--quick"]) == 1
