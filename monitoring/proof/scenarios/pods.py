"""Stories of the pods."""

from monitoring.proof.cases import Firing, Series, counter, fires, gauge, stays_silent

OURS = 'monitored_resource="k8s_container",container_name="scoring"'


def available(*after: tuple[int, int]) -> tuple[Series, Series]:
    """Ready pods of the four that should run."""
    return (
        gauge('kube_deployment_status_replicas_available{deployment="scoring"}', 4, *after),
        gauge('kube_deployment_spec_replicas{deployment="scoring"}', 4),
    )


def rollout(*after: tuple[int, int]) -> tuple[Series, ...]:
    """Pods of the newest version; as many as should be are ready."""
    return (*available(), gauge('kube_deployment_status_replicas_updated{deployment="scoring"}', 4, *after))


def waits(pod: str, reason: str, *after: tuple[int, float | None]) -> Series:
    """A container that waits for this reason; the series is there only meanwhile."""
    labels = f'container="scoring",pod="scoring-{pod}",reason="{reason}"'
    return gauge(f"kube_pod_container_status_waiting_reason{{{labels}}}", None, *after)


def killed(process: str, *after: tuple[int, float]) -> Series:
    """Processes a minute that the kernel kills for their memory."""
    return counter(f'logging_googleapis_com:user_leadscoring_out_of_memory{{process="{process}"}}', 0, *after)


def unhandled(logger: str, *after: tuple[int, float]) -> Series:
    """Tracebacks a minute in the pods' logs."""
    labels = f'monitored_resource="k8s_container",logger="{logger}"'
    return counter(f"logging_googleapis_com:user_leadscoring_unhandled_errors{{{labels}}}", 0, *after)


def restarts(pod: str, *after: tuple[int, float]) -> Series:
    """Restarts a minute."""
    return counter(f'kubernetes_io:container_restart_count{{{OURS},pod_name="{pod}"}}', 0, *after)


def memory(pod: str, *after: tuple[int, float]) -> Series:
    """Share of the limit that is in use."""
    labels = f'{OURS},memory_type="non-evictable",pod_name="{pod}"'
    return gauge(f"kubernetes_io:container_memory_limit_utilization{{{labels}}}", 0.4, *after)


def cpu(pod: str, *after: tuple[int, float]) -> Series:
    """Share of the limit that is in use."""
    return gauge(f'kubernetes_io:container_cpu_limit_utilization{{{OURS},pod_name="{pod}"}}', 0.5, *after)


def unschedulable(*after: tuple[int, int]) -> Series:
    """Whether one pod finds no node."""
    return gauge('kube_pod_status_unschedulable{pod="scoring-7d4"}', 0, *after)


def replicas(*after: tuple[int, int]) -> tuple[Series, Series]:
    """How many pods the autoscaler runs, of ten at most."""
    return (
        gauge('kube_horizontalpodautoscaler_status_current_replicas{horizontalpodautoscaler="scoring"}', 4, *after),
        gauge('kube_horizontalpodautoscaler_spec_max_replicas{horizontalpodautoscaler="scoring"}', 10),
    )


