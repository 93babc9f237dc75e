import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from infra.environments import DEV, PROD
from infra.kubernetes.pods import problems, quantity
from infra.stacks.edge import DRAINING_SECONDS
from infra.stacks.serving import objects

Pod = dict[str, Any]
POD: Pod = objects(DEV, image="image", account="account")["deployment"]["spec"]["template"]["spec"]


def found(change: Callable[[Pod, Any], Any]) -> list[str]:
    """What is said of the pods after a change to their spec and its container."""
    pod = copy.deepcopy(POD)
    change(pod, pod["containers"][0])
    return [*problems(pod, DRAINING_SECONDS)]


def test_our_pods_are_in_order() -> None:
    assert found(lambda pod, container: None) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda pod, c: pod.update(hostNetwork=True), "hostNetwork shares the node's network"),
        (lambda pod, c: pod["volumes"].append({"name": "n", "hostPath": {"path": "/"}}), "of the kind hostPath"),
        (lambda pod, c: c["securityContext"].update(privileged=True), "is privileged"),
        (lambda pod, c: c["securityContext"].pop("allowPrivilegeEscalation"), "allowPrivilegeEscalation"),
        (lambda pod, c: pod["securityContext"].pop("runAsNonRoot"), "may run as root"),
        (lambda pod, c: c["securityContext"].update(runAsUser=0), "may run as root"),
        (lambda pod, c: pod["securityContext"].pop("runAsUser"), "runAsUser names no number"),
        (lambda pod, c: pod["securityContext"].pop("seccompProfile"), "no seccomp profile"),
        (lambda pod, c: c["securityContext"]["capabilities"].update(drop=["NET_RAW"]), "keeps Linux capabilities"),
        (lambda pod, c: c["securityContext"]["capabilities"].update(add=["CHOWN"]), "keeps Linux capabilities"),
        (lambda pod, c: c["securityContext"].pop("readOnlyRootFilesystem"), "root file system is writable"),
        (lambda pod, c: c["ports"][0].update(hostPort=80), "takes a port of the node"),
        (lambda pod, c: pod.update(initContainers=[{"name": "first", "image": "i"}]), "container first: may gain"),
        (lambda pod, c: c["resources"]["limits"].update(cpu="1"), "are not its limits"),
        (lambda pod, c: c["volumeMounts"].append({"name": "cache", "mountPath": "/c"}), "which is no volume"),
        (lambda pod, c: c.pop("startupProbe"), "has no startupProbe"),
        (lambda pod, c: c.update(livenessProbe=c["readinessProbe"]), "started anew whenever it is not ready"),
        (lambda pod, c: c["startupProbe"].update(failureThreshold=5), "given up 10 s after its start"),
        (lambda pod, c: c["lifecycle"]["preStop"]["sleep"].update(seconds=DRAINING_SECONDS), "which drains for 20 s"),
        (lambda pod, c: c.pop("lifecycle"), "told to end 0 s after"),
        (lambda pod, c: pod.update(terminationGracePeriodSeconds=45), "is killed after 45 s"),
        (lambda pod, c: c["env"].append({"name": "LEADSCORING_GRACE_SECONDS", "value": "20"}), "may need 65 s"),
    ],
)
def test_a_pod_that_is_out_of_order_is_told_why(change: Callable[[Pod, Any], Any], says: str) -> None:
    assert any(says in problem for problem in found(change)), found(change)


@pytest.mark.parametrize(
    ("size", "says"),
    [
        ({"cpu": "300m"}, "no multiple of 0.25"),
        ({"cpu": "0"}, "asks for '0' of cpu"),
        ({"memory": "4Gi"}, "asks for 4.00 GiB to 0.500 CPUs"),
        ({"memory": "400Mi"}, "asks for 0.39 GiB to 0.500 CPUs"),
        ({"memory": "1 GB"}, "asks for '1 GB' of memory"),
        ({"ephemeral-storage": "20Gi"}, "up to 10 are given"),
    ],
)
def test_what_autopilot_would_change_is_refused(size: dict[str, str], says: str) -> None:
    def change(pod: Pod, container: Any) -> None:
        for resources in container["resources"].values():
            resources |= size

    assert [problem for problem in found(change) if says in problem]


def test_production_asks_for_what_it_may_use() -> None:
    (container,) = objects(PROD, image="image", account="account")["deployment"]["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["resources"]["requests"] == container["resources"]["limits"]


@pytest.mark.parametrize(
    ("text", "amount"),
    [("500m", "0.5"), ("2", "2"), ("1.5k", "1500"), ("1Gi", str(2**30)), ("1G", "1000000000"), (3, "3")],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: Any, amount: str) -> None:
    assert quantity(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["1GB", "-1", "", "1 Gi", None])
def test_what_is_no_quantity_is_none(text: Any) -> None:
    assert quantity(text) is None
