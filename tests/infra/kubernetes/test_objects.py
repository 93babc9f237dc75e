import copy
from typing import Any

import pytest

from infra.environments import ENVIRONMENTS, PROD
from infra.kubernetes.objects import VERSIONS, problems
from infra.stacks.serving import objects

IMAGE = f"europe-west1-docker.pkg.dev/p/i/scoring@sha256:{'0' * 64}"
FOUND = objects(PROD, image=IMAGE, account="scoring@p.iam.gserviceaccount.com")


def broken(file: str, path: str, value: Any) -> dict[str, Any]:
    """One of PROD's objects with one value changed."""
    each = copy.deepcopy(FOUND[file])
    *folders, last = path.split(".")
    inner: Any = each
    for step in folders:
        inner = inner[int(step) if isinstance(inner, list) else step]
    inner[last] = value
    return each


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_object_of_every_environment_keeps_strictly_to_the_schemas(env: str) -> None:
    found = objects(ENVIRONMENTS[env], image=IMAGE, account="scoring@p.iam.gserviceaccount.com")
    assert [problem for each in found.values() for problem in problems(each)] == []


@pytest.mark.parametrize(
    ("file", "path", "value", "says"),
    [
        ("deployment", "spec.template.spec.containers.0.livenesProbe", {}, "livenesProbe"),
        ("deployment", "spec.template.spec.containers.0.ports.0.containerPort", "http", "not of type 'integer'"),
        ("horizontalpodautoscaler", "spec.maxReplicas", None, "maxReplicas"),
        ("networkpolicy", "spec.egres", [], "egres"),
        ("podmonitoring", "spec.endpoints", [], "non-empty"),
        ("podmonitoring", "spec.endpoints.0.interval", "half a minute", "does not match"),
        ("podmonitoring", "spec.endpoints.0.pth", "/metrics", "pth"),
        ("podmonitoring", "spec.selector.matchLabels", ["scoring"], "not of type 'object'"),
        ("podmonitoring", "kind", "PodMonitor", "no kind PodMonitor"),
        ("poddisruptionbudget", "apiVersion", "policy/v1beta1", "no kind PodDisruptionBudget in policy/v1beta1"),
    ],
)
def test_what_no_cluster_would_take_is_named(file: str, path: str, value: Any, says: str) -> None:
    found = [*problems(broken(file, path, value))]
    assert found
    assert all(says in problem for problem in found), found


def test_what_only_newer_versions_know_is_refused_for_the_oldest() -> None:
    # The field came with 1.34: https://kubernetes.io/docs/concepts/workloads/pods/pod-hostname/
    (says,) = problems(broken("deployment", "spec.template.spec.hostnameOverride", "scoring"))
    assert "hostnameOverride" in says
    assert says.endswith(f"(Kubernetes {VERSIONS[0]})")
