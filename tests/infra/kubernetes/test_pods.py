import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from infra.environments import DEV, PROD
from infra.kubernetes.pods import problems, quantity
from infra.stacks.edge import DRAINING_SECONDS
from infra.stacks.serving import objects
from tests.facts import states

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
    ("change", "facts"),
    [
        (lambda pod, c: pod.update(hostNetwork=True), ["hostNetwork shares the node's"]),
        (lambda pod, c: pod["volumes"].append({"name": "n", "hostPath": {"path": "/"}}), ["hostPath"]),
        (lambda pod, c: c["securityContext"].update(privileged=True), ["is privileged"]),
        (lambda pod, c: c["securityContext"].pop("allowPrivilegeEscalation"), ["allowPrivilegeEscalation"]),
        (lambda pod, c: pod["securityContext"].pop("runAsNonRoot"), ["may run as root"]),
        (lambda pod, c: c["securityContext"].update(runAsUser=0), ["may run as root"]),
        (lambda pod, c: pod["securityContext"].pop("runAsUser"), ["runAsUser names no number"]),
        (lambda pod, c: pod["securityContext"].pop("seccompProfile"), ["no seccomp profile"]),
        (lambda pod, c: c["securityContext"]["capabilities"].update(drop=["NET_RAW"]), ["Linux capabilities"]),
        (lambda pod, c: c["securityContext"]["capabilities"].update(add=["CHOWN"]), ["Linux capabilities"]),
        (lambda pod, c: c["securityContext"].pop("readOnlyRootFilesystem"), ["root file system", "writable"]),
        (lambda pod, c: c["ports"][0].update(hostPort=80), ["port", "node"]),
        (
            lambda pod, c: pod.update(initContainers=[{"name": "first", "image": "i"}]),
            ["container first", "allowPrivilegeEscalation"],
        ),
        (lambda pod, c: c["resources"]["limits"].update(cpu="1"), ["not its limits"]),
        (lambda pod, c: c["volumeMounts"].append({"name": "cache", "mountPath": "/c"}), ["no volume"]),
        (lambda pod, c: c.pop("startupProbe"), ["has no startupProbe"]),
        (lambda pod, c: c.update(livenessProbe=c["readinessProbe"]), ["started anew", "not ready"]),
        (lambda pod, c: c["startupProbe"].update(failureThreshold=5), ["given up", "10 s"]),
        (lambda pod, c: c["lifecycle"]["preStop"]["sleep"].update(seconds=DRAINING_SECONDS), ["drains", "20 s"]),
        (lambda pod, c: c.pop("lifecycle"), ["told to end", "0 s"]),
        (lambda pod, c: pod.update(terminationGracePeriodSeconds=45), ["killed", "45 s"]),
        (lambda pod, c: c["env"].append({"name": "LEADSCORING_GRACE_SECONDS", "value": "20"}), ["may need 65 s"]),
    ],
)
def test_a_pod_that_is_out_of_order_is_told_why(change: Callable[[Pod, Any], Any], facts: list[str]) -> None:
    states(found(change), *facts)


@pytest.mark.parametrize(
    ("size", "facts"),
    [
        ({"cpu": "300m"}, ["no multiple of 0.25"]),
        ({"cpu": "0"}, ["'0'", "cpu"]),
        ({"memory": "4Gi"}, ["4.00 GiB", "0.500 CPUs"]),
        ({"memory": "400Mi"}, ["0.39 GiB", "0.500 CPUs"]),
        ({"memory": "1 GB"}, ["'1 GB'", "memory"]),
        ({"ephemeral-storage": "20Gi"}, ["up to 10"]),
    ],
)
def test_what_autopilot_would_change_is_refused(size: dict[str, str], facts: list[str]) -> None:
    def change(pod: Pod, container: Any) -> None:
        for resources in container["resources"].values():
            resources |= size

    states(found(change), *facts)


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
