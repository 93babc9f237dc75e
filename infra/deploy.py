"""Brings an environment up to what its stacks say, stack by stack; what holds data stays as it is, unless it is named.

`python -m infra.deploy ENV`, which people type as `scripts/deploy`. Each stack is planned, asked the guard about, and
applied exactly as planned before the next one, which may need what it has made. A refusal leaves the stacks before it
deployed and touches nothing after.
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra import releases
from infra.command import Refused, ask, attempt
from infra.environments import ENVIRONMENTS
from infra.rehearsal import report
from infra.rehearsal.masking import mask
from infra.rehearsal.steps import Planned, StackError, Step, doing
from infra.rehearsal.synthesis import Stack, synthesize
from infra.rehearsal.terraform import Terraform
from infra.review import guard

FOLDER = Path(__file__).parents[1] / ".platform" / "deploy"
EXAMPLES = """\
examples:
  scripts/deploy dev     plan and apply DEV's stacks in order; look at `scripts/plan dev --real` before
  scripts/deploy prod --allow 'prod-database/google_sql_database_instance.instance=a smaller disk, data restored'

exit status: 0 done, 1 refused or failed, 2 wrong use"""


def deploy(
    stack: Stack,
    engine: Terraform,
    allowed: Mapping[str, str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    step: Step,
) -> str:
    """Plan one stack, ask the guard, apply; returns what was done. Raises StackError, Refused, OverrideError."""
    if missing := releases.unreleased(stack.config):
        said = f"infra/releases.toml names no digest of {', '.join(missing)} for this environment"
        raise StackError(stack.name, "looking up images", said)
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
        found = [*guard.findings([planned], certain=True), *guard.unprotected([stack])]
        mine = {name: reason for name, reason in allowed.items() if name.startswith(f"{stack.name}/")}
        if refused := guard.refused(found, mine):
            raise Refused(refused)
        with doing(stack.name, "apply", step):
            engine.run("apply", "-no-color", file, folder=place, env=environ)
    return report.count(report.changes(planned.plan))


def run(stacks: Sequence[Stack], allowed: Mapping[str, str], *, folder: Path, environ: Mapping[str, str]) -> int:
    """Deploy the stacks in this order; returns the exit status."""

    def work(engine: Terraform, variables: Mapping[str, str], step: Step) -> None:
        for stack in stacks:
            done = deploy(stack, engine, allowed, folder=folder, environ=variables, step=step)
            print(f"{stack.name}: {done}", flush=True)

    return attempt(work, environ)


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    description = "Deploy an environment: real providers, real state, your credentials."
    allow = "let this stateful resource be replaced, destroyed or unprotected"
    env, allowed = ask("deploy", description, EXAMPLES, allow, arguments)
    return run(synthesize(ENVIRONMENTS[env]), allowed, folder=FOLDER / env, environ=os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
