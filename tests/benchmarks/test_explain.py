from typing import Any

import pytest

from service.model.engine import Engine
from tests.benchmarks import explain
from tests.benchmarks.explain import Cost, main


def test_each_lead_is_scored_once_more_for_each_feature(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scored, score_matrix = set[int](), Engine.score_matrix

    def counted(self: Engine, matrix: Any) -> Any:
        scored.add(len(matrix))
        return score_matrix(self, matrix)

    monkeypatch.setattr(Engine, "score_matrix", counted)
    assert main(["--rounds", "2", "--bar", "1e9"]) == 0
    assert "gradient_boosting, 9 features, 100 leads: plain" in capsys.readouterr().out
    assert scored == {1, 10, 100, 9, 90, 900}


@pytest.mark.parametrize(("explained", "code", "verdict"), [(249.0, 0, "met"), (250.0, 1, "MISSED")])
def test_the_worst_cost_is_held_against_the_bar(
    explained: float, code: int, verdict: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = [Cost("a", 9, 1, 10.0, 20.0), Cost("a", 9, 10, 10.0, explained)]
    monkeypatch.setattr(explain, "costs", lambda *_, **__: iter(measured))
    assert main([]) == code
    assert f"the bar is 25: {verdict}" in capsys.readouterr().out
