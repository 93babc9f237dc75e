"""Stories of the way in and the way out."""

from dataclasses import replace

from monitoring.google import UPTIME_CHECK_LOCATIONS
from monitoring.proof.cases import Case, Firing, Series, Stretch, counter, fires, gauge, stays_silent

PROBE = gauge('leadscoring_probe_success{job="probe"}', 1)
BALANCER = 'loadbalancing_googleapis_com:https_request_count{monitored_resource="https_lb_rule"'


def checks(*failing: tuple[int, int], down: int) -> tuple[Series, ...]:
    """The check from six places, of which the first `down` fail."""
    labels = 'monitored_resource="uptime_url",check_id="front-door"'
    return tuple(
        gauge(
            f'monitoring_googleapis_com:uptime_check_check_passed{{{labels},checker_location="{place}"}}',
            1,
            *(failing if index < down else ()),
        )
        for index, place in enumerate(UPTIME_CHECK_LOCATIONS)
    )


def answers(well: float, *failed: tuple[int, float]) -> tuple[Series, Series]:
    """What the load balancer answers a minute with 200 and with 5xx."""
    return (
        counter(f'{BALANCER},response_code_class="200"}}', well),
        counter(f'{BALANCER},response_code_class="500"}}', 0, *failed),
    )


def scores(well: float, *after: tuple[int, float, float], code: str = "403") -> tuple[Series, Series]:
    """Requests for scores at the load balancer: stretches of minutes, those answered with 200 a minute, and refused."""
    path = f'{BALANCER},matched_url_path_rule="/v1/score"'
    return (
        counter(f'{path},response_code="200"}}', well, *((minutes, good) for minutes, good, _ in after)),
        counter(f'{path},response_code="{code}"}}', 0, *((minutes, bad) for minutes, _, bad in after)),
    )


def probes(a_minute: float) -> Series:
    """Requests a minute by scanners for other paths, which the proxy refuses."""
    return counter(f'{BALANCER},matched_url_path_rule="UNMATCHED",response_code="401"}}', a_minute)


def refusals(pod: str, *after: Stretch, reason: str = "audience") -> Series:
    """Callers a minute whom a pod refuses."""
    return counter(f'leadscoring_callers_refused_total{{reason="{reason}",instance="{pod}"}}', 0, *after)


def refusing(well: float, *after: tuple[int, float, float]) -> tuple[Series, ...]:
    """A pod with health checks: stretches of minutes, requests answered with 200 a minute, and with 401."""
    return (
        pod("a", well, *((minutes, good) for minutes, good, _ in after)),
        pod("a", 0, *((minutes, bad) for minutes, _, bad in after), status=401),
        pod("a", 60, route="/readyz"),
        refusals("a", *((minutes, bad) for minutes, _, bad in after)),
    )


def latencies(a_minute: float, to_2000: float, to_4000: float) -> tuple[Series, ...]:
    """Requests a minute from the fault on, of which so many take 1 to 2 and 2 to 4 seconds; before, none does."""
    name = 'loadbalancing_googleapis_com:https_total_latencies_bucket{monitored_resource="https_lb_rule"'
    slow = {"1000": to_2000 + to_4000, "2000": to_4000, "4000": 0.0, "+Inf": 0.0}
    return tuple(
        counter(f'{name},le="{le}"}}', a_minute, (60, a_minute - more), (1, a_minute)) for le, more in slow.items()
    )


def pod(name: str, before: float | None, *after: Stretch, route: str = "/v1/score", status: int = 200) -> Series:
    """Requests a minute that a pod answers."""
    labels = f'route="{route}",method="POST",status="{status}",instance="{name}"'
    return counter(f"leadscoring_requests_total{{{labels}}}", before, *after)


def model(pod: str) -> Series:
    """A pod's model."""
    return gauge(f'leadscoring_model_info{{version="v1",instance="{pod}"}}', 1)


def blocked(allowed: float, *after: tuple[int, float]) -> tuple[Series, Series]:
    """Requests a minute that Cloud Armor lets through and that it blocks."""
    name = "networksecurity_googleapis_com:https_request_count"
    return counter(f'{name}{{blocked="false"}}', allowed), counter(f'{name}{{blocked="true"}}', 0, *after)


