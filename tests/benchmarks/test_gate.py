import pytest

from service.lifecycle.promotion.gate import Verdict
from tests.benchmarks import gate


def trial(equal: bool, better: bool, gap: float = 0.03) -> gate.Trial:
    verdicts = [Verdict("gain" if promoted else None, "", {}) for promoted in (equal, better)]
    return gate.Trial(verdicts[0], verdicts[1], gap)


def test_each_bar_is_missed_just_beyond_it() -> None:
    kept = [trial(i < 5, i < 90) for i in range(100)]
    assert gate.missed(kept) == []
    assert "6.0%" in gate.missed([trial(i < 6, True) for i in range(100)])[0]
    assert "89.0%" in gate.missed([trial(False, i < 89) for i in range(100)])[0]
    assert "the bar means nothing" in gate.missed([trial(False, True, 0.04)])[0]


def test_the_bar_is_missed_on_too_few_leads(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate.main(["--trials", "2", "--leads", "1000"]) == 1
    assert "missed: a better model is promoted in" in capsys.readouterr().out
