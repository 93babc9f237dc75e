"""Who may do what: breadth of IAM, keys, federation."""

import re

from infra.policies.plan import Resource
from infra.policies.policy import policy, require, unset

GRANTS = ("*_iam_member", "*_iam_binding")
# What lets its holder become another identity, or give itself anything.
# https://cloud.google.com/iam/docs/service-account-permissions#user-role
IMPERSONATION = (
    "roles/iam.serviceAccountUser",
    "roles/iam.serviceAccountTokenCreator",
    "roles/iam.serviceAccountKeyAdmin",
    "roles/iam.serviceAccountOpenIdTokenCreator",
    "roles/iam.workloadIdentityUser",
)
EVENT = "attribute.event_environment"
# Each runs what is on the branch, started by somebody who may push there or by the clock.
TRUSTED_EVENTS = ("push", "schedule", "workflow_dispatch")
# What can be granted on a bucket, a secret, a service, a job, a registry or a key of its own.
NARROWER = ("storage", "secretmanager", "run", "artifactregistry", "cloudkms", "iap")


def members(resource: Resource) -> list[str]:
    """Who is granted something, as the stack wrote it."""
    known = [str(member) for path in ("member", "members") for member in resource.at(path)]
    return [*known, resource.written("member")]


@policy("iam-not-public", *GRANTS)
def not_public(r: Resource) -> str | None:
    """Nothing is granted to everybody."""
    public = [m for m in members(r) if m in ("allUsers", "allAuthenticatedUsers")]
    return f"granted to {public[0]}" if public else None


@policy("iam-not-personal", *GRANTS)
def not_personal(r: Resource) -> str | None:
    """Workloads and groups are granted rights, not single people or whole companies."""
    personal = [m for m in members(r) if m.startswith(("user:", "domain:"))]
    return f"granted to {personal[0]}" if personal else None


@policy("iam-no-basic-role", *GRANTS)
def no_basic_role(r: Resource) -> str | None:
    """No basic role: each holds thousands of permissions."""
    return f"{r.values['role']}" if r.values.get("role") in ("roles/owner", "roles/editor", "roles/viewer") else None


@policy("iam-no-project-admin", "google_project_iam_*", "google_folder_iam_*", "google_organization_iam_*")
def no_project_admin(r: Resource) -> str | None:
    """Nobody administers, or acts as others in, the whole project."""
    role = str(r.values.get("role") or "")
    broad = role in IMPERSONATION or re.search(r"([aA]dmin|[oO]wner|[eE]ditor)$", role)
    return f"{role} on everything in the project" if broad else None


@policy("iam-narrow", "google_project_iam_member", "google_project_iam_binding")
def narrow(r: Resource) -> str | None:
    """What can be granted on the one bucket, secret, service, image registry or key is not granted on the project."""
    role = str(r.values.get("role") or "")
    service = role.removeprefix("roles/").partition(".")[0]
    return f"{role} on the project instead of on the resource" if service in NARROWER else None


@policy("iam-no-admin-of-data", "google_storage_bucket_iam_*", "google_secret_manager_secret_iam_*")
def no_admin_of_data(r: Resource) -> str | None:
    """Nobody who works with a bucket or a secret may also change who works with it."""
    role = str(r.values.get("role") or "")
    return f"{role} can change who has access" if re.search(r"[aA]dmin$|legacy.*Owner$", role) else None


@policy("iam-additive", "*_iam_policy", "*_iam_binding", "*_iam_member", "google_project_iam_audit_config")
def additive(r: Resource) -> str | None:
    """Grants add; an authoritative one silently takes away what others were granted."""
    return f"{r.type} replaces others' grants" if r.type.endswith(("_iam_policy", "_iam_binding")) else None


@policy("iam-default-account", *GRANTS)
def no_default_account(r: Resource) -> str | None:
    """Nothing is granted to Google's default accounts, which every workload without its own shares."""
    default = [m for m in members(r) if re.search(r"-compute@developer\.gservice|@appspot\.gservice", m)]
    return f"granted to {default[0]}" if default else None


@policy("iam-no-key", "google_service_account", "google_service_account_key", "google_storage_hmac_key")
def no_key(r: Resource) -> str | None:
    """No key: it never expires, and the state would hold it in clear."""
    return f"{r.type} is a key" if r.type.endswith("_key") else None


@policy("iam-custom-role", "google_project_iam_custom_role")
def custom_role(r: Resource) -> str | None:
    """A role of our own holds no permission to change access or to act as others."""
    broad = [p for p in r.at("permissions") if re.search(r"\.(setIamPolicy|actAs|getAccessToken|signBlob)$", str(p))]
    return f"holds {broad[0]}" if broad else None


@policy("federation-narrow", "google_iam_workload_identity_pool_provider")
def federation_narrow(r: Resource) -> str | None:
    """CI is let in by the numeric ids of repository and owner: a name can be given up and taken by others."""
    # https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines#conditions
    condition = r.written("attribute_condition")
    for claim in ("repository_id", "repository_owner_id"):
        if not re.search(rf"\b{claim}\s*==\s*['\"]\d+['\"]", condition):
            return f"attribute_condition does not compare {claim} with a number"
    if re.search(r"\|\||\?|!(?!=)", condition):
        return "attribute_condition is not only comparisons that must all hold"
    return None


@policy("federation-ref", "google_iam_workload_identity_pool_provider")
def federation_ref(r: Resource) -> str | None:
    """CI is let in from one branch: anybody who can push may make another, with workflows of their own."""
    fixed = re.search(r"\bassertion\.ref\s*==\s*['\"]refs/heads/[^'\"]+['\"]", r.written("attribute_condition"))
    return None if fixed else "attribute_condition does not compare ref with a branch"


@policy("federation-event", "google_iam_workload_identity_pool_provider", "google_service_account_iam_member")
def federation_event(r: Resource) -> str | None:
    """An account is lent to named events: pull_request_target runs for anybody, with the base branch as its ref."""
    if r.type == "google_iam_workload_identity_pool_provider":
        mapped = (r.values.get("attribute_mapping") or {}).get(EVENT, "")
        return None if mapped.startswith("assertion.event_name + ':'") else f"{EVENT} does not begin with the event"
    for member in members(r):
        named = re.search(r"/attribute\.event_environment/(\w+):[\w.-]+$", member)
        if member.startswith(("principal:", "principalSet:")) and not (named and named[1] in TRUSTED_EVENTS):
            return f"lent to {member}, which names none of the events {', '.join(TRUSTED_EVENTS)}"
    return None


@policy("federation-not-whole-pool", "google_service_account_iam_member")
def federation_not_whole_pool(r: Resource) -> str | None:
    """An account is lent to named callers of an identity pool, not to all."""
    pooled = [m for m in members(r) if m.startswith("principalSet:") and m.endswith("/*")]
    return f"lent to the whole pool {pooled[0]}" if pooled else None


require(
    "federation-issuer",
    "google_iam_workload_identity_pool_provider",
    "oidc.issuer_uri",
    "https://token.actions.githubusercontent.com",
    because="only GitHub's own tokens are taken",
)


@policy("audit-no-exemption", "google_project_iam_audit_config")
def audit_no_exemption(r: Resource) -> str | None:
    """Nobody is exempt from the audit log."""
    return None if unset(r, "audit_log_config.exempted_members") else "somebody is exempt from the audit log"
