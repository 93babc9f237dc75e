"""What runs: Cloud Run, Cloud Scheduler, the cluster and what is put on it, and which images are let in."""

import re
from typing import Any

from infra.policies.plan import UNKNOWN, Resource
from infra.policies.policy import other_than, policy, require, unset

SERVICE, JOB = "google_cloud_run_v2_service", "google_cloud_run_v2_job"
CLUSTER = "google_container_cluster"
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|PRIVATE_KEY|API_KEY", re.I)


def _task(r: Resource) -> str:
    """Where a service or a job describes its containers: a job's template wraps an execution's."""
    return "template.template" if r.type == JOB else "template"


require(
    "run-ingress",
    SERVICE,
    "ingress",
    "INGRESS_TRAFFIC_INTERNAL_ONLY",
    "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
    because="a service is reached from our network or our load balancer only",
)


@policy("run-invoker-checked", SERVICE)
def invoker_checked(r: Resource) -> str | None:
    """Cloud Run asks IAM whether the caller may call."""
    return None if unset(r, "invoker_iam_disabled") else "invoker_iam_disabled is true"


@policy("run-own-identity", SERVICE, JOB)
def own_identity(r: Resource) -> str | None:
    """A workload runs as an account of its own, not as Google's default one."""
    path = f"{_task(r)}.service_account"
    if unset(r, path):
        return f"{path} is not set: Google's default account"
    default = [a for a in r.at(path) if a is not UNKNOWN and str(a).endswith("developer.gserviceaccount.com")]
    return f"runs as {default[0]}" if default else None


@policy("run-digest", SERVICE, JOB)
def image_by_digest(r: Resource) -> str | None:
    """An image is named by its digest: a tag can move."""
    loose = [image for image in r.at(f"{_task(r)}.containers.image") if not DIGEST.search(str(image))]
    return f"image {loose[0]}" if loose else None


@policy("run-secret-by-reference", SERVICE, JOB)
def secret_by_reference(r: Resource) -> str | None:
    """A secret reaches a container by reference: a value would lie in state, plan and console."""
    for env in r.at(f"{_task(r)}.containers.env"):
        # ..._FILE says where a secret is mounted.
        if isinstance(env, dict) and env.get("value") and SECRET.search(env["name"]) and env["name"][-5:] != "_FILE":
            return f"{env['name']} holds its value"
    return None


@policy("run-egress", SERVICE, JOB)
def egress(r: Resource) -> str | None:
    """What leaves a workload goes through our network, with its firewall, NAT and logs."""
    if unset(r, f"{_task(r)}.vpc_access.network_interfaces.subnetwork") and unset(
        r, f"{_task(r)}.vpc_access.connector"
    ):
        return "is in no network"
    return other_than(r, f"{_task(r)}.vpc_access.egress", "ALL_TRAFFIC")


@policy("run-probes", SERVICE)
def probes(r: Resource) -> str | None:
    """A service that hangs is noticed."""
    missing = [p for p in ("startup_probe", "liveness_probe") if not r.at(f"template.containers.{p}")]
    return f"no {missing[0]}" if missing else None


@policy("run-bounded", SERVICE, JOB)
def bounded(r: Resource) -> str | None:
    """Instances, time, retries and memory are bounded: nothing runs, or costs, without end."""
    own = ("timeout", "max_retries") if r.type == JOB else ("timeout", "scaling.max_instance_count")
    for path in (*own, "containers.resources.limits.memory", "containers.resources.limits.cpu"):
        if not r.at(f"{_task(r)}.{path}"):
            return f"{_task(r)}.{path} is not set"
    return None


require(
    "run-binary-authorization",
    SERVICE,
    "binary_authorization.use_default",
    True,
    because="only images that the project's Binary Authorization policy admits run",
)
require(
    "run-job-binary-authorization",
    JOB,
    "binary_authorization.use_default",
    True,
    because="only images that the project's Binary Authorization policy admits run",
)


@policy("scheduler-identity", "google_cloud_scheduler_job")
def scheduler_identity(r: Resource) -> str | None:
    """Who calls Google's APIs says who they are: with an OAuth token of an account of their own."""
    account = "http_target.oauth_token.service_account_email"
    return f"{account} is not set" if unset(r, account) else None


@policy("scheduler-https", "google_cloud_scheduler_job")
def scheduler_https(r: Resource) -> str | None:
    """A token is sent to Google alone, encrypted."""
    away = [u for u in r.at("http_target.uri") if not re.match(r"https://[a-z0-9-]+\.googleapis\.com/", str(u))]
    return f"calls {away[0]}" if away else None


require(
    "scheduler-not-paused",
    "google_cloud_scheduler_job",
    "paused",
    False,
    because="what is scheduled happens",
)
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
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    pod = ((manifest(r).get("spec") or {}).get("template") or {}).get("spec")
    if not isinstance(pod, dict):
        return None
    if any(pod.get(shared) for shared in ("hostNetwork", "hostPID", "hostIPC")):
        return "shares the node's network, processes or memory"
    if any((volume or {}).get("hostPath") for volume in pod.get("volumes") or []):
        return "mounts the node's disk"
    outer = pod.get("securityContext") or {}
    for container in [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]:
        inner = container.get("securityContext") or {}
        if inner.get("privileged") or inner.get("allowPrivilegeEscalation") is not False:
            return f"{container['name']} may gain privileges"
        if not (inner.get("runAsNonRoot") or outer.get("runAsNonRoot")):
            return f"{container['name']} may run as root"
        if "ALL" not in ((inner.get("capabilities") or {}).get("drop") or []):
            return f"{container['name']} keeps Linux capabilities"
        if not DIGEST.search(str(container.get("image"))):
            return f"{container['name']} runs the image {container.get('image')}"
    return None
