"""A faster clock changes durations, and what is counted within them; nothing else."""

import re
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import promql_parser
import pytest

from monitoring import catalogue
from monitoring.alerts import Alert, Severity
from monitoring.catalogue.promises import AVAILABILITY, LATENCY
from monitoring.limits import lookback
from monitoring.promql.timescale import faster
from monitoring.slos import FEWEST_SHORT, Slo


def alert(expr: str, hold: timedelta = timedelta(minutes=5)) -> Alert:
    return Alert(
        name="Any", expr=expr, hold=hold, severity=Severity.TICKET, summary="Any.", runbook="any.md", panel="Any"
    )


def flat(expr: str) -> str:
    """The expression without needless parentheses and breaks."""
    return "".join(promql_parser.parse(expr).prettify().split()).replace("(", "").replace(")", "")


@pytest.mark.parametrize(
    ("expr", "quick"),
    [
        ("sum(increase(a[1h])) > 0", "sum(increase(a[1m])) > 0"),
        ("sum by (b) (increase(a[30m])) > 30", "sum by (b) (increase(a[30s])) > 0.5"),
        ("sum(increase(a[1h])) - sum(increase(b[1h])) >= 30", "sum(increase(a[1m])) - sum(increase(b[1m])) >= 0.5"),
        ("(sum(increase(a[5m])) or vector(0)) >= 30", "(sum(increase(a[5s])) or vector(0)) >= 0.5"),
        ("sum(increase(a[1h])) / sum(increase(b[1h])) > 0.01", "sum(increase(a[1m])) / sum(increase(b[1m])) > 0.01"),
        ("1 - increase(a[1h]) / increase(b[1h]) > 0.01", "1 - increase(a[1m]) / increase(b[1m]) > 0.01"),
        ("max(time() - a) > 600", "max(time() - a) > 10"),
        ("a > time() - 93600", "a > time() - 1560"),
        ("600 < time() - a", "10 < time() - a"),
        ("sum_over_time((max(time() - a) > bool 300)[1d:5m])", "sum_over_time((max(time() - a) > bool 5)[24m:5s])"),
        ("max(spool_bytes) > 128000000", "max(spool_bytes) > 128000000"),
        ("max(last_over_time(duration_seconds[25h])) > 2880", "max(last_over_time(duration_seconds[25m])) > 2880"),
        ("histogram_quantile(0.9, increase(a[30m])) > 5000", "histogram_quantile(0.9, increase(a[30s])) > 5000"),
        ("vector(1) unless on () count(a)", "vector(1) unless on () count(a)"),
        ("a offset 25h", "a offset 25m"),
        ("increase(a[1h] offset 1d) > 0", "increase(a[1m] offset 24m) > 0"),
    ],
)
def test_durations_and_counts_within_them_shrink_and_the_rest_stays(expr: str, quick: str) -> None:
    assert flat(faster(alert(expr), 60).expr) == flat(quick)


@pytest.mark.parametrize("slo", [AVAILABILITY, LATENCY], ids=lambda slo: slo.name)
def test_a_burn_rate_is_that_of_a_promise_for_a_shorter_period(slo: Slo) -> None:
    shorter = replace(
        slo,
        period=slo.period / 60,
        windows=tuple(replace(w, long=w.long / 60, short=w.short / 60) for w in slo.windows),
    )
    for slow, quick in zip(slo.alerts(), shorter.alerts(), strict=True):
        expected = quick.expr.replace(":1m]", ":1s]")
        for guard in (slo.minimum_bad or 0, FEWEST_SHORT):
            assert f">= {guard}\n" in f"{quick.expr}\n"
            expected = re.sub(rf">= {guard}\b", f">= {float(Fraction(guard, 60)):.12g}", expected)
        assert flat(faster(slow, 60).expr) == flat(expected)


def test_every_alert_waits_and_looks_back_a_sixtieth() -> None:
    for each in catalogue.alerts():
        quick = faster(each, 60)
        assert quick.hold * 60 == each.hold
        assert (quick.name, quick.severity, quick.summary) == (each.name, each.severity, each.summary)
        if not re.search(r"\[\d+h\d+m", quick.expr):  # which `lookback` does not read
            assert lookback(quick.expr) * 60 == lookback(each.expr), each.name


def test_a_hold_that_would_not_be_whole_seconds_is_refused() -> None:
    with pytest.raises(ValueError, match="Any: 0:05:00 divided by 7"):
        faster(alert("a > 1"), 7)
