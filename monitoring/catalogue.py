"""Every SLO and every alert. Policies, rule files and proofs are all made from this list."""

from datetime import timedelta
from fractions import Fraction

from monitoring import promql
from monitoring.alerts import Alert
from monitoring.slos import Slo

SLOS = (
    Slo(
        name="ScoringAvailability",
        objective=Fraction("0.999"),
        period=timedelta(days=28),  # whole weeks: each period holds as many busy Mondays
        # 4xx are the caller's: the lead was understood and refused.
        bad='sum(increase(leadscoring_requests_total{route="/v1/score",status=~"5.."}[{window}]))',
        total='sum(increase(leadscoring_requests_total{route="/v1/score"}[{window}]))',
        # At night one failure in three requests is a ratio and no incident; ten failures are one.
        minimum_bad=10,
        symptom="Requests to score leads fail with 5xx and their callers get no score",
        runbook="scoring-availability.md",
    ),
)


def alerts() -> tuple[Alert, ...]:
    """Every alert, in the order in which people read them."""
    return tuple(alert for slo in SLOS for alert in slo.alerts())


def metric_names() -> frozenset[str]:
    """Every metric that some alert reads: each must be exported by something that runs."""
    return frozenset(name for alert in alerts() for name in promql.metric_names(alert.expr))
