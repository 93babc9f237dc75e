"""The destroy guard: what a change would do to resources that cannot be made again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.rehearsal.protections import SWITCHES
from infra.rehearsal.stateful import STATEFUL
from infra.rehearsal.steps import Planned
from infra.rehearsal.synthesis import Stack

SHORTEST_REASON = 10  # characters: "because" is none


@dataclass(frozen=True, slots=True)
class Finding:
    """One stateful resource, and what would become of it."""

    name: str  # prod-storage/google_storage_bucket.models: by this an override names it
    says: str


class OverrideError(Exception):
    """An override without a name, without a reason, or for nothing."""


def findings(planned: Sequence[Planned]) -> list[Finding]:
    """What these plans would do to stateful resources."""
    return [
        Finding(f"{each.stack}/{resource['address']}", says)
        for each in planned
        for resource in each.plan.get("resource_changes", [])
        if resource["type"] in STATEFUL and resource["mode"] == "managed"
        for says in _says(resource["type"], resource["change"])
    ]


def unprotected(stacks: Sequence[Stack]) -> list[Finding]:
    """The stateful resources that Terraform, or the provider where it can, would not refuse to destroy."""
    found = []
    for stack in stacks:
        for type_name in sorted(STATEFUL):
            switches = [switch for switch in SWITCHES if switch.type == type_name]
            for name, resource in stack.config.get("resource", {}).get(type_name, {}).items():
                where = f"{stack.name}/{type_name}.{name}"
                if resource.get("lifecycle", {}).get("prevent_destroy") is not True:
                    found.append(Finding(where, "has no prevent_destroy"))
                found += [
                    Finding(where, f"does not set {switch.argument}")
                    for switch in switches
                    if switch.value(resource) is not True
                ]
    return found


def overrides(given: Sequence[str]) -> dict[str, str]:
    """`STACK/ADDRESS=REASON` as a table. Raises OverrideError."""
    table = reasons("--allow", "STACK/ADDRESS=REASON", given)
    if wrong := [name for name in table if "/" not in name]:
        raise OverrideError(f"--allow takes STACK/ADDRESS=REASON: {', '.join(wrong)} names no stack")
    return table


def reasons(option: str, form: str, given: Sequence[str]) -> dict[str, str]:
    """`NAME=REASON` as a table. Raises OverrideError, naming the option, without a name or a reason."""
    table = {}
    for text in given:
        name, _, reason = text.partition("=")
        if not name or len(reason.strip()) < SHORTEST_REASON:
            raise OverrideError(f"{option} takes {form}, a reason of {SHORTEST_REASON} characters: {text!r}")
        table[name] = reason.strip()
    return table


def refused(found: Sequence[Finding], allowed: Mapping[str, str]) -> list[Finding]:
    """What no override names. Raises OverrideError for an override that names nothing found."""
    if idle := allowed.keys() - {finding.name for finding in found}:
        raise OverrideError(f"--allow names what needs no override: {', '.join(sorted(idle))}")
    return [finding for finding in found if finding.name not in allowed]


def _says(type_name: str, change: dict[str, Any]) -> Iterator[str]:
    before, after = change["before"], change["after"]
    match change["actions"]:
        case ["delete"]:
            yield "would be destroyed"
        case ["forget"]:
            yield "would be forgotten: nothing manages it any more"
        case ["delete", "create"] | ["create", "delete"]:
            paths = sorted(
                {".".join(s for s in path if isinstance(s, str)) for path in change.get("replace_paths", [])}
            )
            yield f"would be replaced, for a change of {', '.join(paths) or 'unknown arguments'}"
        case ["update"]:
            for switch in SWITCHES:
                if switch.type == type_name and switch.value(after) is False and switch.value(before) is not False:
                    yield f"would lose its protection: {switch.argument} is lifted"