CASES = (
    fires(
        "ScoringPodsHalfGone",
        "three of four pods are gone",
        *available((30, 1), (1, 4)),
        after=5,
        until=30,
        others={"ScoringPodsNotReady": Firing(after=20, until=30)},
    ),
    stays_silent(
        "ScoringPodsHalfGone",
        "half of the pods are gone, then for 5 minutes more",
        *available((10, 2), (5, 1), (1, 4)),
        lasts=30,
    ),
    fires("ScoringPodsNotReady", "one of four pods is not ready", *available((40, 3), (1, 4)), after=20, until=40),
    stays_silent("ScoringPodsNotReady", "one pod is not ready for 20 minutes", *available((20, 3), (1, 4)), lasts=60),
    # 0.2 a minute, so more than 2 after ten of them.
    fires(
        "ScoringPodsCrashLooping",
        "two pods restart every five minutes",
        restarts("a", (30, 0.2), (1, 0)),
        restarts("b", (30, 0.2), (1, 0)),
        after=12,
        until=51,
        lasts=62,
        instances=2,
    ),
    stays_silent(
        "ScoringPodsCrashLooping",
        "two pods restart every 20 minutes",
        restarts("a", (1, 0.05)),
        restarts("b", (1, 0.05)),
        lasts=90,
    ),
    fires("ScoringPodsUnschedulable", "a pod finds no node", unschedulable((30, 1), (1, 0)), after=15, until=30),
    stays_silent(
        "ScoringPodsUnschedulable", "a node comes within 15 minutes", unschedulable((15, 1), (1, 0)), lasts=60
    ),
    fires(
        "ScoringOutOfMemory",
        "two pods fill their memory and are killed",
        *(memory(pod, (10, 0.97), (1, 0.4)) for pod in "ab"),
        *(restarts(pod, (10, 0), (1, 1), (1, 0)) for pod in "ab"),
        after=12,
        until=42,
        instances=2,
    ),
    stays_silent(
        "ScoringOutOfMemory",
        "one pod is full and lives, another is restarted with 94 % in use",
        memory("a", (10, 0.97), (1, 0.4)),
        restarts("a"),
        memory("b", (10, 0.94), (1, 0.4)),
        restarts("b", (5, 0), (1, 1), (1, 0)),
        lasts=60,
    ),
    # The mean over 15 minutes is above 85 % when its last sample from before is gone, 2 minutes late.
    fires(
        "ScoringMemoryNearLimit",
        "two pods hold 88 % of their memory",
        memory("a", (60, 0.88), (1, 0.4)),
        memory("b", (60, 0.88), (1, 0.4)),
        after=32,
        until=62,
        instances=2,
    ),
    stays_silent(
        "ScoringMemoryNearLimit",
        "a pod holds 84 %, and 86 % for 14 minutes",
        memory("a", (60, 0.84), (14, 0.86), (1, 0.84)),
        lasts=120,
    ),
    fires(
        "ScoringCpuThrottled",
        "two pods use 95 % of their CPU",
        cpu("a", (60, 0.95), (1, 0.5)),
        cpu("b", (60, 0.95), (1, 0.5)),
        after=33,
        until=65,
        instances=2,
    ),
    stays_silent(
        "ScoringCpuThrottled",
        "a pod uses 89 %, and 91 % for 14 minutes",
        cpu("a", (60, 0.89), (14, 0.91), (1, 0.89)),
        lasts=120,
    ),
    fires("ScoringAtAutoscalerCeiling", "ten pods of ten", *replicas((60, 10), (1, 8)), after=30, until=60),
    stays_silent(
        "ScoringAtAutoscalerCeiling",
        "nine pods, and ten for half an hour",
        *replicas((60, 9), (30, 10), (1, 9)),
        lasts=120,
    ),
    fires(
        "ScoringRolloutStuck",
        "the first pod of a new version never gets ready",
        *rollout((45, 1), (1, 4)),
        after=30,
        until=45,
    ),
    fires(
        "ScoringRolloutStuck", "the last of four pods is not replaced", *rollout((45, 3), (1, 4)), after=30, until=45
    ),
    stays_silent(
        "ScoringRolloutStuck",
        "a roll-out takes half an hour",
        *rollout((8, 1), (8, 2), (14, 3), (1, 4)),
        lasts=60,
    ),
    fires(
        "ScoringContainersWaiting",
        "two pods crash, again and again, and a third finds no image",
        *(
            waits(pod, "CrashLoopBackOff", (2, 1), (2, None), (5, 1), (2, None), (9, 1), (1, None), (9, 1), (1, None))
            for pod in "ab"
        ),
        waits("c", "ErrImagePull", (1, 1), (1, None), (1, 1), (1, None)),
        waits("c", "ImagePullBackOff", (1, None), (1, 1), (1, None), (27, 1), (1, None)),
        after=10,
        until=38,
        instances=2,
    ),
    stays_silent(
        "ScoringContainersWaiting",
        "ten pods start one after the other, and one crashes once",
        *(waits(pod, "ContainerCreating", (6 * at, None), (6, 1), (1, None)) for at, pod in enumerate("abcdefghij")),
        waits("k", "CrashLoopBackOff", (10, None), (1, 1), (1, None)),
        lasts=70,
    ),
    # Two minutes late.
    fires(
        "ProcessKilledForMemory",
        "two processes are killed, one on each of two nodes",
        killed("python", (5, 0), (1, 2), (1, 0)),
        killed("metrics", (5, 0), (1, 1), (1, 0)),
        after=7,
        until=22,
        instances=2,
        lasts=60,
    ),
    stays_silent("ProcessKilledForMemory", "no process is killed", killed("python"), memory("a", (60, 0.8)), lasts=60),
    fires(
        "ScoringErrorsUnhandled",
        "one request meets a fault of the program, and the thread that follows the pointer another",
        unhandled("uvicorn.error", (5, 0), (1, 1), (1, 0)),
        unhandled("service.api.watcher", (5, 0), (1, 1), (1, 0)),
        after=7,
        until=22,
        instances=2,
        lasts=60,
    ),
    stays_silent(
        "ScoringErrorsUnhandled",
        "a job's error is its own alert's",
        unhandled("uvicorn.error"),
        counter(
            "logging_googleapis_com:user_leadscoring_unhandled_errors"
            '{monitored_resource="cloud_run_job",logger="service.lifecycle"}',
            0,
            (5, 0),
            (1, 1),
            (1, 0),
        ),
        lasts=60,
    ),
)
