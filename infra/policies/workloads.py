"""What runs on Cloud Run, and the clock that starts it."""

import re

from infra.policies.plan import UNKNOWN, Resource
from infra.policies.policy import other_than, policy, require, unset

SERVICE, JOB = "google_cloud_run_v2_service", "google_cloud_run_v2_job"
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|PRIVATE_KEY|API_KEY", re.I)


def _task(r: Resource) -> str:
    """Where a service or a job describes its containers: a job's template wraps an execution's."""
    return "template.template" if r.type == JOB else "template"


@policy("run-ingress", SERVICE)
def ingress(r: Resource) -> str | None:
    """A service is reached from our network or our load balancer; from the internet only if a group may invoke it."""
    inside = ("INGRESS_TRAFFIC_INTERNAL_ONLY", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER")
    grants = [grant for grant in r.plan.of(f"{SERVICE}_iam_member") if grant.refers(r)]
    named = any(grant.written("member").startswith("group:") for grant in grants)
    return None if named else other_than(r, "ingress", *inside)


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
