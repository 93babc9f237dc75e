"""The cluster, what is put on it, and which images are let in."""

import re
from typing import Any

from infra.kubernetes import restricted
from infra.policies.plan import Resource
from infra.policies.policy import other_than, policy, require
from infra.policies.workloads import DIGEST

CLUSTER = "google_container_cluster"

require("cluster-autopilot", CLUSTER, "enable_autopilot", True, because="Google keeps and hardens the nodes")
require(
    "cluster-private-nodes",
    CLUSTER,
    "private_cluster_config.enable_private_nodes",
    True,
    because="nodes have no public address",
)
require(
    "cluster-deletion-protection",
    CLUSTER,
    "deletion_protection",
    True,
    because="a bare deploy cannot delete the cluster",
)
require(
    "cluster-binary-authorization",
    CLUSTER,
    "binary_authorization.evaluation_mode",
    "PROJECT_SINGLETON_POLICY_ENFORCE",
    because="only images that the project's policy admits run",
)
require(
    "cluster-secrets-encrypted",
    CLUSTER,
    "database_encryption.state",
    "ENCRYPTED",
    because="Kubernetes secrets are encrypted with a key of ours",
)
require(
    "cluster-release-channel",
    CLUSTER,
    "release_channel.channel",
    "REGULAR",
    "STABLE",
    "EXTENDED",
    because="security updates come by themselves, and not first",
)


@policy("cluster-endpoint", CLUSTER)
def cluster_endpoint(r: Resource) -> str | None:
    """The control plane answers at its DNS name, guarded by IAM, and at no address."""
    return other_than(r, "control_plane_endpoints_config.ip_endpoints_config.enabled", False)


@policy("cluster-no-back-door", CLUSTER)
def no_back_door(r: Resource) -> str | None:
    """Who gets in is decided by IAM: no client certificate, no legacy rights, no rights for the anonymous."""
    return (
        other_than(r, "master_auth.client_certificate_config.issue_client_certificate", False)
        or other_than(r, "enable_legacy_abac", False)
        or other_than(r, "anonymous_authentication_config.mode", "LIMITED")
    )


@policy("cluster-backup", "google_gke_backup_backup_plan")
def cluster_backup(r: Resource) -> str | None:
    """The cluster is backed up on schedule, and a backup is kept for a week."""
    days = r.at("retention_policy.backup_retain_days")
    if not days or days[0] < 7:
        return f"kept for {days[0] if days else 'no'} days"
    if r.values.get("deactivated") or r.at("backup_schedule.cron_schedule") == []:
        return "runs on no schedule"
    return other_than(r, "backup_schedule.paused", False)


require(
    "admission-denies",
    "google_binary_authorization_policy",
    "default_admission_rule.evaluation_mode",
    "ALWAYS_DENY",
    "REQUIRE_ATTESTATION",
    because="an image that nobody named is denied",
)
require(
    "admission-enforced",
    "google_binary_authorization_policy",
    "default_admission_rule.enforcement_mode",
    "ENFORCED_BLOCK_AND_AUDIT_LOG",
    because="denied means blocked, not only logged",
)


@policy("admission-own-registry", "google_binary_authorization_policy")
def admission_own_registry(r: Resource) -> str | None:
    """Only images of a registry in a project of ours are admitted, named down to the repository."""
    # https://cloud.google.com/binary-authorization/docs/key-concepts#allowlist_patterns
    for pattern in r.at("admission_whitelist_patterns.name_pattern"):
        if not re.match(r"[a-z0-9-]+-docker\.pkg\.dev/[^/*]+/[^/*]+/", str(pattern)):
            return f"admits {pattern}"
    return None


def manifest(r: Resource) -> dict[str, Any]:
    """The Kubernetes object of a `kubernetes_manifest`."""
    value = r.values.get("manifest")
    return value if isinstance(value, dict) else {}


@policy("kubernetes-no-secret", "kubernetes_manifest", "kubernetes_secret*")
def kubernetes_no_secret(r: Resource) -> str | None:
    """No Kubernetes secret comes from Terraform: the state would hold it in clear."""
    secret = r.type.startswith("kubernetes_secret") or manifest(r).get("kind") == "Secret"
    return "is a Secret" if secret else None


@policy("kubernetes-no-way-around", "kubernetes_manifest")
def kubernetes_no_way_around(r: Resource) -> str | None:
    """No Service or Ingress opens a way around the load balancer with its IAP and Cloud Armor."""
    kind, spec = manifest(r).get("kind"), manifest(r).get("spec") or {}
    if kind in ("Ingress", "Gateway"):
        return f"is an {kind}"
    if kind == "Service" and spec.get("type", "ClusterIP") != "ClusterIP":
        return f"is a Service of type {spec['type']}"
    return None


@policy("kubernetes-restricted", "kubernetes_manifest")
def kubernetes_restricted(r: Resource) -> str | None:
    """Pods keep to Kubernetes' restricted standard, with images by digest."""
    pod = ((manifest(r).get("spec") or {}).get("template") or {}).get("spec")
    if not isinstance(pod, dict):
        return None
    wrong = [*restricted.problems(pod)]
    wrong += [
        f"container {container['name']}: runs the image {container.get('image')}, which is named by no digest"
        for container in restricted.containers(pod)
        if not DIGEST.search(str(container.get("image")))
    ]
    return "; ".join(wrong) or None
