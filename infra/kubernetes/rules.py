"""All objects together: what each of them says of the others holds."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from infra.kubernetes import objects, pods
from infra.kubernetes.objects import Object, name
from infra.kubernetes.pods import quantity
from infra.stacks.edge import DRAINING_SECONDS
from infra.stacks.serving import pods_of_a_rollout

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def problems(found: Iterable[Object]) -> list[str]:
    """What is wrong with the objects of one namespace, one line each; empty when all is well."""
    found = [*found]
    return [problem for each in found for problem in objects.problems(each)] or across(found)


def across(found: Sequence[Object]) -> list[str]:
    """What is wrong between objects that are right each by itself."""
    deployments = [each for each in found if each["kind"] == "Deployment"]
    if len(deployments) != 1:
        return [f"{len(deployments)} Deployments: the rules know one"]
    (deployment,) = deployments
    return [
        *_names(found),
        *(f"{name(deployment)}: {problem}" for problem in pods.problems(_pod(deployment), DRAINING_SECONDS)),
        *_selectors(found, deployment),
        *_ports(found, deployment),
        *_identity(found, deployment),
        *_scale(found, deployment),
        *_walls(found),
    ]


def _pod(deployment: Object) -> Object:
    spec: Object = deployment["spec"]["template"]["spec"]
    return spec


def _names(found: Iterable[Object]) -> Iterator[str]:
    namespaces = [each["metadata"]["name"] for each in found if each["kind"] == "Namespace"]
    if len(namespaces) != 1:
        yield f"{len(namespaces)} Namespaces: one is needed"
    for each in found:
        metadata = each["metadata"]
        if not _LABEL.fullmatch(metadata["name"]):
            yield f"{name(each)}: is no legal name"
        if each["kind"] != "Namespace" and metadata.get("namespace") not in namespaces:
            yield f"{name(each)}: is in {metadata.get('namespace')}, not in {', '.join(namespaces)}"
        for label, value in metadata.get("labels", {}).items():
            if not _LABEL_VALUE.fullmatch(value):
                yield f"{name(each)}: {value!r} of {label} is no legal value of a label"


def _selectors(found: Iterable[Object], deployment: Object) -> Iterator[str]:
    """Whoever looks for pods finds those of the Deployment."""
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for each in found:
        spec = each.get("spec", {})
        looked_for = spec.get("selector") or spec.get("podSelector")
        if looked_for is not None and not _meets(
            looked_for if each["kind"] != "Service" else _plain(looked_for), labels
        ):
            yield f"{name(each)}: selects {looked_for}, and the pods are labelled {labels}"
    for spread in _pod(deployment).get("topologySpreadConstraints", []):
        if not _meets(spread.get("labelSelector", {}), labels):
            yield f"{name(deployment)}: spreads {spread.get('labelSelector')}, which are not its pods"
    if not _pod(deployment).get("topologySpreadConstraints"):
        yield f"{name(deployment)}: all its pods may be in one zone"


def _plain(labels: Mapping[str, str]) -> Object:
    return {"matchLabels": labels}


def _meets(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether the selector's labels are there; expressions, which nothing here needs, meet nothing."""
    return "matchExpressions" not in selector and selector.get("matchLabels", {}).items() <= labels.items()


def _ports(found: Iterable[Object], deployment: Object) -> Iterator[str]:
    """Every port that somebody goes to is one that a container listens on."""
    listening: set[Any] = set()
    for container in _pod(deployment)["containers"]:
        for port in container.get("ports", []):
            listening |= {port.get("name"), port["containerPort"]}
    for each in found:
        for port in _ports_asked(each):
            if port not in listening:
                yield f"{name(each)}: goes to port {port}, where no container listens"
        yield from _endpoint_groups(each)


def _ports_asked(each: Object) -> list[Any]:
    """The ports that an object goes to."""
    spec = each.get("spec", {})
    match each["kind"]:
        case "Service":
            return [port.get("targetPort", port["port"]) for port in spec["ports"]]
        case "PodMonitoring":
            return [endpoint["port"] for endpoint in spec["endpoints"]]
        case "NetworkPolicy":
            return [port["port"] for rule in spec.get("ingress", []) for port in rule.get("ports", [])]
        case "Deployment":
            probes = ("startupProbe", "livenessProbe", "readinessProbe")
            return [container[probe]["httpGet"]["port"] for container in _pod(each)["containers"] for probe in probes]
    return []


