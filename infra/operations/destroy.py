"""Takes an environment away, stack by stack in reverse; what holds data only when it is named, with a reason.

`python -m infra.operations.destroy ENV`, which people type as `scripts/destroy`.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.environments import ENVIRONMENTS
from infra.operations import command
from infra.operations.command import Refused
from infra.operations.credentials import unattended
from infra.rehearsal import isolation
from infra.rehearsal.stateful import PROTECTION, STATEFUL
from infra.rehearsal.steps import Step, doing
from infra.rehearsal.synthesis import Config, Stack
from infra.rehearsal.terraform import Terraform, find
from infra.review import guard
from infra.synthesize import synthesize

FOLDER = Path(__file__).parents[2] / ".platform" / "destroy"
EXAMPLES = """\
examples:
  scripts/destroy dev      name what DEV holds, and refuse; without such resources, take DEV away
  scripts/destroy dev --allow 'dev-storage/google_storage_bucket.leads=DEV is given up, nothing to keep' ...

exit status: 0 done, 1 refused or failed, 2 wrong use"""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack, its folder, and the addresses in its state."""

    stack: Stack
    folder: Path
    resources: tuple[tuple[str, str], ...]  # type and address


def look(
    stacks: Sequence[Stack], engine: Terraform, *, folder: Path, environ: Mapping[str, str], step: Step
) -> list[Deployed]:
    """What is deployed of the stacks. Changes nothing. Raises StackError."""
    found = []
    for stack in stacks:
        place = folder / stack.name
        place.mkdir(parents=True, exist_ok=True)
        _write(place, stack.config)
        with doing(stack.name, "look", step):
            engine.run("init", "-no-color", "-reconfigure", folder=place, env=environ)
            _, shown = engine.run("show", "-json", folder=place, env=environ)
        module = json.loads(shown).get("values", {}).get("root_module", {})
        managed = [r for r in module.get("resources", []) if r["mode"] == "managed"]
        found.append(Deployed(stack, place, tuple((r["type"], r["address"]) for r in managed)))
    return found


def held(deployed: Sequence[Deployed]) -> list[guard.Finding]:
    """The stateful resources that would go."""
    return [
        guard.Finding(f"{each.stack.name}/{address}", "would be destroyed")
        for each in deployed
        for type_name, address in each.resources
        if type_name in STATEFUL
    ]


def destroy(deployed: Sequence[Deployed], engine: Terraform, *, environ: Mapping[str, str], step: Step) -> None:
    """Lift the protections and take everything away, the last stack first. Raises StackError."""
    for each in reversed(deployed):
        if not each.resources:
            continue
        _write(each.folder, isolation.unprotected(isolation.deletable(each.stack.config)))
        guarded = [f"-target={address}" for type_name, address in each.resources if type_name in PROTECTION]
        with doing(each.stack.name, "destroy", step):
            if guarded:
                engine.run("apply", "-no-color", "-auto-approve", *guarded, folder=each.folder, env=environ)
            engine.run("destroy", "-no-color", "-auto-approve", folder=each.folder, env=environ)


def _write(folder: Path, config: Config) -> None:
    (folder / "cdk.tf.json").write_text(json.dumps(config))


def run(stacks: Sequence[Stack], allowed: Mapping[str, str], *, folder: Path, environ: Mapping[str, str]) -> int:
    """Look, ask the guard, destroy; returns the exit status."""

    def work() -> None:
        engine = find()
        deployed = look(stacks, engine, folder=folder, environ=environ, step=command.tell)
        found = held(deployed)
        if refused := guard.refused(found, allowed):
            raise Refused(refused)
        for finding in found:
            print(f"allowed ({allowed[finding.name]}): {finding.name} {finding.says}")
        destroy(deployed, engine, environ=environ, step=command.tell)

    return command.attempt(work)


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    description = "Take an environment away: real providers, real state, your credentials."
    allow = "a stateful resource that goes too, and why"
    options, allowed = command.read(command.parser("destroy", description, EXAMPLES, allow), arguments)
    env = ENVIRONMENTS[options.env]
    return run(synthesize(env), allowed, folder=FOLDER / env.id, environ=unattended(os.environ, env.project))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
