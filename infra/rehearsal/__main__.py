"""`python -m infra.rehearsal DIR`: rehearses anybody's Terraform for Google Cloud, Kubernetes or PagerDuty."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from infra.rehearsal import report, terraform
from infra.rehearsal.foreign import folder
from infra.rehearsal.foreign.module import CannotRehearse
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.steps import StackError
from infra.rehearsal.synthesis import Stack, types
from infra.rehearsal.terraform import TerraformError

DESCRIPTION = """\
Rehearse Terraform without a cloud, credentials or a registry: validate, plan, apply to a throw-away state, a second
plan that must be empty, destroy. The folder is only read."""
EXAMPLES = """\
examples:
  python -m infra.rehearsal cdktf.out                  what `cdktf synth` wrote, all its stacks in order
  python -m infra.rehearsal infrastructure/network     a folder of *.tf and *.tf.json files
  python -m infra.rehearsal infrastructure --var project=some-project --var-file eu.tfvars

exit status: 0 done, 1 Terraform or a stand-in refused something, 2 wrong use or nothing that can be rehearsed"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    console, failures = Console(highlight=False), Console(stderr=True, highlight=False)
    start = time.monotonic()
    try:
        stacks = folder.read(options.folder)
        engine = terraform.find()
        console.print(f"Rehearsal of {options.folder} with {engine.program} {engine.version} ({engine.source})")
        with tempfile.TemporaryDirectory() as name:
            given = Path(name) / "given.tfvars.json"
            given.write_text(json.dumps(dict(options.var)))
            planned = rehearse(
                stacks,
                engine,
                tfvars=[*options.var_file, given],
                other_versions=True,
                step=lambda stack, what, seconds: console.print(f"  [dim]{stack:<24}[/] {what:<12} {seconds:5.1f} s"),
                notice=lambda said: console.print(escape(str(said)), soft_wrap=True),
            )
    except CannotRehearse as error:
        failures.print(escape(str(error)), soft_wrap=True)
        return 2
    except (StackError, TerraformError) as error:
        failures.print(f"[bold red]{escape(str(error))}[/]", soft_wrap=True)
        return 1
    report.show(console, planned)
    console.print(f"\n[yellow]{escape(_limits(stacks))}[/]", soft_wrap=True)
    console.print(f"{len(planned)} {'stack' if len(planned) == 1 else 'stacks'} in {time.monotonic() - start:.1f} s")
    return 0


def _limits(stacks: Sequence[Stack]) -> str:
    ignored = (
        "\nThe providers' own protections, and names that stay taken, were ignored: a stack here consists of files."
    )
    return (
        f"{report.LIMITS} Nor does it know who may do what."
        + (ignored if any(stack.files for stack in stacks) else "")
        + report.without_rules(types(stacks, "resource"))
        + report.examples(types(stacks, "data"))
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.rehearsal",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", metavar="DIR", type=Path, help="a cdktf output (with manifest.json), or Terraform files"
    )
    parser.add_argument(
        "--var",
        metavar="NAME=VALUE",
        type=_variable,
        action="append",
        default=[],
        help="a variable; a list or map as JSON. Without a value or a default it gets a made-up text",
    )
    parser.add_argument(
        "--var-file", metavar="FILE", type=_file, action="append", default=[], help="*.tfvars or *.tfvars.json"
    )
    return parser


def _variable(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    if not value.startswith(("[", "{")):
        return name, value
    try:
        return name, json.loads(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"the value of {name} is no JSON: {error}") from error


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return Path(text)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("stopped: nothing has been changed")
