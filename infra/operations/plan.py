"""`python -m infra.operations.plan ENV [--real]`, which people type as `scripts/plan`."""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from infra import releases
from infra.environment import Environment
from infra.operations import first_deploy, lead_source, permissions, real
from infra.operations.credentials import unattended
from infra.operations.programs import Failed
from infra.operations.refusals import check_own_values
from infra.policies import __main__ as policies
from infra.policies.check import check
from infra.policies.plan import PlanError
from infra.policies.scanner import ScannerError
from infra.policies.skips import SkipError
from infra.rehearsal import report, rules, terraform
from infra.rehearsal.isolation import BackendError
from infra.rehearsal.rehearse import rehearse, rehearse_change
from infra.rehearsal.steps import Planned, StackError
from infra.rehearsal.synthesis import Stack, readable, types
from infra.rehearsal.terraform import Terraform
from infra.review import addresses, guard, inventory, sheet
from infra.review.base import stacks_at
from infra.synthesize import synthesize
from infra.timeline.events import DeadlockError
from infra.timeline.needs import UnknownTypeError
from monitoring.review.commit import RefError

ROOT = Path(__file__).parents[2]
PLATFORM = ROOT / ".platform"

EXAMPLES = """\
examples:
  scripts/plan dev           rehearse DEV: no cloud, no credentials, no registry
  scripts/plan prod          rehearse PROD
  scripts/plan prod --real   plan PROD on Google Cloud (credentials needed; changes nothing)
  scripts/plan prod --inventory        and write its inventory and the lock on its addresses anew
  scripts/plan prod --against main     what your commits change in what main has deployed
  scripts/plan prod --against main --sheet   and write what a reviewer reads in a pull request
  scripts/plan prod --against main --allow 'prod-storage/google_storage_bucket.leads=moved to the EU, data copied'

exit status: 0 done; 1 a stack failed, a stateful resource would be lost or somebody lacks a permission; 2 wrong use"""

REAL = """\
Of permissions it does not know those that `python -m infra.operations.permissions ENV` lists as unknown, nor what an \
organisation denies. For the rest there is `scripts/plan ENV --real`."""


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
    options, allowed = _parse(arguments, list(ENVIRONMENTS))
    env = ENVIRONMENTS[options.env]
    if options.real:
        try:
            check_own_values(env, os.environ)
            lead_source.check(env)
        except Failed as error:
            failures.print(f"{error}\nWhat to do: {error.remedy}", markup=False, highlight=False)
            return 1

    start = time.monotonic()
    engine = terraform.find()
    console.print(
        f"{_kind(options)} of [bold]{options.env}[/] with {engine.program} {engine.version} ({engine.source})"
    )
    with console.status("Synthesizing the stacks"):
        stacks = synthesize(env)
    if options.readable:
        left_out = [stack.name for stack in stacks if stack not in readable(stacks)]
        console.print(f"Left out, for its state holds a secret: {', '.join(left_out) or 'none'}")
        stacks = readable(stacks)
    try:
        with console.status("Terraform is at work"):
            planned = _planned(options, env, stacks, engine, console)
    except (StackError, BackendError, RefError, DeadlockError, UnknownTypeError, real.StandInError) as error:
        failures.print(f"[bold red]{escape(str(error))}[/]", highlight=False)
        if remedy := real.remedy(str(error)):
            failures.print(f"What to do: {remedy}", markup=False, highlight=False)
        return 1

    folder = _report(options, stacks, planned, engine, console)
    if options.inventory:
        inventory.write(planned, env, list(ENVIRONMENTS))
        addresses.write(stacks, options.env)
        console.print("Inventories: infra/inventories/")
    console.print(f"Order of deployment: {', '.join(stack.name for stack in stacks)}", soft_wrap=True)
    if not options.real:
        checked = rules.checked(stack.config for stack in stacks).total()
        console.print(f"{checked} rules of the provider's code checked on the arguments given")
    console.print(f"{len(planned)} stacks in {time.monotonic() - start:.1f} s")
    findings = _findings(env, stacks, planned, console)
    if options.sheet:
        _sheet(options, folder, planned, findings, allowed, console)
    return judge(failures, findings, allowed)


