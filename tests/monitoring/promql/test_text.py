"""Durations, numbers and metric names of PromQL."""

from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.promql.text import duration, metric_names, number

UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=45), "45s"),
        (timedelta(minutes=90), "90m"),
        (timedelta(hours=2), "2h"),
        (timedelta(hours=24), "1d"),
        (timedelta(days=28), "28d"),
    ],
)
def test_a_duration_is_written_in_the_largest_unit_that_divides_it(span: timedelta, text: str) -> None:
    assert duration(span) == text


@given(st.integers(min_value=0, max_value=10**8))
def test_a_duration_says_exactly_its_seconds(seconds: int) -> None:
    text = duration(timedelta(seconds=seconds))
    assert int(text[:-1]) * UNITS[text[-1]] == seconds


@pytest.mark.parametrize("span", [timedelta(seconds=-1), timedelta(milliseconds=1500)])
def test_a_span_that_promql_cannot_say_is_refused(span: timedelta) -> None:
    with pytest.raises(ValueError, match="no PromQL duration"):
        duration(span)


@given(st.fractions(min_value=Fraction(1, 10**6), max_value=1000))
def test_a_number_is_short_and_true_to_six_digits(value: Fraction) -> None:
    text = number(value)
    assert len(text) <= len("1.23457e-06")
    assert Fraction(text) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    ("expr", "names"),
    [
        ("up == 0", {"up"}),
        ('sum(increase(a_total{x="b{c}[1h]",y=~"5.."}[1h])) / sum(increase(b_total[1h])) > 0.01', "ab"),
        ("time() - last_success_timestamp_seconds > 1e3", {"last_success_timestamp_seconds"}),
        ("sum by (pod, le) (rate(x_bucket[5m])) > 2.5e+3", {"x_bucket"}),
        ("a_total offset 1d unless on (pod) group_left (zone) b_total", "ab"),
        ("max_over_time((a_total > bool 1)[1h:5m]) and b_total", "ab"),
        (
            'run_googleapis_com:request_count{monitored_resource="cloud_run_revision"}',
            {"run_googleapis_com:request_count"},
        ),
    ],
)
def test_metric_names_are_told_from_functions_labels_and_keywords(expr: str, names: str | set[str]) -> None:
    expected = {f"{name}_total" for name in names} if isinstance(names, str) else names
    assert metric_names(expr) == expected
