"""What the plans of an environment set, as committed files that diff well: a base, and each environment's difference.

`base/<stack>.md` is the inventory of the last environment in `infra/environments.py`; `<env>.md` is what another one
has instead. Both together are its whole inventory, so writing one environment's needs no plan of the others. A test
compares the files with the plans: whatever changes in the cloud shows in the diff of the change that causes it.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from infra.environment import Environment
from infra.rehearsal import report
from infra.rehearsal.masking import Plan
from infra.rehearsal.steps import Planned
from infra.review import placeholders
from infra.review.difference import Inventory, apply, difference
from infra.review.listing import parse, parse_stack, render, render_stack

FOLDER = Path(__file__).parents[1] / "inventories"

_HEAD = "What differs from `base/`, with this environment's values.\n"
_SAME = "\nNothing: `base/` is this environment's inventory.\n"
_MADE_UP = re.compile(r"rehearsed-[0-9a-f]{12}")
# Arguments for readers only, which are not shown of types without an entry in `report.MATTERS`.
_WORDS = {"description", "display_name", "labels", "user_labels", "resource_labels", "project"}


def of(planned: Sequence[Planned], env: Environment) -> Inventory:
    """The whole inventory of an environment, with placeholders for what only names it."""
    hide = placeholders.hider(env)
    stacks = {
        each.stack.removeprefix(f"{env.id}-"): {
            resource["address"]: {name: hide(value) for name, value in _values(each.plan, resource)}
            for resource in each.plan.get("resource_changes", [])
            if resource["mode"] == "managed"
        }
        for each in planned
    }
    named = {"placeholders": {"environment.fields": placeholders.fields(env)}}
    return {stack: entries for stack, entries in {**named, **stacks}.items() if entries}


def _values(plan: Plan, resource: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each argument that matters; what the cloud decides is `(computed)` within a value and left out as a whole."""
    arguments = report.expressions(plan, resource["address"])
    for name, value in report.values(plan, resource, [name for name in arguments if name not in _WORDS]):
        if value != report.LATER:
            yield name, _MADE_UP.sub("(computed)", " ".join(value.split()))


def files(planned: Sequence[Planned], env: Environment, order: Sequence[str], folder: Path = FOLDER) -> dict[Path, str]:
    """What the files are to be, given one environment's plans and, for the others, what the files say.

    `order` has the ids of all environments; the last one that has an inventory is the base.
    """
    known = {**_read(folder), env.id: of(planned, env)}
    ids = [id for id in order if id in known]
    base = known[ids[-1]]
    return {
        **{folder / "base" / f"{stack}.md": render_stack(stack, entries) for stack, entries in base.items()},
        **{folder / f"{id}.md": f"# {id}\n\n{_HEAD}{render(difference(base, known[id])) or _SAME}" for id in ids},
    }


def _read(folder: Path) -> dict[str, Inventory]:
    """The committed inventories by the environment's id."""
    base = {file.stem: parse_stack(file.read_text()) for file in (folder / "base").glob("*.md")}
    return {file.stem: apply(base, parse(file.read_text())) for file in folder.glob("*.md")}


def write(planned: Sequence[Planned], env: Environment, order: Sequence[str], folder: Path = FOLDER) -> None:
    """Write the files, and delete those of stacks and environments that are gone."""
    contents = files(planned, env, order, folder)
    (folder / "base").mkdir(parents=True, exist_ok=True)
    for old in _committed(folder) - contents.keys():
        old.unlink()
    for file, content in contents.items():
        file.write_text(content)


def stale(planned: Sequence[Planned], env: Environment, order: Sequence[str], folder: Path = FOLDER) -> list[str]:
    """The files that are not what `write` would make of them."""
    contents = files(planned, env, order, folder)
    committed = {file: file.read_text() for file in _committed(folder)}
    found = (file for file in contents.keys() | committed.keys() if contents.get(file) != committed.get(file))
    return sorted(str(file.relative_to(folder)) for file in found)


def _committed(folder: Path) -> set[Path]:
    return {*folder.glob("*.md"), *folder.glob("base/*.md")}
