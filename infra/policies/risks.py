"""The risks that the policies are proven against: one change each, in our own stacks."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".toml")


class RiskError(Exception):
    """The file of risks is not as it should be."""


@dataclass(frozen=True, slots=True)
class Risk:
    """One line that must not land."""

    name: str
    stack: str  # storage
    address: str
    argument: str  # dotted, with numbers for the places in a list; "" for a resource of its own
    value: Any
    refused_by: str
    at: str = ""  # the resource at which it is refused, when that is another one

    @property
    def line(self) -> str:
        """The line, for people."""
        value = json.dumps(self.value)
        return f"{self.argument} = {value}" if self.argument else f"a new resource {value}"


def read(file: Path = FILE) -> tuple[Risk, ...]:
    """The risks in a file, which explains itself. Raises RiskError."""
    try:
        stacks = tomllib.loads(file.read_text())
        return tuple(
            _risk(stack, f"{type_name}.{name}", check, entry)
            for stack, types in stacks.items()
            for type_name, resources in types.items()
            for name, checks in resources.items()
            for check, entry in checks.items()
        )
    except (ValueError, AttributeError) as error:
        raise RiskError(f"{file.name}: {error}") from error


def _risk(stack: str, address: str, check: str, entry: Mapping[str, Any]) -> Risk:
    argument = ""
    value: Any = None
    match entry:
        case {"risk": str(name), "set": str(argument), "to": value, **rest}:
            pass
        case {"risk": str(name), "removes": str(argument), **rest}:
            pass
        case {"risk": str(name), "adds": dict(value), **rest}:
            pass
        case _:
            raise ValueError(f"{stack}.{address}.{check}: needs risk, and set and to, removes, or adds")
    at = rest.pop("at", "")
    if rest:
        raise ValueError(f"{stack}.{address}.{check}: unknown {', '.join(rest)}")
    return Risk(name, stack, address, argument, value, check, at)


RISKS = read()
