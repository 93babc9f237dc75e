"""Brings an environment up to what its stacks say, stack by stack; what holds data stays as it is, unless it is named.

`python -m infra.deploy ENV`, which people type as `scripts/deploy`. Each stack is planned, asked the guard about, and
applied exactly as planned before the next one, which may need what it has made. A refusal leaves the stacks before it
deployed and touches nothing after.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra import releases
from infra.environments import ENVIRONMENTS
from infra.rehearsal import real, report, terraform
from infra.rehearsal.masking import mask
from infra.rehearsal.server import REATTACH
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


class Refused(Exception):
    """The guard stands before a stack. Holds its findings."""

    def __init__(self, findings: Sequence[guard.Finding]) -> None:
        super().__init__("\n".join(f"REFUSED: {finding.name} {finding.says}" for finding in findings))


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

    def step(stack: str, what: str, seconds: float) -> None:
        print(f"  {stack:<24} {what:<12} {seconds:5.1f} s", flush=True)

    env = {**environ, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
    engine = terraform.find()
    for stack in stacks:
        try:
            done = deploy(stack, engine, allowed, folder=folder, environ=env, step=step)
        except Refused as refusal:
            print(f"{refusal}\nIf that is meant: --allow 'STACK/ADDRESS=REASON' for each of them", file=sys.stderr)
            return 1
        except (StackError, guard.OverrideError) as error:
            print(f"{error}", file=sys.stderr)
            if remedy := real.remedy(str(error)):
                print(f"What to do: {remedy}", file=sys.stderr)
            return 1
        print(f"{stack.name}: {done}", flush=True)
    return 0


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/deploy",
        description="Deploy an environment: real providers, real state, your credentials.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("env", metavar="ENV", choices=list(ENVIRONMENTS), help=", ".join(ENVIRONMENTS))
    parser.add_argument(
        "--allow",
        metavar="STACK/ADDRESS=REASON",
        action="append",
        default=[],
        help="let this stateful resource be replaced, destroyed or unprotected",
    )
    options = parser.parse_args(arguments)
    try:
        allowed = guard.overrides(options.allow)
    except guard.OverrideError as error:
        parser.error(str(error))
    if REATTACH in os.environ:
        print(f"{REATTACH} is set: Terraform would not use the real providers. Unset it.", file=sys.stderr)
        return 1
    stacks = synthesize(ENVIRONMENTS[options.env])
    return run(stacks, allowed, folder=FOLDER / options.env, environ=os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
