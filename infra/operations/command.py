"""What the commands that change the cloud share: their command line, the guard's word, errors with their remedies."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from infra.environments import ENVIRONMENTS
from infra.operations import real
from infra.operations.programs import Failed
from infra.rehearsal.server import REATTACH
from infra.rehearsal.steps import StackError
from infra.review import guard
from infra.timeline.needs import UnknownTypeError


class Refused(Exception):
    """The guard stands before losses that nobody has allowed."""

    def __init__(self, findings: Sequence[guard.Finding]) -> None:
        super().__init__("\n".join(f"REFUSED: {finding.name} {finding.says}" for finding in findings))


def parser(name: str, description: str, examples: str, allow: str) -> argparse.ArgumentParser:
    """The options that they all have; `allow` explains --allow."""
    made = argparse.ArgumentParser(
        prog=f"scripts/{name}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("env", metavar="ENV", choices=list(ENVIRONMENTS), help=", ".join(ENVIRONMENTS))
    made.add_argument("--allow", metavar="STACK/ADDRESS=REASON", action="append", default=[], help=allow)
    return made


def read(made: argparse.ArgumentParser, arguments: list[str]) -> tuple[argparse.Namespace, dict[str, str]]:
    """The options, and the reasons by what may be lost.

    Ends the process with 2 on wrong use, and with 1 where Terraform would not use the real providers.
    """
    options = made.parse_args(arguments)
    try:
        allowed = guard.overrides(options.allow)
    except guard.OverrideError as error:
        made.error(str(error))
    if REATTACH in os.environ:
        made.exit(1, f"{REATTACH} is set: Terraform would not use the real providers. Unset it.\n")
    return options, allowed


def tell(stack: str, what: str, seconds: float) -> None:
    """A line for a step that is done."""
    print(f"  {stack:<24} {what:<15} {seconds:5.1f} s", flush=True)


def attempt(work: Callable[[], object]) -> int:
    """Do the work; a refusal or an error is shown with what to do next. Returns the exit status."""
    try:
        work()
    except Refused as refusal:
        print(f"{refusal}\nIf that is meant: --allow 'STACK/ADDRESS=REASON' for each of them", file=sys.stderr)
        return 1
    except (StackError, Failed, guard.OverrideError, UnknownTypeError) as error:
        print(f"{error}", file=sys.stderr)
        if remedy := error.remedy if isinstance(error, Failed) else real.remedy(str(error)):
            print(f"What to do: {remedy}", file=sys.stderr)
        return 1
    return 0
