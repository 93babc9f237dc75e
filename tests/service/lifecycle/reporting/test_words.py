import pytest

from service.history import Estimate
from service.lifecycle.reporting.words import counted, give_or_take, more


@pytest.mark.parametrize(
    ("estimate", "said"),
    [
        (Estimate(31_234, 27_300, 35_050), "31,000, give or take 4,000"),
        (Estimate(31_234, 29_000, 32_000), "31,000, give or take 2,000"),
        (Estimate(31_234, 29_900, 32_000), "31,200, give or take 1,300"),
        (Estimate(48.2, 46.1, 51.5), "48, give or take 3"),
        (Estimate(4.2, 4.1, 4.3), "4, give or take 0"),
        (Estimate(0.0, 0.0, 0.0), "0"),
        (Estimate(-850, -2_950, 1_050), "-1,000, give or take 2,000"),
    ],
)
def test_an_estimate_has_the_digits_that_its_interval_leaves(estimate: Estimate, said: str) -> None:
    assert give_or_take(estimate) == said


def test_a_difference_is_more_or_less_and_one_thing_has_no_plural() -> None:
    assert (more(-1_200.4), more(3.0)) == ("1,200 less", "3 more")
    assert (counted(1, "lead"), counted(1_200, "lead")) == ("1 lead", "1,200 leads")
