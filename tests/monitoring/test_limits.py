"""What Cloud Monitoring would refuse is refused before."""

from dataclasses import replace
from datetime import timedelta

import pytest

from monitoring import catalogue, limits
from monitoring.alerts import Alert, Severity

GOOD = Alert(
    name="SpoolFull",
    expr="max_over_time(spool_bytes[25h]) > 1",
    hold=timedelta(minutes=5),
    severity=Severity.PAGE,
    summary="Records wait.",
    runbook="records.md",
    panel="Spool",
)


@pytest.mark.parametrize(
    ("expr", "hours"),
    [
        ("up == 0", 0),
        ("rate(a[30m]) / rate(b[6h])", 6),
        ("a - a offset 2d", 48),
        ("sum_over_time((max_over_time(a[25h]) > 1)[1d:5m])", 49),
        ('a{b="[9d]"} > 1', 216),  # what stands in a matcher is read too: on the safe side
    ],
)
def test_a_subquery_looks_back_on_top_of_what_it_evaluates(expr: str, hours: int) -> None:
    assert limits.lookback(expr) == timedelta(hours=hours)


def test_what_looks_back_further_than_is_sure_is_evaluated_every_five_minutes() -> None:
    assert limits.evaluation_interval(GOOD) == timedelta(minutes=1)
    assert limits.evaluation_interval(replace(GOOD, expr="max_over_time(a[26h]) > 1")) == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "Spool full"}, "label name"),
        ({"name": "S" * 201}, "255 bytes"),
        ({"expr": "max_over_time(spool_bytes[26h]) > 1"}, "may not look back 1 day, 2:00:00"),
        ({"expr": " \n"}, "no expression"),
        ({"expr": '{__name__=~"spool.*"} > 1'}, "matched exactly"),
        ({"expr": "rate(run_googleapis_com:request_count[2m]) > 1"}, "0:05:00 at least"),
        ({"hold": timedelta(milliseconds=1500)}, "not whole seconds"),
        ({"hold": timedelta(minutes=-1)}, "not whole seconds"),
        ({"summary": "x" * 8_193}, "8,192"),
    ],
)
def test_an_alert_beyond_a_limit_is_refused_by_name(changed: dict[str, object], said: str) -> None:
    limits.check([GOOD])
    with pytest.raises(limits.LimitExceeded, match=said):
        limits.check([GOOD, replace(GOOD, **changed)])  # type: ignore[arg-type]


def test_a_ticket_may_look_back_further() -> None:
    limits.check([replace(GOOD, severity=Severity.TICKET, expr="max_over_time(a[8d]) > 1")])


def test_the_whole_catalogue_is_within_the_limits() -> None:
    limits.check(catalogue.alerts())
