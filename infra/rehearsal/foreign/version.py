"""Terraform's version constraints: https://developer.hashicorp.com/terraform/language/expressions/version-constraints"""

import re
from collections.abc import Callable, Mapping

_Parts = tuple[int, ...]


def satisfies(version: str, constraint: str) -> bool:
    """Whether a version of three numbers satisfies a constraint: `6.50.0`, `~> 6.0`, `>= 6.1, < 7`, or nothing.

    ValueError for what is no constraint.
    """
    return all(_one(_parts(version), text.strip()) for text in constraint.split(",") if text.strip())


def _one(version: _Parts, text: str) -> bool:
    found = re.fullmatch(r"(=|!=|>=|<=|>|<|~>)?\s*v?(\d+(?:\.\d+){0,2})(?:-[\w.-]+)?", text)
    if found is None:
        raise ValueError(f"no version constraint: {text!r}")
    operator, wanted = found.groups()
    return _OPERATORS[operator or "="](version, _parts(wanted), wanted.count("."))


def _parts(version: str) -> _Parts:
    numbers = [int(part) for part in version.partition("-")[0].split(".")]
    return (*numbers, 0, 0, 0)[:3]


# By operator: the version, the wanted one, and how many of its numbers stay where only the last one may grow.
_OPERATORS: Mapping[str, Callable[[_Parts, _Parts, int], bool]] = {
    "=": lambda version, wanted, _: version == wanted,
    "!=": lambda version, wanted, _: version != wanted,
    ">": lambda version, wanted, _: version > wanted,
    ">=": lambda version, wanted, _: version >= wanted,
    "<": lambda version, wanted, _: version < wanted,
    "<=": lambda version, wanted, _: version <= wanted,
    "~>": lambda version, wanted, kept: version >= wanted and version[:kept] == wanted[:kept],
}
