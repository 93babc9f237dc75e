"""The pods that score: do they run, do they have room, are there enough of them?"""

from datetime import timedelta
from functools import partial

from monitoring.alerts import Alert, Severity

ticket = partial(Alert, severity=Severity.TICKET, runbook="pods.md")
page = partial(Alert, severity=Severity.PAGE, runbook="pods.md")
MINUTE = timedelta(minutes=1)
CONTAINER = 'monitored_resource="k8s_container",container_name="scoring"'
MEMORY = f'kubernetes_io:container_memory_limit_utilization{{{CONTAINER},memory_type="non-evictable"}}'
CPU = f"kubernetes_io:container_cpu_limit_utilization{{{CONTAINER}}}"
RESTARTS = f"kubernetes_io:container_restart_count{{{CONTAINER}}}"
AVAILABLE = 'sum(kube_deployment_status_replicas_available{deployment="scoring"})'
WANTED = 'sum(kube_deployment_spec_replicas{deployment="scoring"})'
UPDATED = 'sum(kube_deployment_status_replicas_updated{deployment="scoring"})'
# Each roll-out passes the two reasons that are left out. A container that crashes waits only between its attempts.
WAITING = (
    'max_over_time(kube_pod_container_status_waiting_reason{container="scoring",'
    'reason!~"ContainerCreating|PodInitializing"}[8m])'
)
KILLED = "logging_googleapis_com:user_leadscoring_out_of_memory"
UNHANDLED = 'logging_googleapis_com:user_leadscoring_unhandled_errors{monitored_resource="k8s_container"}'

ALERTS = (
    page(
        name="ScoringPodsHalfGone",
        expr=f"{AVAILABLE} < 0.5 * {WANTED}",
        hold=5 * MINUTE,
        summary="Fewer than half of the scoring pods that should run are ready, and callers soon get no scores.",
        panel="Pods ready and wanted",
    ),
    ticket(
        name="ScoringPodsNotReady",
        expr=f"{AVAILABLE} < {WANTED}",
        hold=20 * MINUTE,
        summary="A scoring pod has not been ready for 20 minutes: the next fault finds callers with less reserve.",
        panel="Pods ready and wanted",
    ),
    ticket(
        name="ScoringRolloutStuck",
        # Old pods go only when new ones are ready (maxUnavailable: 0), so the number of ready pods shows nothing.
        expr=f"{UPDATED} < {WANTED}",
        hold=30 * MINUTE,
        summary="A roll-out has not replaced all scoring pods for half an hour: callers still get the old version.",
        panel="Pods ready and wanted",
    ),
    ticket(
        name="ScoringContainersWaiting",
        expr=f"sum by (reason) ({WAITING}) > 0",
        hold=10 * MINUTE,
        summary="A scoring container cannot start: its image, its settings or its program is broken.",
        panel="Containers that wait",
    ),
    ticket(
        name="ScoringPodsCrashLooping",
        expr=f"sum by (pod_name) (increase({RESTARTS}[30m])) > 2",
        hold=0 * MINUTE,
        summary="A scoring pod restarted more than twice in half an hour; callers lose its requests in flight.",
        panel="Restarts",
    ),
    ticket(
        name="ScoringPodsUnschedulable",
        expr='sum(kube_pod_status_unschedulable{pod=~"scoring-.+"}) > 0',
        hold=15 * MINUTE,
        summary="The cluster has had no place for a scoring pod for 15 minutes: callers wait when traffic grows.",
        panel="Pods without a node",
    ),
    ticket(
        name="ScoringOutOfMemory",
        expr=(
            f"max by (pod_name) (max_over_time({MEMORY}[30m])) > 0.95\n"
            f"and on (pod_name)\nsum by (pod_name) (increase({RESTARTS}[30m])) > 0"
        ),
        hold=0 * MINUTE,
        summary="A scoring pod ran out of memory and was restarted; callers lost its requests in flight.",
        panel="Memory against limit",
    ),
    ticket(
        name="ProcessKilledForMemory",
        # The share of memory is sampled once a minute and misses what is killed within it; the kernel's log does not.
        expr=f"sum by (process) (increase({KILLED}[15m])) > 0.5",
        hold=0 * MINUTE,
        summary="The kernel of a node killed a process for its memory; callers lost its requests in flight.",
        panel="Processes killed for memory",
    ),
    ticket(
        name="ScoringErrorsUnhandled",
        expr=f"sum by (logger) (increase({UNHANDLED}[15m])) > 0.5",
        hold=0 * MINUTE,
        summary="The service logged an error with a traceback: a fault in its program, and often an answer with 500.",
        panel="Errors with a traceback",
    ),
    ticket(
        name="ScoringMemoryNearLimit",
        expr=f"max by (pod_name) (avg_over_time({MEMORY}[15m])) > 0.85",
        hold=15 * MINUTE,
        summary="A scoring pod holds more than 85 % of its memory limit and will be killed at the limit.",
        panel="Memory against limit",
    ),
    ticket(
        name="ScoringCpuThrottled",
        expr=f"max by (pod_name) (avg_over_time({CPU}[15m])) > 0.9",
        hold=15 * MINUTE,
        summary="A scoring pod uses more than 90 % of its CPU limit for half an hour and answers callers late.",
        panel="CPU against limit",
    ),
    ticket(
        name="ScoringAtAutoscalerCeiling",
        expr=(
            'sum(kube_horizontalpodautoscaler_status_current_replicas{horizontalpodautoscaler="scoring"})'
            ' >= sum(kube_horizontalpodautoscaler_spec_max_replicas{horizontalpodautoscaler="scoring"})'
        ),
        hold=30 * MINUTE,
        summary="The autoscaler has been at its ceiling for half an hour: more traffic makes every caller wait.",
        panel="Pods and the autoscaler's ceiling",
    ),
)
