"""The probe from outside: a trial lead that is scored through the front door every five minutes.

It is the signal of availability where callers are few. One page reports that nobody gets a score; it leaves to others
what they page for already: with callers, `ScoringAvailabilityBurnFast`; with no pod, `FrontDoorDown` or
`ServiceMetricsAbsent`. What the probe alone suffers, such as a lost grant of its own, is a ticket.

A probe is one sample a run, 1 or 0. In the cloud four are within 20 minutes, and in a local Prometheus as many as it
scraped: a share holds for both.
"""

from datetime import timedelta
from functools import partial

from monitoring.alerts import Alert, Severity
from monitoring.catalogue import telemetry
from monitoring.catalogue.front_door import DOWN_LATELY
from monitoring.catalogue.promises import AVAILABILITY

ticket = partial(Alert, severity=Severity.TICKET, runbook="front-door.md", panel="Share of probes that got a score")
page = partial(Alert, severity=Severity.PAGE, runbook="front-door.md", panel="Share of probes that got a score")
MINUTE = timedelta(minutes=1)
SCORED = 'leadscoring_requests_total{route="/v1/score",status="200"}'
# The largest: of probes from two places one that gets its scores is enough. None that ran is none that got a score.
PASSED = "(max(avg_over_time(leadscoring_probe_success[{window}])) or vector(0))"

ALERTS = (
    page(
        name="NobodyIsScored",
        # The probes' own requests are four in 20 minutes: a pod may have scored them, and the answers were lost after.
        expr=(
            f"{PASSED.format(window='20m')} < 0.5\n"
            f"and on ()\nsum(increase({SCORED}[20m])) < 6\n"
            f"and on ()\ncount({telemetry.SCORED}) > 0\n"
            # Probes that failed are remembered when the others' cause is over.
            f"unless on ()\n{AVAILABILITY.burned(AVAILABILITY.windows[0], within=20 * MINUTE)}\n"
            f"unless on ()\n{DOWN_LATELY}"
        ),
        hold=2 * MINUTE,
        summary="Three of four probes got no score in 20 minutes, or none ran, and hardly any caller got one either.",
    ),
    ticket(
        name="ProbesFailing",
        expr=f"{PASSED.format(window='1h')} < 0.5",
        hold=5 * MINUTE,
        summary="More than half of an hour's probes got no score, or none ran: low traffic would hide an outage.",
    ),
)
