"""Kubernetes' restricted standard for pods, and what we demand beyond it.

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from collections.abc import Iterator, Mapping
from typing import Any

_SHARED = {"hostNetwork": "network", "hostPID": "processes", "hostIPC": "memory"}
_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
_SECCOMP = {"RuntimeDefault", "Localhost"}


def containers(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All containers of a pod, in the order in which they start."""
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def problems(spec: Mapping[str, Any]) -> Iterator[str]:
    """How a pod's spec departs from the standard. The spec may come from a plan, where null means unset."""
    for shared, what in _SHARED.items():
        if spec.get(shared):
            yield f"{shared} shares the node's {what}"
    for volume in spec.get("volumes") or ():
        if strange := volume.keys() - _VOLUMES - {"name"}:
            yield f"volume {volume['name']} is of the kind {', '.join(sorted(strange))}"
    for container in containers(spec):
        for problem in _of_container(spec, container):
            yield f"container {container['name']}: {problem}"


def _of_container(spec: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[str]:
    inner = container.get("securityContext") or {}
    both = (spec.get("securityContext") or {}) | inner
    if inner.get("privileged"):
        yield "is privileged"
    if inner.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges: allowPrivilegeEscalation is not false"
    if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
        yield "may run as root"
    if not both.get("runAsUser"):  # ours: the standard leaves it open
        yield "runAsUser names no number"
    if (both.get("seccompProfile") or {}).get("type") not in _SECCOMP:
        yield "has no seccomp profile"
    capabilities = inner.get("capabilities") or {}
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield "keeps Linux capabilities"
    if inner.get("readOnlyRootFilesystem") is not True:  # ours: the standard leaves it open
        yield "its root file system is writable"
    if any("hostPort" in port for port in container.get("ports") or ()):
        yield "takes a port of the node"
