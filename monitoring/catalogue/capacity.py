"""What the service refuses so that what it accepts stays quick: more than it can do, which is no fault of its own.

Both ask that it lasts: within ten minutes the autoscaler has added pods, or cannot. Nobody is woken here. Requests that
are shed are 5xx, for which ScoringAvailabilityBurnFast pages; the 503 of a refused connection no pod counts among its
requests, so where callers get many of them FrontDoorFailsBeforePods pages.
"""

from datetime import timedelta
from functools import partial

from monitoring.alerts import Alert, Severity
from monitoring.catalogue.promises import SCORED

ticket = partial(Alert, severity=Severity.TICKET, runbook="capacity.md")
MINUTE = timedelta(minutes=1)
SHED = "sum(increase(leadscoring_requests_shed_total[5m]))"
REFUSED = 'sum by (instance) (increase(leadscoring_connections_closed_total{reason="too_many"}[5m]))'

ALERTS = (
    ticket(
        name="ScoringRequestsShed",
        expr=(
            f"{SHED} / sum(increase(leadscoring_requests_total{{{SCORED}}}[5m])) > 0.01\n"
            # Of few requests one is more than one in a hundred.
            f"and\n{SHED} >= 10"
        ),
        hold=10 * MINUTE,
        summary="Over one request in a hundred is refused for lack of capacity, not by a fault: callers get no score.",
        panel="Share of requests shed",
    ),
    ticket(
        name="ScoringConnectionsRefused",
        expr=f"{REFUSED} > 10",
        hold=10 * MINUTE,
        summary="A scoring pod holds as many connections as it may and refuses new ones, whose callers get no score.",
        panel="Connections closed",
    ),
)
