"""`python -m infra.operations.drift ENV`: whether the cloud still is as the stacks say, as Markdown for an issue.

Plans with `-detailed-exitcode` and without a lock, so that the planner's right to read is enough. Shows what would
change, never to what: an issue has more readers than a plan.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.environments import ENVIRONMENTS
from infra.operations import command
from infra.operations.credentials import unattended
from infra.operations.refusals import check_own_values
from infra.rehearsal import terraform
from infra.rehearsal.synthesis import Stack, readable
from infra.rehearsal.terraform import Terraform, TerraformError
from infra.synthesize import synthesize

FOLDER = Path(__file__).parents[2] / ".platform" / "drift"
EXAMPLES = """\
examples:
  python -m infra.operations.drift prod     credentials of the planner, or better ones; changes nothing

exit status: 0 nothing drifted, 1 something did or could not be planned, 2 wrong use"""


@dataclass(frozen=True, slots=True)
class StackDrift:
    """What a plan of one stack found."""

    stack: str
    changes: tuple[str, ...] = ()  # google_storage_bucket.models will be updated in-place
    error: str = ""

    @property
    def found(self) -> bool:
        """Whether somebody must look."""
        return bool(self.changes or self.error)


def drift(stacks: Sequence[Stack], engine: Terraform, folder: Path, environ: Mapping[str, str]) -> Iterator[StackDrift]:
    """Plan each stack. One that cannot be planned keeps no other from it."""
    for stack in stacks:
        place = folder / stack.name
        place.mkdir(parents=True, exist_ok=True)
        (place / "cdk.tf.json").write_text(json.dumps(stack.config))
        try:
            engine.run("init", "-no-color", "-reconfigure", folder=place, env=environ)
            arguments = ("-no-color", "-lock=false", "-detailed-exitcode")
            code, said = engine.run("plan", *arguments, folder=place, env=environ, accept=(0, 2))
        except TerraformError as error:
            yield StackDrift(stack.name, error=error.said)
            continue
        changes = tuple(line.strip(" #") for line in said.splitlines() if line.startswith("  # "))
        yield StackDrift(stack.name, changes=(changes or ("an output",)) if code == 2 else ())


def markdown(found: Sequence[StackDrift], left_out: Sequence[str]) -> str:
    """The findings for an issue."""
    lines = []
    for each in found:
        if each.error:
            lines += [f"- **{each.stack}** cannot be planned:", "", "  ```text"]
            lines += [f"  {line}" for line in each.error.splitlines()] + ["  ```"]
        else:
            lines += [f"- {each.stack}: {'**drifted**' if each.changes else 'as it is configured'}"]
            lines += [f"  - `{change}`" for change in each.changes]
    lines += [f"- {name}: not looked at, for its state holds a secret; the deployer's plan does" for name in left_out]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.operations.drift",
        description="Compare the cloud with the stacks.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("env", metavar="ENV", choices=list(ENVIRONMENTS), help=", ".join(ENVIRONMENTS))
    options = parser.parse_args(arguments)
    env = ENVIRONMENTS[options.env]
    if command.attempt(lambda: check_own_values(env, os.environ)):
        return 1
    stacks = synthesize(env)
    planned = readable(stacks)
    found = list(drift(planned, terraform.find(), FOLDER, unattended(os.environ, env.project)))
    left_out = [stack.name for stack in stacks if stack not in planned]
    print(markdown(found, left_out))
    return 1 if any(each.found for each in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
