"""The way in: what callers meet before a pod sees them, and the network's way out.

Callers can be refused in two places, and each has its own page because the fix differs:

- Pods answer 401 when they cannot verify the assertion of the identity-aware proxy. The network policy admits only the
  load balancer, and the proxy signs each request that it forwards, so no caller can cause this: one pod in four is
  enough to page.
- The proxy answers 401 to a POST without valid credentials and 403 to callers without the role; Cloud Armor answers
  403. Scanners get the same answers all day, but on other paths. Therefore only requests for scores count, most of them
  must be refused, and there must be some number of them. https://cloud.google.com/iap/docs/faq
"""

from datetime import timedelta
from functools import partial

from monitoring.alerts import Alert, Severity
from monitoring.platform import enough

ticket = partial(Alert, severity=Severity.TICKET, runbook="front-door.md")
page = partial(Alert, severity=Severity.PAGE, runbook="front-door.md")
MINUTE, HALF_HOUR = timedelta(minutes=1), timedelta(minutes=30)
BALANCER = 'loadbalancing_googleapis_com:https_request_count{monitored_resource="https_lb_rule"'
BLOCKED = 'sum(increase(networksecurity_googleapis_com:https_request_count{blocked="true"}[15m]))'
FAILED = f'sum(increase({BALANCER},response_code_class="500"}}[15m]))'
# Five minutes more: the load balancer's count comes up to four late, and what pods said before must not be missing.
CALLS = 'route!~"/healthz|/metrics|/readyz"'  # those need no assertion, and the load balancer's own checks ask for them
OF_PODS = f'sum(increase(leadscoring_requests_total{{{CALLS},status=~"5.."}}[20m]))'
LATENCIES = 'loadbalancing_googleapis_com:https_total_latencies_bucket{monitored_resource="https_lb_rule"}'
CHECKED = 'monitoring_googleapis_com:uptime_check_check_passed{monitored_resource="uptime_url"}'
PER_POD = 'increase(leadscoring_requests_total{route="/v1/score"}[30m])'
# The label is the path rule of the URL map (infra/stacks/edge.py) that the request matched, or UNMATCHED.
# https://cloud.google.com/monitoring/mql/examples
TO_SCORE = f'{BALANCER},matched_url_path_rule="/v1/score"'
REFUSED_AT_DOOR = f'{TO_SCORE},response_code=~"401|403"'
REFUSED_BY_PODS = "leadscoring_callers_refused_total"
ASKED_OF_PODS = f"leadscoring_requests_total{{{CALLS}}}"
DOWN = f"count(max by (checker_location) (max_over_time({CHECKED}[5m])) == 0) >= 2"
# Of a total outage FrontDoorDown tells: it is true nine minutes after the begin, and the 5xx leave their window sooner
# than it is forgotten.
DOWN_LATELY = f"max_over_time((\n{DOWN}\n)[15m:1m])"

AT_ANY_VOLUME = (
    page(
        name="FrontDoorDown",
        expr=DOWN,
        hold=2 * MINUTE,
        summary="The service cannot be reached from two or more regions of the world, and callers get no answer.",
        panel="Regions that cannot reach it",
    ),
    page(
        name="FrontDoorFailsBeforePods",
        expr=(
            f"{FAILED} - ({OF_PODS} or vector(0)) >= 20\nand\n{FAILED} / sum(increase({BALANCER}}}[15m])) > 0.05\n"
            f"unless\n{DOWN_LATELY}"
        ),
        hold=8 * MINUTE,
        summary="The load balancer answers callers with 5xx that no pod gave: their requests never arrive.",
        panel="5xx that no pod gave",
    ),
    page(
        name="CallersRefusedByPods",
        expr=(
            f"sum(increase({REFUSED_BY_PODS}[10m])) / sum(increase({ASKED_OF_PODS}[10m])) > 0.2\n"
            f"and\nsum(increase({REFUSED_BY_PODS}[1h])) >= 10"
        ),
        hold=5 * MINUTE,
        summary="Pods answer over a fifth of requests with 401 although the proxy admitted the callers.",
        panel="Share of callers refused by pods",
    ),
    page(
        name="CallersRefusedAtFrontDoor",
        # The pods' own refusals are subtracted, over five minutes more: the load balancer's count is up to four late.
        expr=(
            f"(sum(increase({REFUSED_AT_DOOR}}}[10m])) - (sum(increase({REFUSED_BY_PODS}[15m])) or vector(0)))"
            f" / sum(increase({TO_SCORE}}}[10m])) > 0.8\n"
            f"and\nsum(increase({REFUSED_AT_DOOR}}}[1h])) >= 20"
        ),
        hold=5 * MINUTE,
        summary="More than four in five requests for scores get 401 or 403 before a pod sees them.",
        panel="Share of callers refused at the front door",
    ),
    ticket(
        name="CertificateExpiresSoon",
        expr=(
            "min(monitoring_googleapis_com:uptime_check_time_until_ssl_cert_expires"
            '{monitored_resource="uptime_url"}) < 14'
        ),
        hold=60 * MINUTE,
        summary="The certificate expires in less than 14 days and was not renewed; callers will refuse to connect.",
        panel="Days until the certificate expires",
    ),
    ticket(
        name="CallersBlocked",
        expr=(
            f"{BLOCKED} > 500\nand\n"
            f"{BLOCKED} / sum(increase(networksecurity_googleapis_com:https_request_count[15m])) > 0.2"
        ),
        hold=5 * MINUTE,
        summary="Cloud Armor blocks over a fifth of all requests: an attack, or callers that a rule mistakes for one.",
        panel="Callers blocked",
    ),
    ticket(
        name="NatExhausted",
        expr="max(max_over_time(router_googleapis_com:nat_nat_allocation_failed[15m])) > 0",
        hold=5 * MINUTE,
        summary="The network's way out has no addresses left, and jobs do not reach the CRM.",
        panel="Addresses missing on the way out",
    ),
)


def alerts(requests_per_day: float) -> tuple[Alert, ...]:
    """All alerts, of an environment that declares so much traffic."""
    unknown_from = enough(requests_per_day, HALF_HOUR, 1000)
    return (
        *AT_ANY_VOLUME,
        ticket(
            name="FrontDoorSlow",
            expr=(
                f"histogram_quantile(0.99, sum by (le) (increase({LATENCIES}[30m]))) > 2000\n"
                # Of fewer, one slow caller in a quiet night would be one in a hundred.
                f"and\nsum(increase({BALANCER}}}[30m])) >= {enough(requests_per_day, HALF_HOUR, 500)}"
            ),
            hold=15 * MINUTE,
            summary="One in a hundred callers waits more than two seconds for the load balancer's last byte.",
            panel="Time to the last byte",
        ),
        ticket(
            name="PodsUnknownToLoadBalancer",
            # A pod without a model is not ready, and gets none: a roll-out that stops half-way has an alert of its own.
            expr=(
                f"sum by (instance) ({PER_POD}) == 0\n"
                "and on (instance)\nsum by (instance) (leadscoring_model_info) > 0\n"
                f"and on ()\nsum({PER_POD}) > {unknown_from}"
            ),
            hold=15 * MINUTE,
            summary="A pod is ready and gets no request while others do: the load balancer does not know its zone.",
            panel="Requests by pod",
        ),
    )
