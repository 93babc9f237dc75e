"""What holds a resource against its deletion, and what a destroy leaves in place: `protections.toml`.

A `protection` is an argument that must have the value `lifted` in the state before a destroy; `unset_holds`: so it is
where it is not set. `harmless` arguments only look like protections. What is `kept` stays in Google Cloud and in
Terraform's state, with what it refers to: either it cannot be deleted (for a while) or its name stays taken; with the
state of it, a deploy after a destroy finds it. `again` is the way where that state is lost.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from infra.rehearsal.synthesis import Config

State = Mapping[str, Any]

_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
_ADDRESS = re.compile(r"\b[a-z0-9]+_\w+\.\w+")


@dataclass(frozen=True, slots=True)
class Protection:
    """An argument that must be lifted before the resource can be deleted."""

    type: str
    argument: str  # settings.deletion_protection_enabled
    lifted: bool | str
    unset_holds: bool
    source: str

    def holds(self, state: State) -> bool:
        """Whether it refuses the deletion of a resource in this state."""
        value = self.value(state)
        return self.unset_holds if value in (None, "") else value != self.lifted

    def value(self, state: State) -> Any:
        """Its value in a state or a configuration; None where it is not set."""
        return _value(state, self.argument.split("."))

    def lift(self, resource: Config) -> None:
        """Set the lifted value in a configuration of the resource, unless that lacks the block around it."""
        *blocks, last = self.argument.split(".")
        for block in blocks:
            inner = resource.get(block)
            if not inner:
                return
            resource = inner[0] if isinstance(inner, list) else inner
        resource[last] = self.lifted


@dataclass(frozen=True, slots=True)
class Retained:
    """A type that a destroy leaves in place."""

    type: str
    name: tuple[str, ...]  # the arguments that make its name unique
    blocks: Literal["name", "deletion"]
    why: str
    days: str
    again: str
    source: str
    after: tuple[str, ...] = field(default=())  # its deletion is refused where one of these types was deployed


PROTECTIONS = tuple(Protection(**entry) for entry in _TABLE["protection"])
SWITCHES = tuple(each for each in PROTECTIONS if each.lifted is False)  # they protect when they are on
PROTECTED = frozenset(each.type for each in PROTECTIONS)
HARMLESS: Mapping[tuple[str, str], str] = {(e["type"], e["argument"]): e["reason"] for e in _TABLE["harmless"]}
KEPT: Mapping[str, Retained] = {
    entry["type"]: Retained(**entry | {"name": tuple(entry["name"]), "after": tuple(entry.get("after", ()))})
    for entry in _TABLE["kept"]
}


def holding(type_name: str, state: State) -> Protection | None:
    """The first protection that refuses to delete a resource in this state."""
    return next((each for each in PROTECTIONS if each.type == type_name and each.holds(state)), None)


def lifted(config: Config) -> Config:
    """`config` with every protection lifted; they hold until this is applied."""
    config = json.loads(json.dumps(config))
    for protection in PROTECTIONS:
        for resource in config.get("resource", {}).get(protection.type, {}).values():
            protection.lift(resource)
    return config


def passes(config: Config, addresses: Iterable[str]) -> Iterator[tuple[Config, tuple[str, ...]]]:
    """The configurations, each with a command of Terraform, that take away a stack without `prevent_destroy`.

    `addresses` are those in its state.
    """
    let_go, there = lifted(config), frozenset(addresses)
    guarded = sorted(f"-target={address}" for address in there if address.partition(".")[0] in PROTECTED)
    if guarded:
        yield let_go, ("apply", "-no-color", "-auto-approve", *guarded)
    if left := kept(config) & there:
        yield only(config, left), ("apply", "-no-color", "-auto-approve")
    else:
        yield let_go, ("destroy", "-no-color", "-auto-approve")


def kept(config: Config) -> frozenset[str]:
    """The addresses that a destroy leaves in place: what is kept, and what that refers to."""
    resources = dict(_resources(config))
    found: set[str] = set()
    waiting = [address for address in resources if address.partition(".")[0] in KEPT]
    while waiting:
        found.add(address := waiting.pop())
        arguments = json.dumps({name: value for name, value in resources[address].items() if name != "depends_on"})
        waiting += [other for other in _ADDRESS.findall(arguments) if other in resources and other not in found]
    return frozenset(found)


def only(config: Config, left: Set[str]) -> Config:
    """`config` with nothing but the resources at these addresses: applied, it takes everything else away."""
    resource: Config = {}
    for address, arguments in _resources(config):
        if address in left:
            type_name, name = address.split(".")
            depends_on = [other for other in arguments.get("depends_on", []) if other in left]
            resource.setdefault(type_name, {})[name] = arguments | {"depends_on": depends_on}
    used = json.dumps([resource, config.get("provider")])
    data: Config = {}
    for type_name, sources in config.get("data", {}).items():
        for name, arguments in sources.items():
            if f"data.{type_name}.{name}" in used:
                data.setdefault(type_name, {})[name] = arguments
    rest = {name: value for name, value in config.items() if name not in ("resource", "data", "output")}
    return rest | {"resource": resource} | ({"data": data} if data else {})


def deployed(state: Mapping[str, Any]) -> frozenset[str]:
    """The addresses of the resources in the JSON of a state file."""
    managed = (resource for resource in state["resources"] if resource["mode"] == "managed")
    return frozenset(f"{resource['type']}.{resource['name']}" for resource in managed)


def _resources(config: Config) -> Iterator[tuple[str, Config]]:
    for type_name, resources in config.get("resource", {}).items():
        for name, arguments in resources.items():
            yield f"{type_name}.{name}", arguments


def _value(state: Any, steps: list[str]) -> Any:
    """The value at a path, the first of each block; None where there is none."""
    for step in steps:
        if isinstance(state, list):
            state = state[0] if state else None
        state = state.get(step) if isinstance(state, Mapping) else None
    return state
