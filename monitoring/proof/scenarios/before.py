"""Stories of what was before: an older fault, a limit that moved, a counter that stands high.

Each is told among others only: what it shows is that an alert reads its own time, and no other.
"""

from monitoring.proof.cases import Case, fires, gauge, stays_silent
from monitoring.proof.scenarios import front_door, pods

PODS = "abcd"


CASES = (
    Case(
        story="six of ten pods are removed, for nobody needs them",
        series=(
            gauge('kube_deployment_status_replicas_available{deployment="scoring"}', 10, (1, 4)),
            gauge('kube_deployment_spec_replicas{deployment="scoring"}', 10, (1, 4)),
        ),
        lasts=60,
        stays_silent=("ScoringPodsHalfGone", "ScoringPodsNotReady"),
        named_only=True,
    ),
    stays_silent(
        "ScoringAtAutoscalerCeiling",
        "the ceiling is raised from ten to twenty pods, of which twelve come",
        gauge('kube_horizontalpodautoscaler_status_current_replicas{horizontalpodautoscaler="scoring"}', 9, (1, 12)),
        gauge('kube_horizontalpodautoscaler_spec_max_replicas{horizontalpodautoscaler="scoring"}', 10, (1, 20)),
        lasts=60,
    ),
    stays_silent(
        "ScoringOutOfMemory",
        "one pod fills its memory three quarters of an hour after it was restarted, another as long before",
        pods.restarts("a", (5, 0), (1, 1), (1, 0)),
        pods.memory("a", (50, 0.4), (10, 0.97), (1, 0.4)),
        pods.restarts("b", (50, 0), (1, 1), (1, 0)),
        pods.memory("b", (1, 0.4), (5, 0.97), (1, 0.4)),
        lasts=90,
    ),
    fires(
        "FrontDoorFailsBeforePods",
        "one in ten never arrives, half an hour after pods failed",
        *front_door.answers(90, (15, 10), (20, 0), (30, 10), (1, 0)),
        front_door.pod("a", 0, (15, 10), (1, 0), status=500),
        after=54,
        until=76,
        lasts=100,
    ),
    stays_silent(
        "CallersRefusedAtFrontDoor",
        "every pod refuses everybody, and then nobody asks",
        *front_door.scores(20, (40, 0, 20), (1, 0, 0), code="401"),
        *(front_door.refusals(pod, (40, 5), (1, 0)) for pod in PODS),
        lasts=90,
        named_only=True,
    ),
    fires(
        "CallersRefusedAtFrontDoor",
        "nobody has the role any more, half an hour after pods refused everybody",
        *front_door.scores(20, (20, 0, 20), (30, 20, 0), (40, 0, 20), (1, 20, 0)),
        *(front_door.refusals(pod, (20, 5), (1, 0)) for pod in PODS),
        after=67,
        until=95,
        lasts=120,
        named_only=True,
    ),
    stays_silent(
        "CallersRefusedAtFrontDoor",
        "eighteen are refused in each of three hours",
        *front_door.scores(0, (180, 0, 0.3)),
        lasts=180,
    ),
    fires(
        "PodsUnknownToLoadBalancer",
        "a pod gets no request any more",
        front_door.pod("a", 20),
        front_door.pod("b", 20),
        front_door.pod("c", 20, (80, 0), (1, 20)),
        *map(front_door.model, "abc"),
        after=44,
        until=80,
        lasts=100,
    ),
)