def _parse(arguments: Sequence[str], environments: Sequence[str]) -> tuple[argparse.Namespace, dict[str, str]]:
    """The options, and reasons by the resource that may be lost."""
    parser = argparse.ArgumentParser(
        prog="scripts/plan",
        description="Plan the stacks of an environment and show what a reviewer needs to see.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("env", metavar="ENV", choices=environments, help=", ".join(environments))
    parser.add_argument("--real", action="store_true", help="real providers, real backend, your credentials")
    parser.add_argument(
        "--readable", action="store_true", help="with --real: leave out the stacks whose state holds a secret"
    )
    parser.add_argument("--inventory", action="store_true", help="write its inventory in infra/inventories anew")
    parser.add_argument("--sheet", action="store_true", help="write the review sheet, Markdown for a pull request")
    parser.add_argument("--against", metavar="REF", help="the commit that is deployed: plan what changes")
    parser.add_argument(
        "--allow",
        metavar="STACK/ADDRESS=REASON",
        action="append",
        default=[],
        help="let this stateful resource be replaced, destroyed or unprotected",
    )
    options = parser.parse_args(arguments)
    if options.real and (options.against or options.inventory):
        parser.error("--real plans what is deployed; --against and --inventory belong to a rehearsal")
    if options.readable and not options.real:
        parser.error("--readable goes with --real: a rehearsal reads no state that holds a secret")
    if options.inventory and options.against:
        parser.error("--inventory is of everything, --against of what changes")
    try:
        return options, guard.overrides(options.allow)
    except guard.OverrideError as error:
        parser.error(str(error))


def _kind(options: argparse.Namespace) -> str:
    return "Real plan" if options.real else "Rehearsal"


def _planned(
    options: argparse.Namespace, env: Environment, stacks: tuple[Stack, ...], engine: Terraform, console: Console
) -> list[Planned]:
    """The plans, with a line of progress for each step. Raises what `main` names."""

    def step(stack: str, what: str, seconds: float) -> None:
        console.print(f"  [dim]{stack:<24}[/] {what:<12} {seconds:5.1f} s", highlight=False)

    if options.real:
        environ = unattended(os.environ, env.project)
        return real.plan(stacks, engine, folder=PLATFORM / "real" / options.env, environ=environ, step=step)
    stops = first_deploy.stops(first_deploy.timeline(env, stacks))
    console.print("A first deploy of an empty project stops for a person:")
    console.print("\n".join(f"  {stop}" for stop in stops), markup=False, highlight=False, soft_wrap=True)
    if options.against:
        deployed = stacks_at(options.against, options.env)
        return rehearse_change(deployed, stacks, engine, step=step, notice=console.print)
    return rehearse(stacks, engine, step=step, notice=console.print)


def _report(
    options: argparse.Namespace,
    stacks: tuple[Stack, ...],
    planned: list[Planned],
    engine: Terraform,
    console: Console,
) -> Path:
    """Show the plans and write them; return their folder."""
    report.show(console, planned)
    title = f"{_kind(options)} of {options.env}, {engine.program} {engine.version}"
    placeholders = releases.notice(stack.config for stack in stacks)
    said = f"{report.LIMITS} {REAL}{placeholders}{report.examples(types(stacks, 'data'))}"
    limits = None if options.real else said
    folder = PLATFORM / "plans" / f"{options.env}{'-real' if options.real else '-change' if options.against else ''}"
    written = report.write(folder, planned, title=title, limits=limits)
    if limits:
        console.print(f"[yellow]{escape(limits)}[/]", highlight=False)
    console.print(f"Report and plans: {written.parent.relative_to(ROOT)}/")
    return folder


def _findings(
    env: Environment, stacks: tuple[Stack, ...], planned: list[Planned], console: Console
) -> list[guard.Finding]:
    """What the plans would do to stateful resources, and the permissions that somebody lacks."""
    rights = permissions.compare(env, stacks)
    console.print(permissions.summary(rights))
    return [*guard.findings(planned), *guard.unprotected(stacks), *permissions.findings(rights)]


def _sheet(
    options: argparse.Namespace,
    folder: Path,
    planned: list[Planned],
    findings: list[guard.Finding],
    allowed: dict[str, str],
    console: Console,
) -> None:
    policies_say = _policies(folder, options.env)
    text = sheet.render(
        options.env, planned, against=options.against, found=findings, allowed=allowed, policies=policies_say
    )
    (folder / "sheet.md").write_text(text)
    console.print(f"Review sheet: {(folder / 'sheet.md').relative_to(ROOT)}")


def _policies(folder: Path, env: str) -> str:
    """What the policies say of the plans in a folder, as Markdown."""
    try:
        return f"```text\n{policies.report(check(folder, env))}\n```"
    except (PlanError, ScannerError, SkipError) as error:
        return f"**Not run:** {error}"


def judge(failures: Console, found: Sequence[guard.Finding], allowed: Mapping[str, str]) -> int:
    """Tell what was found, and give the exit status: 0 where every finding has a reason to be allowed."""
    try:
        refused = guard.refused(found, allowed)
    except guard.OverrideError as error:
        failures.print(str(error), markup=False, highlight=False)
        return 1
    for finding in found:
        verdict = "REFUSED" if finding in refused else f"allowed ({allowed[finding.name]})"
        failures.print(f"{verdict}: {finding.name} {finding.says}", markup=False, highlight=False, soft_wrap=True)
    if refused:
        failures.print("If that is meant: --allow 'STACK/ADDRESS=REASON' for each of them", markup=False)
    return 1 if refused else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("stopped: nothing has been changed")
