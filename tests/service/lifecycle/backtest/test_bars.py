"""A bar holds a figure against a number or another figure."""

import pytest

from service.lifecycle.backtest.bars import BANK, parse

FOUND = {"closed": {"brier": 0.12, "profit": 5.0}, "never": {"profit": 5.0}}


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("closed.brier<=0.12", True),
        ("closed.brier<0.12", False),
        ("closed.brier <= .119", False),
        ("closed.profit>never.profit", False),
        ("closed.profit>=never.profit", True),
        ("closed.profit>-1", True),
    ],
)
def test_a_bar_is_met_or_missed(text: str, met: bool) -> None:
    assert parse(text).judge(FOUND)[2] is met


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("closed.gini<1", "closed has no gini"),
        ("random.brier<1", "random has no brier"),
        ("mine.brier<1", "no strategy"),
    ],
)
def test_a_figure_that_there_is_not_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


@pytest.mark.parametrize("text", ["closed.brier", "brier<1", "closed.brier=1", "closed.brier<", "closed.brier<=1.2.3"])
def test_what_is_no_bar_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it like closed\.brier<=0\.12"):
        parse(text)


def test_the_banks_bars_can_be_read_and_name_closed_loop_and_trigger() -> None:
    assert {str(parse(text)) for text in BANK} == set(BANK)
    assert {text.split(".")[0] for text in BANK} == {"closed", "trigger"}
