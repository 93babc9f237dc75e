"""Which permissions each identity needs: for what Terraform does as it, and for the calls of our own code."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from infra.environment import Environment
from infra.permissions.grants import BILLING_ACCOUNT, PROJECT, accounts, resolved
from infra.permissions.tables import Operation, ResourceType, Tables
from infra.rehearsal.synthesis import Config, Stack, readable

# What Terraform does as each of them. The planner refreshes the stacks whose states it may read.
TERRAFORM: Mapping[str, tuple[Operation, ...]] = {
    "person": get_args(Operation),
    "deployer": get_args(Operation),
    "planner": ("read",),
}


@dataclass(frozen=True, slots=True)
class Work:
    """A method that an identity calls on a resource, and for what."""

    identity: str
    method: str
    on: str
    why: str  # refresh of google_billing_budget


@dataclass(frozen=True, slots=True)
class Need:
    """A permission that an identity needs on a resource."""

    identity: str
    permission: str
    on: str
    why: str


def work(env: Environment, stacks: Sequence[Stack], tables: Tables) -> list[Work]:
    """Every call of a person and of the accounts that these stacks make."""
    there = accounts(env, stacks) | {"person"}
    every = (*_of_terraform(stacks, tables), *_of_code(env, tables, there), *_of_schedules(env, stacks))
    return [call for call in every if call.identity in there]


def needs(calls: Iterable[Work], tables: Tables) -> tuple[list[Need], list[Work]]:
    """The permissions, each once for an identity and a resource, and the calls whose permissions are unknown."""
    found: dict[tuple[str, str, str], Need] = {}
    unknown = []
    for call in calls:
        permissions = tables.permissions(call.method)
        if permissions is None:
            unknown.append(call)
        for permission in sorted(permissions or ()):
            # Objects are listed on their bucket: https://cloud.google.com/iam/docs/conditions-resource-attributes
            on = call.on.partition("/objects/")[0] if permission == "storage.objects.list" else call.on
            found.setdefault(
                (call.identity, permission, on), Need(call.identity, permission, on, f"{call.why}: {call.method}")
            )
    return [*found.values()], unknown


def types_without_a_row(stacks: Iterable[Stack], tables: Tables) -> list[str]:
    """The types of Google's and Kubernetes' providers that types.toml does not know."""
    used = {name for _, name, _ in _in_use(stacks) if name.startswith(("google_", "kubernetes_"))}
    return sorted(used - tables.types.keys())


def _of_terraform(stacks: Sequence[Stack], tables: Tables) -> Iterator[Work]:
    for identity, operations in TERRAFORM.items():
        for kind, type_name, instances in _in_use(readable(stacks) if identity == "planner" else stacks):
            if type_name in tables.types:
                on = BILLING_ACCOUNT if type_name == "google_billing_budget" else PROJECT
                manifests = {str(values.get("manifest", {}).get("kind", "")) for values in instances}
                allowed = operations if kind == "resource" else ("read",)
                for operation, method in _methods(tables.types[type_name], allowed, manifests):
                    yield Work(identity, method, on, f"{operation} of {type_name}")


def _in_use(stacks: Iterable[Stack]) -> Iterator[tuple[str, str, list[Config]]]:
    """Resource or data, the type, and what each of that type in a stack is given."""
    for stack in stacks:
        for kind in ("resource", "data"):
            for type_name, instances in stack.config.get(kind, {}).items():
                yield kind, type_name, [*instances.values()]


def _methods(row: ResourceType, operations: Iterable[str], manifests: Iterable[str]) -> Iterator[tuple[str, str]]:
    for operation in operations:
        for method in getattr(row, operation):
            yield operation, method
        for kind in sorted(filter(None, manifests)):
            verb = "get" if operation == "read" else operation
            yield operation, f"kubernetes.{row.kinds.get(kind, f'({kind})')}.{verb}"


def _of_code(env: Environment, tables: Tables, there: Collection[str]) -> Iterator[Work]:
    for identity, calls in tables.calls.items():
        for call in (call for call in calls if call.beside is None or call.beside in there):
            for who in (identity, *call.also):
                for method in call.methods:
                    yield Work(who, method, call.on.format(id=env.id), call.place)


def _of_schedules(env: Environment, stacks: Iterable[Stack]) -> Iterator[Work]:
    """Cloud Scheduler starts jobs as the account that a schedule names."""
    for stack in stacks:
        resources = stack.config.get("resource", {})
        for name, schedule in resources.get("google_cloud_scheduler_job", {}).items():
            target = schedule["http_target"]
            account = resolved(env, resources, target["oauth_token"]["service_account_email"])
            if job := re.search(r"/jobs/([^/:]+):run$", resolved(env, resources, target["uri"])):
                yield Work(account, "run.projects.locations.jobs.run", f"jobs/{job[1]}", f"schedule {name}")
