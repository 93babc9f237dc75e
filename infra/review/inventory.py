"""A stack's plan as a short file that diffs well: types, counts and the values that matter.

The files are committed, one for each stack of each environment, and compared by a test: whatever changes in the
cloud shows in the diff of the change that causes it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from infra.rehearsal import report
from infra.rehearsal.masking import Plan
from infra.rehearsal.steps import Planned

FOLDER = Path(__file__).parents[1] / "inventories"

_WIDTH = 120
_MADE_UP = re.compile(r"rehearsed-[0-9a-f]{12}")
# Of types that nobody has chosen values for everything is shown that the code sets, except what is only for readers.
_WORDS = {"description", "display_name", "labels", "user_labels", "resource_labels", "project"}


def text(planned: Planned) -> str:
    """The inventory of one stack."""
    resources = sorted(planned.plan.get("resource_changes", []), key=lambda r: str(r["address"]))
    managed = [resource for resource in resources if resource["mode"] == "managed"]
    types = Counter(resource["type"] for resource in managed)
    lines = [f"# {planned.stack}", "", f"{len(managed)} resources of {len(types)} types."]
    for type_name, count in sorted(types.items()):
        lines += ["", f"## {type_name}: {count}", ""]
        for resource in managed:
            if resource["type"] == type_name:
                lines += _entry(resource["name"], [*values(planned.plan, resource)])
    return "\n".join(lines) + "\n"


def _entry(name: str, shown: list[str]) -> list[str]:
    """In one line if it fits, else a line for each value, and for each element of a long list."""
    line = f"- {name}: {', '.join(shown)}" if shown else f"- {name}"
    if len(line) <= _WIDTH:
        return [line]
    long = [value.replace("; ", "\n    - ") if len(value) > _WIDTH else value for value in shown]
    return [f"- {name}", *(f"  - {value}" for value in long)]


def values(plan: Plan, resource: dict[str, Any]) -> Iterator[str]:
    """Each value that matters with its name, as the plan has it; what the cloud decides is `(computed)`."""
    arguments = report.expressions(plan, resource["address"])
    otherwise = {name.replace("_", " "): name for name in sorted(arguments) if name not in _WORDS}
    for name, value in report.values(plan, resource, otherwise):
        if value == report.LATER:  # the cloud decides, the code does not
            continue
        yield f"{name} {_MADE_UP.sub('(computed)', ' '.join(value.split()))}"


def write(planned: Sequence[Planned], env: str, folder: Path = FOLDER) -> list[Path]:
    """Write the inventories of an environment, and take away those of stacks that are gone."""
    files = {folder / env / f"{each.stack.removeprefix(f'{env}-')}.md": text(each) for each in planned}
    (folder / env).mkdir(parents=True, exist_ok=True)
    for old in (folder / env).glob("*.md"):
        if old not in files:
            old.unlink()
    for file, content in files.items():
        file.write_text(content)
    return sorted(files)


def stale(planned: Sequence[Planned], env: str, folder: Path = FOLDER) -> list[str]:
    """The stacks whose committed inventory is not that of the plan."""
    now = {each.stack.removeprefix(f"{env}-"): text(each) for each in planned}
    then = {file.stem: file.read_text() for file in (folder / env).glob("*.md")}
    return sorted(stack for stack in now.keys() | then.keys() if now.get(stack) != then.get(stack))
