"""The pods by themselves: the restricted standard, what Autopilot leaves as it is, probes, and how a pod ends."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from infra.kubernetes import restricted
from infra.kubernetes.objects import Object
from service.settings import Settings

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|[MGTPE]|[KMGTPE]i)?")
_UNITS = {"m": Decimal("0.001"), "k": Decimal(1000)}
_UNITS |= {unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", 2)}
_UNITS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}
_GIB = Decimal(1024) ** 3

STARTUP_SECONDS = 30
"""At least this long may a start take before the container is given up: a model comes from a bucket meanwhile."""


def quantity(text: Any) -> Decimal | None:
    """The amount that a quantity names (bytes, CPUs); None where it names none."""
    if found := _QUANTITY.fullmatch(str(text)):
        return Decimal(found[1]) * _UNITS.get(found[2], Decimal(1))
    return None


def problems(spec: Object, draining_s: int) -> Iterator[str]:
    """What is wrong with a pod's spec; `draining_s`: for how long the load balancer drains."""
    yield from restricted.problems(spec)
    for container in restricted.containers(spec):
        for problem in _size(container):
            yield f"container {container['name']}: {problem}"
    for container in spec["containers"]:
        for problem in (*_probes(container), *_ending(spec, container, draining_s)):
            yield f"container {container['name']}: {problem}"
        declared = {volume["name"] for volume in spec.get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in declared:
                yield f"container {container['name']}: mounts {mount['name']}, which is no volume of the pod"


def _size(container: Object) -> Iterator[str]:
    """Autopilot raises what is less, and lowers limits to requests or the reverse, so that a plan is never empty.

    https://cloud.google.com/kubernetes-engine/docs/concepts/autopilot-resource-requests#general-purpose
    """
    resources = container.get("resources", {})
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    if requests != limits:
        yield f"requests {requests} are not its limits {limits}"
    amounts = {resource: quantity(amount) for resource, amount in requests.items()}
    for resource in ("cpu", "memory", "ephemeral-storage"):
        if not amounts.get(resource):
            yield f"asks for {requests.get(resource)!r} of {resource}"
            return
    cpu, memory, disk = (Decimal(amounts[r] or 0) for r in ("cpu", "memory", "ephemeral-storage"))
    if cpu < Decimal("0.25") or cpu % Decimal("0.25"):
        yield f"asks for {cpu} CPUs, which is no multiple of 0.25"
    if not 1 <= memory / _GIB / cpu <= Decimal("6.5"):
        yield f"asks for {memory / _GIB:.2f} GiB to {cpu} CPUs; 1 to 6.5 GiB to each are given"
    if not _GIB / 100 <= disk <= 10 * _GIB:
        yield f"asks for {disk / _GIB:.2f} GiB of disk; up to 10 are given"


def _probes(container: Object) -> Iterator[str]:
    def path(probe: str) -> Any:
        return container.get(probe, {}).get("httpGet", {}).get("path")

    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if path(probe) is None:
            yield f"has no {probe} over HTTP"
            return
    if path("livenessProbe") == path("readinessProbe"):
        yield "is started anew whenever it is not ready: both probes ask the same"
    startup = container["startupProbe"]
    budget = startup.get("periodSeconds", 10) * startup.get("failureThreshold", 3)
    if budget < STARTUP_SECONDS:
        yield f"is given up {budget} s after its start; {STARTUP_SECONDS} s are the least"


def _ending(spec: Object, container: Object, draining_s: int) -> Iterator[str]:
    waits = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if waits <= draining_s:
        yield f"is told to end {waits} s after it left the load balancer, which drains for {draining_s} s"
    given = {variable["name"]: variable.get("value") for variable in container.get("env", [])}
    grace = float(given.get("LEADSCORING_GRACE_SECONDS") or Settings.model_fields["grace_seconds"].default)
    needed = waits + 2 * grace  # requests in flight, then the last upload
    if spec.get("terminationGracePeriodSeconds", 30) <= needed:
        yield f"is killed after {spec.get('terminationGracePeriodSeconds', 30)} s, and may need {needed:.0f} s to end"
