import copy
from collections.abc import Callable
from typing import Any

import pytest

from infra.environments import PROD
from infra.policies.cluster import kubernetes_restricted
from infra.policies.plan import Plan, Resource
from infra.stacks.serving import objects

Pod = dict[str, Any]
IMAGE = f"registry/scoring@sha256:{'0' * 64}"
DEPLOYMENT: dict[str, Any] = objects(PROD, image=IMAGE, account="account")["deployment"]


def says(change: Callable[[Pod, Any], Any]) -> str | None:
    """What the policy has against our deployment after a change to its pods' spec and their container."""
    changed = copy.deepcopy(DEPLOYMENT)
    pod = changed["spec"]["template"]["spec"]
    change(pod, pod["containers"][0])
    values = {"manifest": changed}
    return kubernetes_restricted(
        Resource("kubernetes_manifest.d", "kubernetes_manifest", values, {}, {}, Plan("serving", []))
    )


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda pod, c: None, None),
        (lambda pod, c: pod.update(initContainers=None, hostNetwork=None), None),
        (lambda pod, c: pod.update(hostPID=True), "hostPID shares the node's processes"),
        (
            lambda pod, c: pod["volumes"].append({"name": "n", "hostPath": {"path": "/"}}),
            "volume n is of the kind hostPath",
        ),
        (lambda pod, c: pod["securityContext"].pop("seccompProfile"), "container scoring: has no seccomp profile"),
        (
            lambda pod, c: c.update(securityContext=None),
            "container scoring: may gain privileges: allowPrivilegeEscalation is not false; "
            "container scoring: keeps Linux capabilities; container scoring: its root file system is writable",
        ),
        (
            lambda pod, c: c.update(image="scoring:latest"),
            "container scoring: runs the image scoring:latest, which is named by no digest",
        ),
    ],
)
def test_planned_pods_keep_to_the_restricted_standard(change: Callable[[Pod, Any], Any], refusal: str | None) -> None:
    assert says(change) == refusal
