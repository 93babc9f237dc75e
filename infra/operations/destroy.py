"""Takes an environment away, stack by stack in reverse; what holds data only when it is named, with a reason.

`python -m infra.operations.destroy ENV`, which people type as `scripts/destroy`.
"""

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.environments import ENVIRONMENTS
from infra.operations import command
from infra.operations.command import Refused
from infra.operations.credentials import unattended
from infra.operations.programs import Programs
from infra.operations.refusals import check_own_values
from infra.rehearsal import isolation, protections
from infra.rehearsal.stateful import STATEFUL
from infra.rehearsal.steps import Step, doing
from infra.rehearsal.synthesis import Config, Stack
from infra.rehearsal.terraform import Terraform, find
from infra.review import guard
from infra.synthesize import synthesize

BACKUPS = "google_gke_backup_backup_plan"
FOLDER = Path(__file__).parents[2] / ".platform" / "destroy"
EXAMPLES = """\
examples:
  scripts/destroy dev      name what DEV holds, and refuse; without such resources, take DEV away
  scripts/destroy dev --allow 'dev-storage/google_storage_bucket.leads=DEV is given up, nothing to keep' ...

exit status: 0 done, 1 refused or failed, 2 wrong use"""


@dataclass(frozen=True, slots=True)
class InState:
    """A resource of a state."""

    type: str
    address: str
    id: str


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack, its folder, and the resources in its state."""

    stack: Stack
    folder: Path
    resources: tuple[InState, ...]


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
        found.append(Deployed(stack, place, tuple(map(_in_state, managed))))
    return found


def held(deployed: Sequence[Deployed]) -> list[guard.Finding]:
    """The stateful resources that would go."""
    return [
        guard.Finding(f"{each.stack.name}/{resource.address}", "would be destroyed")
        for each in deployed
        for resource in each.resources
        if resource.type in STATEFUL and resource.address not in protections.kept(each.stack.config)
    ]


def destroy(
    deployed: Sequence[Deployed], engine: Terraform, programs: Programs, *, environ: Mapping[str, str], step: Step
) -> None:
    """Lift the protections and take everything away but what is kept, the last stack first.

    Raises StackError, ProgramError.
    """
    for each in reversed(deployed):
        addresses = {resource.address for resource in each.resources}
        if addresses <= protections.kept(each.stack.config):
            continue
        with doing(each.stack.name, "destroy", step):
            if any(resource.type == BACKUPS for resource in each.resources):
                delete_backups(each.stack.config, programs)
            for config, command in protections.passes(isolation.unprotected(each.stack.config), addresses):
                _write(each.folder, config)
                engine.run(*command, folder=each.folder, env=environ)


def delete_backups(config: Config, programs: Programs) -> None:
    """Delete the backups of each backup plan, which cannot be deleted while it has any. Raises ProgramError.

    https://github.com/hashicorp/terraform-provider-google/issues/15309
    """
    command = ("gcloud", "container", "backup-restore", "backups")
    project = f"--project={config['provider']['google'][0]['project']}"
    for plan in config["resource"][BACKUPS].values():
        where = (f"--location={plan['location']}", f"--backup-plan={plan['name']}")
        for name in programs.run(*command, "list", project, *where, "--format=value(name)").split():
            programs.run(*command, "delete", name, "--quiet", seconds=1_800)


def account(deployed: Sequence[Deployed], env: str) -> str:
    """What is left of an environment, why, and how a deploy finds it again; empty where nothing is."""
    left = [
        (each.stack.name, resource)
        for each in deployed
        for resource in each.resources
        if resource.address in protections.kept(each.stack.config)
    ]
    if not left:
        return ""
    why = [f"  {stack}/{resource.address}: {_why(resource.type)}" for stack, resource in left]
    again = (
        "scripts/deploy finds it in Terraform's state: keep the state bucket. Without that state a deploy stops with"
    )
    commands = [
        f"  terraform -chdir=.platform/deploy/{env}/{stack} import {resource.address} {shlex.quote(resource.id)}"
        for stack, resource in left
    ]
    return "\n".join(["Left in place:", *why, f"{again} `Error 409`; run then, and deploy again:", *commands])


def _why(type_name: str) -> str:
    return protections.KEPT[type_name].why if type_name in protections.KEPT else "What is left refers to it."


def _in_state(resource: dict[str, Any]) -> InState:
    return InState(resource["type"], resource["address"], str(resource["values"].get("id")))


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
        destroy(deployed, engine, Programs(environ), environ=environ, step=command.tell)
        if left := account(deployed, folder.name):
            print(left)

    return command.attempt(work)


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    description = "Take an environment away: real providers, real state, your credentials."
    allow = "a stateful resource that goes too, and why"
    options, allowed = command.read(command.parser("destroy", description, EXAMPLES, allow), arguments)
    env = ENVIRONMENTS[options.env]
    if command.attempt(lambda: check_own_values(env, os.environ)):
        return 1
    return run(synthesize(env), allowed, folder=FOLDER / env.id, environ=unattended(os.environ, env.project))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
