"""Failures where there are few requests: too few for a burn rate, which counts ten failures before it tells of any."""

from datetime import timedelta

from monitoring.alerts import Alert, Severity
from monitoring.catalogue.promises import AVAILABILITY

FEW, SHARE, HOURS = 4, 0.07, 3
"""Failures, their share of a day's requests, and the hours that have one.

A fifth of 50 requests brings four failures in 99 of 100 days; one in 200 requests, once in twenty years. A caller who
repeats one request during a roll-out fails in one hour alone.
"""
MANY = 400
"""Requests a day from which a fifth of them is ten failures in six hours: there ScoringAvailabilityBurnSlow tells."""

ALL = AVAILABILITY.total.replace("{window}", "1d")


def failed(window: str) -> str:
    """Requests for scores that were answered with 5xx."""
    return AVAILABILITY.bad.replace("{window}", window)


FAILING_HOURS = f"count_over_time(({failed('1h')} > 0.5)[1d:1h])"

ALERTS = (
    Alert(
        name="ScoringFailuresAmongFew",
        expr=(
            f"{failed('1d')} / {ALL} > {SHARE}\nand\n{failed('1d')} > {FEW - 0.5}\n"
            f"and\n{FAILING_HOURS} >= {HOURS}\nand\n{ALL} < {MANY}"
        ),
        hold=timedelta(0),
        severity=Severity.TICKET,
        summary="Of the few requests of a day many failed with 5xx, in several hours: callers got no score.",
        runbook="scoring-availability.md",
        panel="Share of failed requests",
    ),
)
