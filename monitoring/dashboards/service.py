"""The service as its callers meet it, and the pods that run it."""

from monitoring.catalogue import low_traffic
from monitoring.catalogue.capacity import REFUSED, SHED
from monitoring.catalogue.front_door import CHECKED, PER_POD
from monitoring.catalogue.pods import AVAILABLE, CONTAINER, CPU, MEMORY, UPDATED, WANTED
from monitoring.catalogue.promises import AVAILABILITY, LATENCY, SCORED
from monitoring.dashboards.panel import Dashboard, Line, Panel, Threshold, Unit
from monitoring.promql.text import duration

FAST = "Share while a fast burn fires"
BAD = "Failed and slow requests"
FEW = "Few requests in a day"
DURATIONS = f"sum by (le) (rate(leadscoring_request_duration_seconds_bucket{{{SCORED}}}[5m]))"
MEMORY_OF_REQUEST = f'kubernetes_io:container_memory_request_utilization{{{CONTAINER},memory_type="non-evictable"}}'
CPU_OF_REQUEST = f"kubernetes_io:container_cpu_request_utilization{{{CONTAINER}}}"
AUTOSCALER = 'horizontalpodautoscaler="scoring"'

DASHBOARD = Dashboard(
    "service",
    "Lead scoring: service",
    "Do callers get scores, how fast, and do the pods have room?",
    (
        Panel(
            "Requests",
            Unit.PER_SECOND,
            (Line("${status}", f"sum by (status) (rate(leadscoring_requests_total{{{SCORED}}}[5m]))"),),
            stacked=True,
        ),
        Panel(
            "Latency",
            Unit.SECONDS,
            tuple(Line(f"{p} %", f"histogram_quantile({p / 100}, {DURATIONS})") for p in (50, 95, 99)),
            thresholds=(Threshold("promised to 99 %", 0.25),),
        ),
        Panel(
            "Throughput",
            Unit.PER_SECOND,
            (Line("leads, ${decision}", "sum by (decision) (rate(leadscoring_leads_scored_total[5m]))"),),
            stacked=True,
        ),
        Panel("Share of failed requests", Unit.RATIO),
        Panel("Share of slow requests", Unit.RATIO),
        Panel(FAST, Unit.RATIO),
        Panel(
            BAD,
            lines=tuple(
                Line(f"{what} in {duration(window.long)}", slo.bad.replace("{window}", duration(window.long)))
                for what, slo in (("failed", AVAILABILITY), ("slow", LATENCY))
                for window in slo.windows
            ),
        ),
        Panel(
            FEW,
            lines=(
                Line("failed", low_traffic.failed("1d")),
                Line("hours in which one failed", low_traffic.FAILING_HOURS),
                Line("all", low_traffic.ALL),
            ),
        ),
        Panel(
            "Uptime from outside",
            Unit.RATIO,
            (Line("${checker_location}", f"avg by (checker_location) (avg_over_time({CHECKED}[15m]))"),),
        ),
        Panel("Regions that cannot reach it"),
        Panel(
            "Requests refused",
            Unit.PER_SECOND,
            (Line("${status}", 'sum by (status) (rate(leadscoring_requests_total{status=~"4.."}[5m]))'),),
        ),
        Panel("Share of requests shed", Unit.RATIO),
        Panel(
            "Requests shed",
            lines=(
                Line("lacking ${lacking}", "sum by (lacking) (increase(leadscoring_requests_shed_total[5m]))"),
                Line("in five minutes", SHED),
            ),
        ),
        Panel(
            "Connections closed",
            lines=(
                Line("${reason}", "sum by (reason) (increase(leadscoring_connections_closed_total[5m]))"),
                Line("too_many, ${instance}", REFUSED),
            ),
        ),
        Panel(
            "Pods ready and wanted",
            lines=(
                Line("ready", AVAILABLE),
                Line("of the newest version", UPDATED),
                Line("wanted", WANTED, limit=True),
            ),
        ),
        Panel("Pods without a node"),
        Panel("Containers that wait"),
        Panel("Errors with a traceback"),
        Panel("Processes killed for memory"),
        Panel(
            "Pods and the autoscaler's ceiling",
            lines=(
                Line("pods", f"sum(kube_horizontalpodautoscaler_status_current_replicas{{{AUTOSCALER}}})"),
                Line("ceiling", f"sum(kube_horizontalpodautoscaler_spec_max_replicas{{{AUTOSCALER}}})", limit=True),
            ),
        ),
        Panel("Restarts"),
        Panel(
            "CPU against limit",
            Unit.RATIO,
            (
                Line("of limit, ${pod_name}", f"max by (pod_name) (avg_over_time({CPU}[15m]))"),
                Line("of request, highest", f"max(avg_over_time({CPU_OF_REQUEST}[15m]))"),
            ),
        ),
        Panel(
            "Memory against limit",
            Unit.RATIO,
            (
                Line("of limit, ${pod_name}", f"max by (pod_name) (avg_over_time({MEMORY}[15m]))"),
                Line("peak, ${pod_name}", f"max by (pod_name) (max_over_time({MEMORY}[30m]))"),
                Line("of request, highest", f"max(avg_over_time({MEMORY_OF_REQUEST}[15m]))"),
            ),
        ),
        Panel("Requests by pod"),
        Panel("Requests at the pods", lines=(Line("in half an hour", f"sum({PER_POD})"),)),
    ),
)