def _endpoint_groups(each: Object) -> Iterator[str]:
    """What is wrong with the endpoint groups that a Service has made for the load balancer."""
    groups = each["metadata"].get("annotations", {}).get("cloud.google.com/neg")
    if groups is None:
        return
    asked = json.loads(groups)
    exposed = asked["exposed_ports"]
    if asked.get("zones") != ["*"]:
        yield f"{name(each)}: pods in a zone that had none get no requests: ask for endpoint groups in the zones *"
    if unknown := exposed.keys() - {str(port["port"]) for port in each["spec"]["ports"]}:
        yield f"{name(each)}: exposes port {', '.join(sorted(unknown))}, which it does not have"
    for group in exposed.values():
        if not _LABEL.fullmatch(group.get("name", "")):
            yield f"{name(each)}: its endpoint group has no legal name"


def _identity(found: Iterable[Object], deployment: Object) -> Iterator[str]:
    account = _pod(deployment).get("serviceAccountName")
    if account not in {each["metadata"]["name"] for each in found if each["kind"] == "ServiceAccount"}:
        yield f"{name(deployment)}: runs as {account}, which is not among the objects"


def _scale(found: Iterable[Object], deployment: Object) -> Iterator[str]:
    """The autoscaler scales this Deployment, and there is room for a roll-out, and for a node to be drained."""
    rolling = deployment["spec"].get("strategy", {}).get("rollingUpdate", {})
    surge = rolling.get("maxSurge")
    if rolling.get("maxUnavailable") != 0 or not isinstance(surge, int) or surge < 1:
        yield f"{name(deployment)}: a roll-out takes pods away before others are ready"
        return
    scalers = [each for each in found if each["kind"] == "HorizontalPodAutoscaler"]
    if scalers and "replicas" in deployment["spec"]:
        yield f"{name(deployment)}: names a number of pods, which is the autoscaler's to choose"
    for scaler in scalers:
        target, spec = scaler["spec"]["scaleTargetRef"], scaler["spec"]
        if (target["kind"], target["name"]) != ("Deployment", deployment["metadata"]["name"]):
            yield f"{name(scaler)}: scales {target['kind']} {target['name']}, which is not there"
        least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
        if least > most:
            yield f"{name(scaler)}: its least, {least}, is more than its most, {most}"
        for each in found:
            if each["kind"] == "PodDisruptionBudget" and not _drains(each["spec"], least):
                yield f"{name(each)}: of {least} pods none may be drained"
            if each["kind"] == "ResourceQuota":
                yield from (
                    f"{name(each)}: {problem}" for problem in _room(each, deployment, pods_of_a_rollout(most, surge))
                )


def _drains(budget: Object, least: int) -> bool:
    """Whether one of the least number of pods may go. Shares (`50%`) are not counted, and so refused."""
    if "minAvailable" in budget:
        return isinstance(budget["minAvailable"], int) and budget["minAvailable"] < least
    return isinstance(budget.get("maxUnavailable"), int) and budget["maxUnavailable"] >= 1


def _room(quota: Object, deployment: Object, count: int) -> Iterator[str]:
    hard = quota["spec"]["hard"]
    needed: dict[str, Any] = {"pods": quantity(count)}
    for container in _pod(deployment)["containers"]:
        for kind, resources in container["resources"].items():
            for resource, amount in resources.items():
                one = quantity(amount)
                key = f"{kind}.{resource}"
                needed[key] = needed.get(key, 0) + (one or 0) * count
    for key, amount in hard.items():
        allowed = quantity(amount)
        if allowed is None:
            yield f"{amount!r} of {key} is no quantity"
        elif allowed < needed.get(key, 0):
            yield f"{amount} of {key} is too little for {count} pods"


def _walls(found: Sequence[Object]) -> Iterator[str]:
    """Pods keep to the restricted standard because the namespace demands it, and nothing is open but by name."""
    policies = [each for each in found if each["kind"] == "NetworkPolicy"]
    for each in found:
        labels = each["metadata"].get("labels", {})
        if each["kind"] == "Namespace" and labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{name(each)}: does not enforce the restricted standard"
    for policy in policies:
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            yield from _openings(policy, direction, peers)
    closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    if not any(policy["spec"] == closed for policy in policies):
        yield "no NetworkPolicy denies by default, in both directions"


def _openings(policy: Object, direction: str, peers: str) -> Iterator[str]:
    for rule in policy["spec"].get(direction, []):
        if not rule.get(peers) or not rule.get("ports"):
            yield f"{name(policy)}: an opening ({direction}) names not both, whom and which port"
        if any(peer.get("ipBlock", {}).get("cidr", "").endswith("/0") for peer in rule.get(peers, [])):
            yield f"{name(policy)}: an opening ({direction}) is to everybody"
