"""Burn-rate alerts follow from the promise."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.alerts import Severity
from monitoring.slos import BURN_WINDOWS, TICKET_WINDOWS, BurnWindow, Slo

SLO = Slo(
    name="Checkout",
    objective=Fraction("0.999"),
    period=timedelta(days=30),
    bad="sum(increase(bad_total[{window}]))",
    total="sum(increase(all_total[{window}]))",
    minimum_bad=7,
    symptom="Nobody can pay",
    runbook="checkout.md",
    panel="Checkout",
)

windows = st.sampled_from(BURN_WINDOWS)
objectives = st.fractions(Fraction("0.95"), Fraction("0.99999"), max_denominator=10**5)
periods = st.integers(7, 90).map(lambda days: timedelta(days=days))


def test_thirty_days_give_the_factors_of_the_sre_workbook() -> None:
    assert [SLO.factor(window) for window in BURN_WINDOWS] == [Fraction("14.4"), 6, 3]


def test_four_weeks_give_smaller_factors_than_thirty_days() -> None:
    four_weeks = replace(SLO, period=timedelta(days=28))
    assert [four_weeks.factor(window) for window in BURN_WINDOWS] == [
        Fraction(digits) for digits in ("13.44", "5.6", "2.8")
    ]


@given(windows, periods)
def test_burning_at_the_factor_for_the_long_window_spends_exactly_the_share(
    window: BurnWindow, period: timedelta
) -> None:
    slo = replace(SLO, period=period, windows=(window,))
    seconds = timedelta(seconds=1)
    budget = (1 - slo.objective) * (period // seconds)
    burnt = slo.factor(window) * (1 - slo.objective) * (window.long // seconds)
    assert burnt / budget == window.spent


@given(windows, objectives, periods)
def test_a_window_is_refused_exactly_when_it_can_never_fire(
    window: BurnWindow, objective: Fraction, period: timedelta
) -> None:
    hours = period // timedelta(hours=1)
    needed = window.spent * hours / (window.long // timedelta(hours=1)) * (1 - objective)
    if needed >= 1:
        with pytest.raises(ValueError, match="cannot be"):
            replace(SLO, objective=objective, period=period, windows=(window,))
    else:
        (alert,) = replace(SLO, objective=objective, period=period, windows=(window,)).alerts()
        assert "0000000" not in alert.expr


def test_a_window_that_can_never_fire_is_refused_by_name_with_the_remedy() -> None:
    with pytest.raises(
        ValueError,
        match=r"Checkout: windows: BurnFast would fire above 144 % .* objective 90 % over 30d leave",
    ):
        replace(SLO, objective=Fraction("0.9"))


def test_an_alert_asks_for_both_windows_and_enough_bad_events() -> None:
    fast = SLO.alerts()[0]
    assert fast.name == "CheckoutBurnFast"
    assert fast.expr == (
        "sum(increase(bad_total[1h])) / sum(increase(all_total[1h])) > 0.0144\n"
        "and\n"
        "sum(increase(bad_total[5m])) / sum(increase(all_total[5m])) > 0.0144\n"
        "and\n"
        "sum(increase(bad_total[1h])) >= 7\n"
        "and\n"
        "sum(increase(bad_total[5m])) >= 3"
    )
    assert fast.summary == (
        "Nobody can pay: more than 1.44 % over 1h and 5m spends the error budget of 30d 14.4 times too fast."
    )


def test_fast_and_slow_burns_page_and_a_steady_one_is_a_ticket() -> None:
    assert [alert.severity for alert in SLO.alerts()] == [Severity.PAGE, Severity.PAGE, Severity.TICKET]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"objective": Fraction(1)}, "objective 1 is not between"),
        ({"objective": Fraction(0)}, "objective 0 is not between"),
        ({"bad": "sum(bad_total)"}, "bad has no {window}"),
        ({"total": "sum(all_total)"}, "total has no {window}"),
        ({"minimum_bad": 0}, "minimum_bad 0 is below 1"),
        ({"period": timedelta(hours=6)}, "BurnSlow needs short < long < period"),
        ({"windows": (replace(BURN_WINDOWS[0], short=timedelta(hours=2)),)}, "BurnFast needs short < long"),
    ],
)
def test_a_promise_that_cannot_be_measured_is_refused_by_field(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(SLO, **change)  # type: ignore[arg-type]


def test_a_slow_page_is_silent_while_the_fast_one_fires_and_as_long_as_its_own_short_window_remembers() -> None:
    fast, slow, steady = SLO.alerts()
    assert slow.expr.endswith(f"\nunless\nmax_over_time((\n{fast.expr}\n)[30m:1m])")
    assert "unless" not in fast.expr + steady.expr
    tickets = replace(SLO, windows=TICKET_WINDOWS)
    assert not any("unless" in alert.expr for alert in tickets.alerts())
