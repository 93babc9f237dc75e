"""What only names an environment, as the field of `infra/environments.py` that says it: `{prefix}-{id}-nat`."""

import re
from collections.abc import Callable

from infra.environment import SMALLEST, Environment

_FIELDS = ("id", "prefix", "project", "project_number", "domain", *SMALLEST)


def fields(env: Environment) -> dict[str, str]:
    """What the placeholders stand for; a range that the environment does not have is none."""
    return {field: value for field in _FIELDS if (value := getattr(env, field))}


def hider(env: Environment) -> Callable[[str], str]:
    """Puts placeholders into a value of the environment's plan.

    A project often is called `<prefix>-<id>`: with more behind it, that is the name of a resource, else the project.
    """
    values = {field: re.escape(value) for field, value in fields(env).items()}
    patterns = {
        "{prefix}-{id}": rf"(?<![\w-]){values['prefix']}-{values['id']}(?=-\w)",
        **{
            f"{{{field}}}": rf"(?<![\w-]){values[field]}(?![\w-])"
            for field in ("project", "domain", *SMALLEST)
            if field in values
        },
        "{project_number}": rf"(?<!\d){values['project_number']}(?!\d)",
        "{id}": rf"(?<![\w.-]){values['id']}(?![\w.])",
    }
    pattern = re.compile("|".join(f"({pattern})" for pattern in patterns.values()))
    names = list(patterns)
    return lambda value: pattern.sub(lambda match: names[(match.lastindex or 0) - 1], value)
