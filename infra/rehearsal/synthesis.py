"""The Terraform that the stacks stand for: plain JSON, in the order in which it is deployed."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Literal

from infra.rehearsal.schema_from_bindings import address

Config = dict[str, Any]  # the content of one cdk.tf.json


@dataclass(frozen=True, slots=True)
class Stack:
    """One synthesized stack."""

    name: str  # dev-storage
    config: Config
    needs: tuple[str, ...] = ()  # names of the stacks to deploy before
    files: tuple[Path, ...] = ()  # where `config` only sums up files: its folder, then those of its modules

    @property
    def providers(self) -> dict[str, str]:
        """Address of each provider in use, and the version that is asked for: exact, a constraint, or empty."""
        required = self.config.get("terraform", {}).get("required_providers", {})
        return {
            address(provider.get("source", name)): provider.get("version", "") for name, provider in required.items()
        }


def read(folder: Path) -> tuple[Stack, ...]:
    """The stacks in a cdktf output folder, each after those that it needs."""
    manifest = json.loads((folder / "manifest.json").read_text())["stacks"]
    order = TopologicalSorter({name: entry["dependencies"] for name, entry in manifest.items()})
    return tuple(
        Stack(
            name=name,
            config=json.loads((folder / manifest[name]["synthesizedStackPath"]).read_text()),
            needs=tuple(manifest[name]["dependencies"]),
        )
        for name in order.static_order()
    )


def readable(stacks: Iterable[Stack]) -> tuple[Stack, ...]:
    """The stacks whose state the planner may read: it holds no secret.

    A sensitive variable ends in the state, unless it goes to a write-only argument; these are called ..._wo.
    """
    return tuple(stack for stack in stacks if not any(_kept(stack.config, name) for name in sensitive(stack)))


def sensitive(stack: Stack) -> frozenset[str]:
    """The names of a stack's sensitive variables."""
    variables = stack.config.get("variable", {})
    return frozenset(name for name, variable in variables.items() if variable.get("sensitive"))


def _kept(value: Any, variable: str) -> bool:
    if isinstance(value, dict):
        return any(_kept(inner, variable) for key, inner in value.items() if not key.endswith("_wo"))
    if isinstance(value, list):
        return any(_kept(inner, variable) for inner in value)
    return isinstance(value, str) and f"var.{variable}" in value


def types(stacks: Iterable[Stack], kind: Literal["resource", "data"]) -> frozenset[str]:
    """The resource types, or the data source types, in use."""
    return frozenset(type_name for stack in stacks for type_name in stack.config.get(kind, {}))
