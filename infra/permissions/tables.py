"""The tables of this package: what types and code call, what methods ask for, what roles hold, why a role is wide."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, TypeAdapter, model_validator

FOLDER = Path(__file__).parent
Operation = Literal["read", "create", "update", "delete"]
Text = Annotated[str, Field(min_length=1)]


class ResourceType(BaseModel, frozen=True, extra="forbid"):
    """The methods that the provider calls for a type, by what Terraform does; types.toml explains itself."""

    source: Text
    read: tuple[str, ...]
    create: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    kinds: dict[str, str] = {}  # of a Kubernetes manifest: the resource of GKE's IAM


class CodeCall(BaseModel, frozen=True, extra="forbid"):
    """A call that our own code makes; calls.toml explains itself."""

    place: Annotated[Text, Field(alias="in")]
    methods: tuple[Text, ...]
    on: Text
    also: tuple[Text, ...] = ()  # identities that make the same call
    beside: Text | None = None  # made only where the stacks make this account too


class Method(BaseModel, frozen=True, extra="forbid"):
    """What a method asks for, where the data set does not say it; methods.toml explains itself."""

    source: Text
    permissions: tuple[Text, ...] | None = None
    also: tuple[Text, ...] = ()
    leave_out: tuple[Text, ...] = ()
    because: str = ""

    @model_validator(mode="after")
    def _has_a_reason(self) -> Self:
        if self.leave_out and not self.because:
            raise ValueError("leave_out needs because")
        return self


class OwnRole(BaseModel, frozen=True, extra="forbid"):
    """A role that the project's owner makes; own_roles.toml explains itself."""

    title: Text
    permissions: frozenset[str]
    instead_of: Text


class Role(BaseModel, frozen=True, extra="forbid"):
    """A role: how many permissions it holds, and which of those that the tables name."""

    size: int
    holds: frozenset[str]


class Rest(BaseModel, frozen=True, extra="forbid"):
    """How many permissions, of those that no table names, exactly these roles hold."""

    roles: frozenset[str]
    count: int


class Facts(BaseModel, frozen=True, extra="forbid"):
    """The facts of google.toml: methods and roles, of a date. The roles of own_roles.toml are among the roles."""

    date: Text
    source: Text
    methods: dict[str, tuple[str, ...]]
    roles: dict[str, Role]
    rest: tuple[Rest, ...]

    def held(self, roles: frozenset[str]) -> int:
        """How many permissions these roles hold together, each counted once."""
        named = frozenset[str]().union(*(self.roles[role].holds for role in roles))
        return len(named) + sum(rest.count for rest in self.rest if rest.roles & roles)


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables."""

    types: dict[str, ResourceType]
    calls: dict[str, tuple[CodeCall, ...]]
    methods: dict[str, Method]
    google: Facts
    justified: dict[str, str]  # by "identity role"

    def permissions(self, method: str) -> frozenset[str] | None:
        """What a method asks for; None where it is unknown."""
        if method.startswith("kubernetes."):
            # GKE's IAM names Kubernetes' own resources and verbs; patch is update, watch is list.
            # https://cloud.google.com/kubernetes-engine/docs/how-to/iam#predefined
            return frozenset({method.replace("kubernetes.", "container.", 1)})
        row = self.methods.get(method)
        listed = row.permissions if row and row.permissions is not None else self.google.methods.get(method)
        if listed is None:
            return None
        return frozenset(listed).union(row.also).difference(row.leave_out) if row else frozenset(listed)


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / name).read_text())


def read_types() -> dict[str, ResourceType]:
    """types.toml."""
    return TypeAdapter(dict[str, ResourceType]).validate_python(_toml("types.toml"))


def read_calls() -> dict[str, tuple[CodeCall, ...]]:
    """calls.toml."""
    return TypeAdapter(dict[str, tuple[CodeCall, ...]]).validate_python(_toml("calls.toml"))


def read_methods() -> dict[str, Method]:
    """methods.toml."""
    return TypeAdapter(dict[str, Method]).validate_python(_toml("methods.toml"))


def read_own_roles() -> dict[str, OwnRole]:
    """own_roles.toml."""
    return TypeAdapter(dict[str, OwnRole]).validate_python(_toml("own_roles.toml"))


@cache
def read() -> Tables:
    """The tables as they are in this package."""
    facts = _toml("google.toml")
    for id, own in read_own_roles().items():
        facts["roles"][f"roles/{id}"] = {"size": len(own.permissions), "holds": own.permissions}
    google = Facts.model_validate(facts)
    return Tables(read_types(), read_calls(), read_methods(), google, _toml("justified.toml"))