def days_left(*after: tuple[int, int]) -> Series:
    """Days until the certificate expires."""
    labels = 'monitored_resource="uptime_url",check_id="front-door"'
    return gauge(f"monitoring_googleapis_com:uptime_check_time_until_ssl_cert_expires{{{labels}}}", 60, *after)


def nat(*after: tuple[int, int]) -> Series:
    """Whether the network's way out has no address for somebody."""
    return gauge("router_googleapis_com:nat_nat_allocation_failed", 0, *after)


CASES: tuple[Case, ...] = (
    # 4 minutes late, five until no good answer is left in the window, two of hold.
    fires("FrontDoorDown", "two places cannot reach it", *checks((30, 0), (1, 1), down=2), after=11, until=34),
    stays_silent("FrontDoorDown", "one place cannot reach it", *checks((30, 0), (1, 1), down=1), lasts=60),
    stays_silent("FrontDoorDown", "nobody can reach it for five minutes", *checks((5, 0), (1, 1), down=6), lasts=60),
    fires("FrontDoorFailsBeforePods", "one in ten never arrives", *answers(90, (30, 10), (1, 0)), after=19, until=41),
    fires(
        "FrontDoorFailsBeforePods", "two of ten a minute never arrive", *answers(8, (30, 2), (1, 0)), after=21, until=39
    ),
    stays_silent("FrontDoorFailsBeforePods", "one in 25 never arrives", *answers(96, (60, 4)), lasts=60),
    stays_silent("FrontDoorFailsBeforePods", "one of ten a minute never arrives", *answers(9, (60, 1)), lasts=60),
    stays_silent(
        "FrontDoorFailsBeforePods",
        "the pods themselves fail",
        *answers(90, (30, 10), (1, 0)),
        pod("a", 0, (30, 10), (1, 0), status=500),
        lasts=60,
    ),
    fires(
        "FrontDoorFailsBeforePods",
        "pods are not ready, which their own checks count",
        *answers(90, (30, 10), (1, 0)),
        pod("a", 0, (30, 10), (1, 0), route="/readyz", status=503),
        after=19,
        until=41,
    ),
    # One page is enough: of what nobody reaches from outside, FrontDoorDown tells.
    fires(
        "FrontDoorDown",
        "nobody can reach it, and the load balancer counts it",
        *checks((30, 0), (1, 1), down=6),
        *answers(90, (30, 90), (1, 0)),
        after=11,
        until=34,
        lasts=90,
        stays_silent=("FrontDoorFailsBeforePods",),
    ),
    fires(
        "FrontDoorFailsBeforePods",
        "one in ten never arrives, which one place meets too",
        *answers(90, (30, 10), (1, 0)),
        *checks((30, 0), (1, 1), down=1),
        after=19,
        until=41,
    ),
    fires(
        "FrontDoorFailsBeforePods",
        "two places reach it again, and one in ten never arrives still",
        *answers(90, (90, 10), (1, 0)),
        *checks((30, 0), (1, 1), down=2),
        after=57,
        until=101,
        lasts=120,
        others={"FrontDoorDown": Firing(after=11, until=34)},
    ),
    # More than a fifth of ten minutes' requests after eight, five of hold.
    fires(
        "CallersRefusedByPods",
        "a pod of four refuses everybody",
        *refusing(20, (40, 15, 5), (1, 20, 0)),
        after=13,
        until=41,
        lasts=90,
    ),
    fires(
        "CallersRefusedByPods",
        "every pod refuses everybody, two in five minutes, after an hour without a request",
        *refusing(0, (60, 0, 0.4), (1, 0.4, 0)),
        after=29,
        until=68,
        lasts=120,
    ),
    # The load balancer counts them too, later. One page is enough.
    fires(
        "CallersRefusedByPods",
        "every pod refuses everybody, and the load balancer counts it",
        *refusing(20, (40, 0, 20), (1, 20, 0)),
        *scores(20, (40, 0, 20), (1, 20, 0), code="401"),
        after=7,
        until=47,
        lasts=90,
        stays_silent=("CallersRefusedAtFrontDoor",),
    ),
    stays_silent(
        "CallersRefusedByPods", "a pod of six refuses everybody", *refusing(24, (60, 20, 4), (1, 24, 0)), lasts=90
    ),
    stays_silent(
        "CallersRefusedByPods", "nine are refused in an hour, and no others ask", *refusing(0, (1, 0, 0.15)), lasts=90
    ),
    stays_silent(
        "CallersRefusedByPods",
        "everybody is refused for two minutes, until pods have read another audience",
        *refusing(20, (2, 0, 20), (1, 20, 0)),
        lasts=60,
    ),
    # 4 minutes late, over four fifths of ten minutes' requests after eight, five of hold.
    fires(
        "CallersRefusedAtFrontDoor",
        "nobody has the role any more",
        *scores(10, (40, 0, 10), (1, 10, 0)),
        probes(3),
        after=17,
        until=45,
        lasts=90,
    ),
    fires(
        "CallersRefusedAtFrontDoor",
        "no token is taken, of two in five minutes, and pods run",
        *scores(0.4, (80, 0, 0.4), (1, 0.4, 0), code="401"),
        *refusing(0.4, (80, 0, 0), (1, 0.4, 0)),
        after=58,
        until=85,
        lasts=120,
    ),
    stays_silent(
        "CallersRefusedAtFrontDoor", "three of four are refused", *scores(20, (60, 5, 15), (1, 20, 0)), lasts=90
    ),
    stays_silent(
        "CallersRefusedAtFrontDoor", "eighteen are refused in an hour", *scores(0, (60, 0, 0.3), (1, 0, 0)), lasts=90
    ),
    stays_silent("CallersRefusedAtFrontDoor", "scanners probe other paths, and no caller asks", probes(200), lasts=60),
    stays_silent(
        "CallersRefusedAtFrontDoor",
        "scanners probe the path too, three times as often as callers ask at night",
        *scores(1, (60, 1, 3), (1, 1, 0), code="401"),
        probes(200),
        lasts=90,
    ),
    fires("FrontDoorSlow", "five of a hundred wait", *latencies(100, 5, 5), *answers(100), after=25, until=87),
    fires("FrontDoorSlow", "twenty a minute wait", *latencies(20, 0, 20), *answers(20), after=19, until=93),
    stays_silent("FrontDoorSlow", "nine of a thousand wait", *latencies(1000, 50, 9), *answers(1000), lasts=90),
    stays_silent("FrontDoorSlow", "sixteen a minute wait", *latencies(16, 0, 16), *answers(16), lasts=90),
    fires(
        "PodsUnknownToLoadBalancer",
        "a new pod gets no request",
        pod("a", 20),
        pod("b", 20),
        pod("c", None, (40, 0), (1, 20)),
        pod("c", None, (40, 6), (1, 6), route="/healthz"),
        *map(model, "abc"),
        after=16,
        until=40,
    ),
    stays_silent(
        "PodsUnknownToLoadBalancer",
        "the pod of a roll-out that stops has no model, and gets no request",
        pod("a", 20),
        pod("b", 20),
        pod("c", None, (60, 0)),
        *map(model, "ab"),
        lasts=60,
    ),
    stays_silent(
        "PodsUnknownToLoadBalancer",
        "a new pod gets no request, nor do others many, and one gets its first after ten minutes",
        pod("a", 15),
        pod("b", 15),
        pod("c", None, (60, 0)),
        *map(model, "abc"),
        lasts=60,
    ),
    fires("CertificateExpiresSoon", "13 days are left", days_left((120, 13), (1, 90)), after=64, until=124),
    stays_silent(
        "CertificateExpiresSoon",
        "15 days are left, and a mistaken check says 1",
        days_left((60, 15), (60, 1), (1, 15)),
        lasts=180,
    ),
    fires("CallersBlocked", "a third is blocked", *blocked(200, (40, 100), (1, 0)), after=16, until=51),
    stays_silent("CallersBlocked", "a sixth is blocked", *blocked(200, (60, 40)), lasts=60),
    stays_silent("CallersBlocked", "half of few are blocked", *blocked(30, (60, 30)), lasts=60),
    fires("NatExhausted", "no address is left", nat((20, 1), (1, 0)), after=7, until=37),
    stays_silent("NatExhausted", "addresses were always left", nat(), lasts=60),
)
# The probe gets its scores, for its silence is told by alerts of the same runbook.
CASES = tuple(replace(case, series=(*case.series, PROBE)) for case in CASES)
