"""An expression is explained in words that say what it says."""

import promql_parser
import pytest

from monitoring import catalogue
from monitoring.promql.conditions import Condition, conditions
from monitoring.review.explain import number, sentence, words


@pytest.mark.parametrize(
    ("expr", "told"),
    [
        ("sum(increase(a[1h])) / sum(b)", "(the sum of the growth in 1h of a as a share of the sum of b)"),
        ("max by (pod) (avg_over_time(a[15m]))", "the largest of the mean over 15m of a for each pod"),
        ("time() - max(a)", "the seconds since the largest of a"),
        ("time() - 600", "600 seconds ago"),
        ("a or vector(0)", "a (where there is none: 0)"),
        ("count(a == 0)", "how many there are of a that is 0"),
        ("sum_over_time((a > 3)[1d:5m])", "the sum over 1d of a that is above 3, taken every 5m"),
        ("histogram_quantile(0.99, sum by (le) (rate(a_bucket[5m])))",
         "what 99 % stay below of the growth a second, over 5m, of a_bucket"),
        ("absent(a)", "absent(a)"),
        ("a ^ b", "a ^ b"),
    ],
)  # fmt: skip
def test_an_expression_in_words(expr: str, told: str) -> None:
    assert words(promql_parser.parse(expr)) == told


def test_a_comparison_in_words() -> None:
    assert sentence(Condition("a", ">=", 128_000_000, "128000000")) == "a is at least 128,000,000"
    assert sentence(Condition("a", "<", None, "0.5 * b")) == "a is below (0.5 times b)"
    assert sentence(Condition("a", "<=", 0, "0", or_missing=True)) == "a is at most 0, or there is none"
    assert number(0.01344) == "0.01344"


def test_every_alert_is_told_without_the_language_of_its_expression() -> None:
    for alert in catalogue.alerts():
        for condition in conditions(alert):
            told = sentence(condition)
            assert not any(sign in told.split("{")[0] for sign in ("increase(", "_over_time(", " by (", "vector(")), (
                told
            )
