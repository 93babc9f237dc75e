"""The bars are met by a few windows, and a bar whose input is lowered is missed and ends with 1."""

import json

import pytest

from tests.benchmarks.drift import Limit, main

SMALL = ["--quiet", "4", "--drifted", "1", "--estimated", "6", "--leads", "600", "--judged", "3000", "--json"]


def bars(capsys: pytest.CaptureFixture[str]) -> dict[str, bool]:
    return {bar["what"]: bar["met"] for bar in json.loads(capsys.readouterr().out)["bars"]}


def test_a_drift_too_weak_to_cost_anything_misses_the_bars(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--trained", "3000", "--strength", "0.01"]) == 1
    met = bars(capsys)
    assert met["quiet windows flagged"]
    assert [kind for kind, good in met.items() if "lost" in kind and good] == []
    assert [kind for kind, good in met.items() if "within two" in kind and good] == []


def test_a_bar_is_a_range() -> None:
    assert [Limit("", value, 0.8, 0.97).met for value in (0.79, 0.8, 0.97, 0.98, float("nan"))] == [0, 1, 1, 0, 0]


@pytest.mark.parametrize("wrong", [["--quiet", "0"], ["--strength", "2"], ["--leads", "many"]])
def test_wrong_use_ends_with_2(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
