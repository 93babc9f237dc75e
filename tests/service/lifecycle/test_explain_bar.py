import pytest

from service.lifecycle.explain_bar import main


def test_an_explained_scoring_costs_less_than_25_plain_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds", "40"]) == 0
    said = capsys.readouterr().out
    assert "gradient_boosting, 9 features, 100 leads: plain" in said
    assert "the bar is 25: met" in said


def test_a_missed_bar_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds", "5", "--bar", "0.5"]) == 1
    assert "MISSED" in capsys.readouterr().out
