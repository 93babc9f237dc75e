"""The way in: the load balancer, its certificate, Cloud Armor; and the network's way out."""

from monitoring.catalogue.front_door import BALANCER, LATENCIES, REFUSED_AT_DOOR, REFUSED_BY_PODS
from monitoring.dashboards.panel import Dashboard, Line, Panel, Unit

BLOCKED = "sum by (blocked) (rate(networksecurity_googleapis_com:https_request_count[5m]))"

DASHBOARD = Dashboard(
    "front_door",
    "Lead scoring: front door",
    "Do requests arrive at the pods, and who is turned away before?",
    (
        Panel(
            "Answers of the load balancer",
            Unit.PER_SECOND,
            (Line("${response_code_class}", f"sum by (response_code_class) (rate({BALANCER}}}[5m]))"),),
            stacked=True,
        ),
        Panel(
            "Time to the last byte",
            Unit.MILLISECONDS,
            tuple(
                Line(f"{p} %", f"histogram_quantile({p / 100}, sum by (le) (increase({LATENCIES}[30m])))")
                for p in (50, 95, 99)
            ),
        ),
        Panel("Requests at the load balancer"),
        Panel("5xx that no pod gave"),
        Panel("Share of 5xx at the load balancer", Unit.RATIO),
        Panel("Share of callers refused at the front door", Unit.RATIO),
        Panel(
            "Callers refused at the front door",
            lines=(Line("${response_code}", f"sum by (response_code) (increase({REFUSED_AT_DOOR}}}[1h]))"),),
        ),
        Panel("Share of callers refused by pods", Unit.RATIO),
        Panel(
            "Callers refused by pods",
            lines=(Line("${reason}", f"sum by (reason) (increase({REFUSED_BY_PODS}[1h]))"),),
        ),
        Panel("Share of probes that got a score", Unit.RATIO),
        Panel("Scores given in 20 minutes"),
        Panel(
            "Time until a probe has its score",
            Unit.SECONDS,
            (Line("${job}", "last_over_time(leadscoring_probe_duration_seconds[10m])"),),
        ),
        Panel("Days until the certificate expires", Unit.DAYS),
        Panel("Cloud Armor", Unit.PER_SECOND, (Line("blocked: ${blocked}", BLOCKED),), stacked=True),
        Panel("Callers blocked"),
        Panel("Share of callers blocked", Unit.RATIO),
        Panel("Addresses missing on the way out"),
    ),
)
