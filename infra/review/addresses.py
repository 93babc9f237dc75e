"""The lock on the addresses of stateful resources: to Terraform a new address is a new, empty resource.

A resource may move, with a `moved` block that says from where to where (in cdktf `move_from_id`); Terraform then
carries it along. What else leaves its address would be destroyed: a line is taken out of a lock by hand, knowingly.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from infra.rehearsal.stateful import STATEFUL
from infra.rehearsal.synthesis import Stack
from infra.review.inventory import FOLDER

Address = str  # prod-storage google_storage_bucket.models


def addresses(stacks: Iterable[Stack]) -> set[Address]:
    """The addresses of all stateful resources."""
    return {
        f"{stack.name} {type_name}.{name}"
        for stack in stacks
        for type_name, resources in stack.config.get("resource", {}).items()
        for name in resources
        if type_name in STATEFUL
    }


def lost(stacks: Sequence[Stack], env: str, folder: Path = FOLDER) -> list[Address]:
    """The locked addresses that are gone and from which nothing has moved."""
    there = addresses(stacks)
    moved = {old for old, new in _moves(stacks) if new in there}
    return sorted(_locked(env, folder) - there - moved)


def unlocked(stacks: Sequence[Stack], env: str, folder: Path = FOLDER) -> list[Address]:
    """The addresses that are not in the lock yet."""
    return sorted(addresses(stacks) - _locked(env, folder))


def write(stacks: Sequence[Stack], env: str, folder: Path = FOLDER) -> Path:
    """Lock what is there; what has been lost stays in the lock."""
    file = _file(env, folder)
    lines = sorted(addresses(stacks).union(lost(stacks, env, folder)))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def _moves(stacks: Iterable[Stack]) -> Iterator[tuple[Address, Address]]:
    for stack in stacks:
        for move in stack.config.get("moved", []):
            yield f"{stack.name} {move['from']}", f"{stack.name} {move['to']}"


def _locked(env: str, folder: Path) -> set[Address]:
    file = _file(env, folder)
    return set(file.read_text().splitlines()) if file.exists() else set()


def _file(env: str, folder: Path) -> Path:
    return folder / f"{env}.addresses.txt"
