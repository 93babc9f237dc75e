"""What a policy of ours is: a name, the resource types that it judges, and what it has against one of them.

checkov's own form for such checks turns unknown values into text and each value into a list, and sees one
resource at a time. These see the plan as Terraform wrote it, join the resources of a stack, need no package,
and are quick enough to run against every mutation of every stack.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from infra.policies.plan import UNKNOWN, Resource

Judge = Callable[[Resource], str | None]  # what is wrong, or None


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy."""

    id: str
    types: tuple[str, ...]  # with * for any text
    demands: str
    judge: Judge

    def judges(self, resource: Resource) -> bool:
        """Whether it has a say on this resource."""
        return any(fnmatchcase(resource.type, pattern) for pattern in self.types)


POLICIES: dict[str, Policy] = {}  # filled by the modules that `infra.policies.check` imports


def policy(id: str, *types: str) -> Callable[[Judge], Judge]:
    """Make a policy of a function, whose docstring says what it demands."""

    def add(judge: Judge) -> Judge:
        _add(Policy(id, types, " ".join((judge.__doc__ or "").split()), judge))
        return judge

    return add


def require(id: str, type_name: str, path: str, *allowed: Any, because: str) -> None:
    """A policy: the value at `path` is written in the stack, and is one of these."""

    def judge(resource: Resource) -> str | None:
        return other_than(resource, path, *allowed)

    _add(Policy(id, (type_name,), because, judge))


def other_than(resource: Resource, path: str, *allowed: Any) -> str | None:
    """What is wrong at `path` when all that stands there must be one of `allowed`."""
    found = resource.at(path)
    wrong = [value for value in found if value not in allowed]
    if wrong or not found:
        return f"{path} is {wrong[0]!r}" if wrong else f"{path} is not set"
    return None


def unset(resource: Resource, path: str) -> bool:
    """Whether there is nothing at `path`; what is known only after apply is something."""
    return all(value is not UNKNOWN and value in ("", False) for value in resource.at(path))


def _add(new: Policy) -> None:
    if new.id in POLICIES:
        raise ValueError(f"two policies are called {new.id}")
    POLICIES[new.id] = new
