"""The destroy guard: what a change would do to resources that cannot be made again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from infra.rehearsal import stateful
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


def findings(planned: Sequence[Planned], *, certain: bool = False) -> list[Finding]:
    """What these plans would do to stateful resources. `certain`: they are the real provider's."""
    return [
        Finding(f"{each.stack}/{resource['address']}", says)
        for each in planned
        for resource in each.plan.get("resource_changes", [])
        if resource["type"] in STATEFUL and resource["mode"] == "managed"
        for says in _says(resource["type"], resource["change"], certain)
    ]


def unprotected(stacks: Sequence[Stack]) -> list[Finding]:
    """The stateful resources that Terraform, or the provider where it can, would not refuse to destroy."""
    found = []
    for stack in stacks:
        for type_name, known in STATEFUL.items():
            for name, resource in stack.config.get("resource", {}).get(type_name, {}).items():
                where = f"{stack.name}/{type_name}.{name}"
                if resource.get("lifecycle", {}).get("prevent_destroy") is not True:
                    found.append(Finding(where, "has no prevent_destroy"))
                if known.protection and resource.get(known.protection) is not True:
                    found.append(Finding(where, f"does not set {known.protection}"))
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


def _says(type_name: str, change: dict[str, Any], certain: bool) -> Iterator[str]:
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
            # What the plan leaves to the apply is no change that anybody wrote.
            known = _known(before, after, change.get("after_unknown"))
            paths = stateful.may_replace(type_name, before, known)
            if paths and not certain:
                yield f"may be replaced: check with --real what a change of {', '.join(paths)} does"
            protection = STATEFUL[type_name].protection
            if protection and after.get(protection) is False and before.get(protection) is not False:
                yield f"would lose its protection: {protection} is lifted"


def _known(before: Any, after: Any, unknown: Any) -> Any:
    """`after` with what is not known yet as it was before."""
    if unknown is True:
        return before
    if isinstance(unknown, dict) and isinstance(after, dict):
        old = before if isinstance(before, dict) else {}
        return after | {name: _known(old.get(name), after.get(name), inner) for name, inner in unknown.items()}
    if isinstance(unknown, list) and isinstance(after, list):
        old_list = before if isinstance(before, list) else []
        return [_known(o, a, u) for o, a, u in zip_longest(old_list[: len(after)], after, unknown[: len(after)])]
    return after
