import copy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from infra.environments import ENVIRONMENTS, PROD
from infra.kubernetes.rules import across, problems
from infra.stacks.network import GOOGLE_APIS, HEALTH_CHECKS
from infra.stacks.serving import objects
from tests.conftest import HANG_S
from tests.facts import states

Objects = dict[str, Any]
FOUND = objects(PROD, image="image", account="account")


def found(change: Callable[[Objects], Any]) -> list[str]:
    """What is said of PROD's objects after a change."""
    changed = copy.deepcopy(FOUND)
    change(changed)
    return across([*changed.values()])


def pod(o: Objects) -> Any:
    return o["deployment"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_objects_of_every_environment_fit_together(env: str) -> None:
    assert across([*objects(ENVIRONMENTS[env], image="image", account="account").values()]) == []


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        # selectors meet labels
        (lambda o: o["service"]["spec"]["selector"].update(app="x"), ["Service scoring", "selects"]),
        (lambda o: o["deployment"]["spec"]["template"]["metadata"].update(labels={"a": "b"}), ["Deployment scoring"]),
        (lambda o: o["poddisruptionbudget"]["spec"]["selector"]["matchLabels"].update(a="b"), ["PodDisruptionBudget"]),
        (lambda o: o["podmonitoring"]["spec"].update(selector={"matchLabels": {"a": "b"}}),
         ["PodMonitoring", "selects"]),
        (lambda o: o["networkpolicy"]["spec"].update(podSelector={"matchLabels": {"a": "b"}}),
         ["NetworkPolicy", "selects"]),
        (lambda o: pod(o)["topologySpreadConstraints"][0].update(labelSelector={"matchLabels": {"a": "b"}}),
         ["spreads"]),
        (lambda o: pod(o).pop("topologySpreadConstraints"), ["one zone"]),
        # ports meet
        (lambda o: o["service"]["spec"]["ports"][0].update(targetPort="web"), ["port web"]),
        (lambda o: pod(o)["containers"][0]["ports"][0].update(containerPort=80), ["NetworkPolicy scoring", "goes"]),
        (lambda o: pod(o)["containers"][0]["readinessProbe"]["httpGet"].update(port=81), ["port 81"]),
        (lambda o: o["podmonitoring"]["spec"]["endpoints"][0].update(port="web"), ["PodMonitoring scoring", "goes"]),
        (lambda o: o["service"]["spec"]["ports"][0].update(port=80), ["exposes", "port 8080"]),
        (
            lambda o: o["service"]["metadata"]["annotations"].update(
                {"cloud.google.com/neg": '{"exposed_ports": {"8080": {"name": "Lead Scoring"}}}'}
            ),
            ["endpoint group", "legal name"],
        ),
        (
            lambda o: o["service"]["metadata"]["annotations"].update(
                {"cloud.google.com/neg": '{"exposed_ports": {"8080": {"name": "leadscoring"}}}'}
            ),
            ["Service scoring", "zone that had none"],
        ),
        # legal names, one namespace
        (lambda o: o["service"]["metadata"].update(name="Scoring_1"), ["Service Scoring_1", "legal name"]),
        (lambda o: o["service"]["metadata"].update(name="s" * 64), ["s" * 64, "legal name"]),
        (lambda o: o["service"]["metadata"].update(namespace="default"), ["is in default"]),
        (lambda o: o["service"]["metadata"]["labels"].update(a="b c"), ["legal value", "label"]),
        (lambda o: o.pop("namespace"), ["0 Namespaces"]),
        (lambda o: o.pop("deployment"), ["0 Deployments"]),
        (lambda o: o.pop("serviceaccount"), ["runs as scoring"]),
        # scale and room
        (lambda o: o["horizontalpodautoscaler"]["spec"]["scaleTargetRef"].update(name="x"), ["scales Deployment x"]),
        (lambda o: o["horizontalpodautoscaler"]["spec"].update(minReplicas=99), ["more than its most"]),
        (lambda o: o["deployment"]["spec"].update(replicas=3), ["autoscaler's"]),
        (lambda o: o["deployment"]["spec"]["strategy"].update(rollingUpdate={"maxSurge": 0}), ["takes pods away"]),
        (lambda o: o["deployment"]["spec"].update(strategy={"type": "Recreate"}), ["takes pods away"]),
        (lambda o: o["poddisruptionbudget"]["spec"].update(maxUnavailable=0), ["3 pods", "drained"]),
        (lambda o: o["poddisruptionbudget"]["spec"].update(minAvailable=3), ["3 pods", "drained"]),
        (lambda o: o["resourcequota"]["spec"]["hard"].update(pods="14"), ["14 of pods", "25 pods"]),
        (lambda o: o["resourcequota"]["spec"]["hard"].update({"requests.cpu": "12000m"}), ["requests.cpu", "25 pods"]),
        (lambda o: o["resourcequota"]["spec"]["hard"].update({"limits.memory": "12Gi"}), ["12Gi of limits.memory"]),
        (lambda o: o["resourcequota"]["spec"]["hard"].update({"limits.cpu": "some"}), ["'some' of limits.cpu"]),
        # walls
        (lambda o: o["namespace"]["metadata"].pop("labels"), ["restricted standard"]),
        (lambda o: o.pop("networkpolicy_default"), ["no NetworkPolicy", "default"]),
        (lambda o: o["networkpolicy_default"]["spec"].update(policyTypes=["Ingress"]), ["no NetworkPolicy", "default"]),
        (lambda o: o["networkpolicy"]["spec"]["ingress"][0].pop("from"), ["names not both"]),
        (lambda o: o["networkpolicy"]["spec"]["egress"][0].pop("ports"), ["names not both"]),
        (lambda o: o["networkpolicy"]["spec"]["egress"].append(
            {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}), ["is to everybody"]),
        # the pods are asked too
        (lambda o: pod(o).update(hostPID=True), ["Deployment scoring", "hostPID"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_named(change: Callable[[Objects], Any], facts: list[str]) -> None:
    states(found(change), *facts)


def test_an_object_that_no_cluster_takes_is_reported_before_the_rules_look() -> None:
    wrong = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}}
    (one, other) = problems([wrong])
    states(one, "no kind Thing", "example.com/v1")
    states(other, "no kind Thing", "example.com/v1")


def openings(direction: str, peers: str) -> set[tuple[str, int, str]]:
    """Who is let in or reached by address, on which port."""
    return {
        (peer["ipBlock"]["cidr"], port["port"], port["protocol"])
        for rule in FOUND["networkpolicy"]["spec"][direction]
        for peer in rule[peers]
        if "ipBlock" in peer
        for port in rule["ports"]
    }


def test_pods_are_reached_by_the_load_balancer_and_the_collector_only() -> None:
    assert openings("ingress", "from") == {(range_, 8080, "TCP") for range_ in HEALTH_CHECKS}
    named = [
        peer for rule in FOUND["networkpolicy"]["spec"]["ingress"] for peer in rule["from"] if "ipBlock" not in peer
    ]
    assert named == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gke-gmp-system"}}}]


def test_pods_reach_names_their_identity_and_googles_apis_only() -> None:
    node, metadata = "169.254.20.10/32", "169.254.169.254/32"
    names = {(address, 53, protocol) for address in (node, metadata) for protocol in ("UDP", "TCP")}
    identity = {(metadata, 80, "TCP"), ("169.254.169.252/32", 988, "TCP")}
    assert openings("egress", "to") == {*names, *identity, (GOOGLE_APIS, 443, "TCP")}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.kubernetes", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)


@pytest.mark.slow
def test_the_command_says_what_it_judged() -> None:
    done = run("dev")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1), done.stderr
    states(done.stdout, "dev", "10 objects", "1.33", "1.37", "0 wrong")


@pytest.mark.slow
def test_the_command_tells_wrong_use_from_failure() -> None:
    done = run("nowhere")
    assert done.returncode == 2
    states(done.stderr, "dev, staging, prod")
