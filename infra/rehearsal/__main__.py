"""`python -m infra.rehearsal ENV [--real]`, which people type as `scripts/plan`."""

import argparse
import sys
import time
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from infra.rehearsal import real, report, terraform
from infra.rehearsal.isolation import BackendError
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.steps import StackError
from infra.rehearsal.synthesis import synthesize, types

ROOT = Path(__file__).parents[2]
PLATFORM = ROOT / ".platform"

EXAMPLES = """\
examples:
  scripts/plan dev           rehearse DEV: no cloud, no credentials, no registry
  scripts/plan prod          rehearse PROD
  scripts/plan prod --real   plan PROD on Google Cloud (credentials needed; changes nothing)

exit status: 0 done, 1 a stack failed, 2 wrong use"""


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    console = Console()
    failures = Console(stderr=True)
    try:
        from infra.environments import ENVIRONMENTS
    except ValidationError as error:
        for fault in error.errors():
            field = ".".join(map(str, fault["loc"])) or "environment"
            failures.print(f"infra/environments.py: {field}: {fault['msg']} (got {fault['input']!r})", markup=False)
        return 1
    parser = argparse.ArgumentParser(
        prog="scripts/plan",
        description="Plan the stacks of an environment and show what a reviewer needs to see.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("env", metavar="ENV", choices=list(ENVIRONMENTS), help=", ".join(ENVIRONMENTS))
    parser.add_argument("--real", action="store_true", help="real providers, real backend, your credentials")
    options = parser.parse_args(arguments)
    kind = "Real plan" if options.real else "Rehearsal"

    start = time.monotonic()
    engine = terraform.find()
    console.print(f"{kind} of [bold]{options.env}[/] with Terraform {engine.version} ({engine.source})")
    with console.status("Synthesizing the stacks"):
        stacks = synthesize(ENVIRONMENTS[options.env])

    def step(stack: str, what: str, seconds: float) -> None:
        console.print(f"  [dim]{stack:<24}[/] {what:<12} {seconds:5.1f} s", highlight=False)

    try:
        with console.status("Terraform is at work"):
            if options.real:
                folder = PLATFORM / "real" / options.env
                planned = real.plan(stacks, engine, folder=folder, step=step)
            else:
                planned = rehearse(stacks, engine, step=step, notice=console.print)
    except (StackError, BackendError, real.StandInError) as error:
        failures.print(f"[bold red]{escape(str(error))}[/]", highlight=False)
        if remedy := real.remedy(str(error)):
            failures.print(f"What to do: {remedy}", markup=False, highlight=False)
        return 1

    report.show(console, planned)
    title = f"{kind} of {options.env}, Terraform {engine.version}"
    limits = None if options.real else report.LIMITS + report.examples(types(stacks, "data"))
    name = f"{options.env}-real" if options.real else options.env
    written = report.write(PLATFORM / "plans" / name, planned, title=title, limits=limits)
    if limits:
        console.print(f"[yellow]{escape(limits)}[/]", highlight=False)
    console.print(f"Report and plans: {written.parent.relative_to(ROOT)}/")
    console.print(f"{len(planned)} stacks in {time.monotonic() - start:.1f} s")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("stopped: nothing has been changed")
