"""What the commands that change the cloud share: their command line, the guard's word, errors with their remedies."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from infra.environments import ENVIRONMENTS
from infra.rehearsal import real, terraform
from infra.rehearsal.server import REATTACH
from infra.rehearsal.steps import StackError, Step
from infra.rehearsal.terraform import Terraform
from infra.review import guard

Work = Callable[[Terraform, Mapping[str, str], Step], None]


class Refused(Exception):
    """The guard stands before losses that nobody has allowed."""

    def __init__(self, findings: Sequence[guard.Finding]) -> None:
        super().__init__("\n".join(f"REFUSED: {finding.name} {finding.says}" for finding in findings))


def ask(name: str, description: str, examples: str, allow: str, arguments: list[str]) -> tuple[str, dict[str, str]]:
    """The environment's id, and the reasons by what may be lost; `allow` explains --allow.

    Ends the process with 2 on wrong use, and with 1 where Terraform would not use the real providers.
    """
    parser = argparse.ArgumentParser(
        prog=f"scripts/{name}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("env", metavar="ENV", choices=list(ENVIRONMENTS), help=", ".join(ENVIRONMENTS))
    parser.add_argument("--allow", metavar="STACK/ADDRESS=REASON", action="append", default=[], help=allow)
    options = parser.parse_args(arguments)
    try:
        allowed = guard.overrides(options.allow)
    except guard.OverrideError as error:
        parser.error(str(error))
    if REATTACH in os.environ:
        parser.exit(1, f"{REATTACH} is set: Terraform would not use the real providers. Unset it.\n")
    return options.env, allowed


def attempt(work: Work, environ: Mapping[str, str]) -> int:
    """Do the work; a refusal or an error is shown with what to do next. Returns the exit status."""

    def step(stack: str, what: str, seconds: float) -> None:
        print(f"  {stack:<24} {what:<12} {seconds:5.1f} s", flush=True)

    try:
        work(terraform.find(), {**environ, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}, step)
    except Refused as refusal:
        print(f"{refusal}\nIf that is meant: --allow 'STACK/ADDRESS=REASON' for each of them", file=sys.stderr)
        return 1
    except (StackError, guard.OverrideError) as error:
        print(f"{error}", file=sys.stderr)
        if remedy := real.remedy(str(error)):
            print(f"What to do: {remedy}", file=sys.stderr)
        return 1
    return 0
