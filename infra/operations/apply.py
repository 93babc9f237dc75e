"""One stack: planned, the guard asked, and exactly that plan applied."""

import json
import re
import shlex
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from infra import releases
from infra.operations.command import Refused
from infra.rehearsal.masking import Plan, mask
from infra.rehearsal.steps import Planned, StackError, Step, doing
from infra.rehearsal.synthesis import Stack
from infra.rehearsal.terraform import Terraform
from infra.review import guard

Prepare = Callable[[Plan], object]  # is given the plan that is applied next


class DryRunTerraform(Terraform):
    """Terraform in a dry run: every command is shown, none is run."""

    def run(
        self,
        *arguments: str,
        folder: Path,
        env: Mapping[str, str],  # noqa: ARG002 - as the real one
        accept: tuple[int, ...] = (0,),  # noqa: ARG002
    ) -> tuple[int, str]:
        """Show it. There is no plan to read, so an empty one is answered."""
        print(shlex.join([*self.command, f"-chdir={folder}", *arguments]))
        return 0, "{}"


def apply(
    stack: Stack,
    engine: Terraform,
    allowed: Mapping[str, str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    step: Step,
    prepare: Prepare,
) -> Plan:
    """Plan one stack, ask the guard, prepare, apply; returns the plan, secrets masked.

    Raises StackError, Refused, OverrideError, and what `prepare` raises; nothing is applied then, unless applying
    itself failed.
    """
    place = folder / stack.name
    place.mkdir(parents=True, exist_ok=True)
    (place / "cdk.tf.json").write_text(json.dumps(stack.config))
    # A plan file holds secrets in clear: nobody else can read it, and it is gone with this block.
    with tempfile.TemporaryDirectory() as secret:
        file = str(Path(secret) / "plan")
        with doing(stack.name, "plan", step):
            engine.run("init", "-no-color", "-reconfigure", folder=place, env=environ)
            engine.run("plan", "-no-color", f"-out={file}", folder=place, env=environ)
            _, shown = engine.run("show", "-json", file, folder=place, env=environ)
        planned = Planned(stack.name, mask(json.loads(shown)))
        found = [*guard.findings([planned]), *guard.unprotected([stack])]
        mine = {name: reason for name, reason in allowed.items() if name.startswith(f"{stack.name}/")}
        if refused := guard.refused(found, mine):
            raise Refused(refused)
        prepare(planned.plan)
        with doing(stack.name, "apply", step):
            engine.run("apply", "-no-color", file, folder=place, env=environ)
    return planned.plan


def released(stack: Stack) -> None:
    """Raise StackError where a stack runs an image that nobody has released to its environment."""
    if missing := releases.unreleased(stack.config):
        said = f"infra/releases.toml names no digest of {', '.join(missing)} for this environment"
        raise StackError(stack.name, "looking up images", said)


def planned_images(plan: Plan, when: Literal["before", "after"], name: releases.Name) -> frozenset[str]:
    """The images called `name`, with their digests, that a plan's resources run before or after it."""
    pattern = re.compile(rf'[^"\s]+/{name}@sha256:[0-9a-f]{{64}}')
    changes = [change["change"][when] for change in plan.get("resource_changes", []) if change["mode"] == "managed"]
    return frozenset(pattern.findall(json.dumps(changes)))
