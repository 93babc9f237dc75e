"""A plan's resources as policies see them: what is planned, and what is known only after apply."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final


class UnknownValue:
    """A value that the stack takes from another resource, known only after apply."""

    def __repr__(self) -> str:
        return "(known after apply)"


UNKNOWN: Final = UnknownValue()


class PlanError(Exception):
    """A file is no plan, or not one of a stack."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as it will be."""

    address: str
    type: str
    values: Mapping[str, Any]
    unknown: Mapping[str, Any]
    expressions: Mapping[str, Any]
    plan: "Plan"

    def at(self, path: str) -> list[Any]:
        """Every value at a dotted path through all blocks and lists on the way.

        UNKNOWN for what the stack takes from elsewhere. What it has not written, so that the cloud will decide, is
        not known before apply either: that is no value.
        """
        return list(_at(self.values, self.unknown, self.expressions, path.split(".")))

    def written(self, argument: str) -> str:
        """An argument as the stack wrote it, references and all: `serviceAccount:${google_...email}`."""
        value = self.values.get(argument)
        return str(value if value is not None else self.expressions.get(argument, {}).get("constant_value", ""))

    def refers(self, to: "Resource") -> bool:
        """Whether any argument at any depth refers to this other resource of the same stack."""
        return to.address in _references(self.expressions)


@dataclass(frozen=True, slots=True)
class Plan:
    """One stack's plan."""

    stack: str  # storage
    resources: list[Resource]

    def of(self, type_name: str) -> list[Resource]:
        """Its resources of one type."""
        return [resource for resource in self.resources if resource.type == type_name]


def read(file: Path) -> Plan:
    """The plan in `<environment>-<stack>.json`, the JSON that `terraform show` prints. Raises PlanError."""
    try:
        shown = json.loads(file.read_text())
        configured = {r["address"]: r for r in shown["configuration"]["root_module"].get("resources", [])}
        changes = shown.get("resource_changes", [])
        plan = Plan(file.stem.partition("-")[2], [])
        for resource in changes:
            change = resource["change"]
            if resource["mode"] == "managed" and change["after"] is not None:
                address = resource["address"]
                # A resource that is repeated has an index, which the configuration has not.
                expressions = configured.get(address.partition("[")[0], {}).get("expressions", {})
                unknown = change.get("after_unknown") or {}
                plan.resources.append(Resource(address, resource["type"], change["after"], unknown, expressions, plan))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlanError(f"{file.name} is not the plan of a stack: {error!r}") from error
    return plan


def _at(value: Any, unknown: Any, written: Any, steps: list[str]) -> Iterator[Any]:
    if unknown is True:
        if written and written != {"constant_value": None}:
            yield UNKNOWN
    elif isinstance(value, list):
        marks = unknown if isinstance(unknown, list) else []
        for index, element in enumerate(value):
            yield from _at(element, marks[index] if index < len(marks) else None, _within(written, index), steps)
    elif not steps:
        if value is not None:
            yield value
    elif isinstance(value, dict):
        step, *rest = steps
        inner = unknown.get(step) if isinstance(unknown, dict) else None
        yield from _at(value.get(step), inner, _within(written, step), rest)


def _within(written: Any, step: str | int) -> Any:
    """What the configuration says of a part: blocks have parts of their own, an argument is one expression."""
    if isinstance(written, list):  # a set's blocks are in another order than they are written: all of them count
        return {name: inner for block in written for name, inner in block.items()}
    if not isinstance(written, dict) or "references" in written or "constant_value" in written:
        return written
    return written if isinstance(step, int) else written.get(step)


def _references(expressions: Any) -> set[str]:
    if isinstance(expressions, list):
        return {reference for inner in expressions for reference in _references(inner)}
    if not isinstance(expressions, dict):
        return set()
    found = set(expressions.get("references", ())) if isinstance(expressions.get("references"), list) else set()
    return found | {r for inner in expressions.values() for r in _references(inner)}
