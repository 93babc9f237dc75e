"""Who holds which role on what, as the stacks say it.

Names are short: without the environment's prefix, and `buckets/models` for projects/_/buckets/PREFIX-ENV-models.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.environment import Environment
from infra.rehearsal.synthesis import Config, Stack

PROJECT, BILLING_ACCOUNT = "project", "billing account"
# The type of a grant: what kind of resource it is on, and the argument that names that one.
TARGETS = {
    "google_artifact_registry_repository_iam_member": ("repositories", "repository"),
    "google_cloud_run_v2_job_iam_member": ("jobs", "name"),
    "google_cloud_run_v2_service_iam_member": ("services", "name"),
    "google_iap_web_backend_service_iam_member": ("backendServices", "web_backend_service"),
    "google_kms_crypto_key_iam_member": ("cryptoKeys", "crypto_key_id"),
    "google_project_iam_member": (PROJECT, ""),
    "google_secret_manager_secret_iam_member": ("secrets", "secret_id"),
    "google_service_account_iam_member": ("serviceAccounts", "service_account_id"),
    "google_storage_bucket_iam_member": ("buckets", "bucket"),
}
# The arguments by which a resource is named, where another refers to its id, name or address.
NAMES = ("account_id", "secret_id", "repository_id", "name")
OWN = re.compile(r"\$\{(google_\w+)\.(\w+)\.\w+\}")
OF_FOUNDATION = re.compile(
    r"\$\{data\.terraform_remote_state\.[^}]*cross-stack-output-google_service_account(\w+)email\}"
)


@dataclass(frozen=True, slots=True)
class Grant:
    """A role on a resource."""

    identity: str
    role: str
    on: str = PROJECT
    condition: str = ""  # names in it are short, too

    def covers(self, on: str) -> bool:
        """Whether it reaches a resource, or one within it."""
        within = self.on == PROJECT and on != BILLING_ACCOUNT
        return (within or f"{on}/".startswith(f"{self.on}/")) and admits(self.condition, on)


def granted(env: Environment, stacks: Iterable[Stack]) -> list[Grant]:
    """Every grant of the stacks."""
    return [grant for stack in stacks for grant in _of_stack(env, stack.config.get("resource", {}))]


def accounts(env: Environment, stacks: Iterable[Stack]) -> frozenset[str]:
    """The service accounts that the stacks make."""
    made = (stack.config.get("resource", {}).get("google_service_account", {}) for stack in stacks)
    return frozenset(short(env, resource["account_id"]) for accounts in made for resource in accounts.values())


def admits(condition: str, on: str) -> bool:
    """Whether a grant with this condition reaches a resource: one of its alternatives, with all of their clauses."""
    return any(_admits_all(alternative, on) for alternative in condition.split(" || "))


def _admits_all(condition: str, on: str) -> bool:
    """Whether all clauses hold. One that demands a service does, for names tell services."""
    for clause in filter(None, condition.split(" && ")):
        if equal := re.fullmatch(r'resource\.name == "(.*)"', clause):
            holds = on == equal[1]
        elif begins := re.fullmatch(r'(!?)resource\.name\.startsWith\("(.*)"\)', clause):
            holds = on.startswith(begins[2]) is not bool(begins[1])
        elif clause == 'resource.service != "storage.googleapis.com"':
            holds = not f"{on}/".startswith("buckets/")
        else:
            holds = clause.startswith("resource.service == ")
        if not holds:
            return False
    return True


def short(env: Environment, name: str) -> str:
    """A name without project and prefix."""
    for long in (f"projects/{env.project}/", "projects/_/", env.name("")):
        name = name.replace(long, "")
    return name


def _of_stack(env: Environment, resources: Config) -> Iterator[Grant]:
    for type_name, (kind, argument) in TARGETS.items():
        for values in resources.get(type_name, {}).values():
            on = kind
            if argument:
                on = f"{kind}/{resolved(env, resources, values[argument]).rpartition('/')[2].partition('@')[0]}"
            expression = (values.get("condition") or {}).get("expression", "")
            condition = resolved(env, resources, expression)
            identity = _identity(env, resolved(env, resources, values["member"]))
            yield Grant(identity, short(env, values["role"]), on, condition)


def _identity(env: Environment, member: str) -> str:
    """An account by its short name; whoever else it is as the grant has it."""
    name, _, domain = member.removeprefix("serviceAccount:").partition("@")
    ours = member.startswith("serviceAccount:") and domain in ("", f"{env.project}.iam.gserviceaccount.com")
    return name if ours and "[" not in name else member


def resolved(env: Environment, resources: Config, text: str) -> str:
    """A text with the names that its references stand for."""

    def own(found: re.Match[str]) -> str:
        values: Mapping[str, Any] = resources.get(found[1], {}).get(found[2], {})
        return next((str(values[name]) for name in NAMES if name in values), found[0])

    return short(env, OWN.sub(own, OF_FOUNDATION.sub(r"\1", text)))
