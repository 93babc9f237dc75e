"""Brings an environment up to what its stacks say, stack by stack; what holds data stays as it is, unless it is named.

`python -m infra.operations.deploy ENV`, which people type as `scripts/deploy`. What it does, in order, is
`Deploy.phases` in `infra/operations/deployment.py`.
"""

import argparse
import os
import sys
from pathlib import Path

from infra.environments import ENVIRONMENTS
from infra.operations import command
from infra.operations.apply import DryRunTerraform
from infra.operations.credentials import unattended
from infra.operations.deployment import Deploy
from infra.operations.images import ImageRecipe
from infra.operations.programs import Programs
from infra.operations.refusals import check_own_values
from infra.rehearsal.steps import silent
from infra.rehearsal.terraform import find
from infra.review import guard
from infra.synthesize import synthesize

FOLDER = Path(__file__).parents[2] / ".platform" / "deploy"
EXAMPLES = """\
examples:
  scripts/deploy dev --dry-run       print every command, in order; run none
  scripts/deploy dev                 plan and apply DEV's stacks in order; look at `scripts/plan dev --real` before
  scripts/deploy dev --build --base-image 'python@sha256:...'
                                     build, scan and push the checked out commit's images, then deploy them
  scripts/deploy dev --no-smoke 'the domain is not registered yet'
  scripts/deploy prod --allow 'prod-database/google_sql_database_instance.instance=a new region, data restored'

Images are built when --build says so, or when infra/releases.toml names none for the environment. Commit what is
written there: it is the record of what runs.

exit status: 0 done, 1 refused or failed, 2 wrong use"""


def run(deploy: Deploy) -> int:
    """Do it; returns the exit status."""
    status = command.attempt(deploy.phases)
    if status and not deploy.programs.dry:
        print(deploy.account(), file=sys.stderr)
    return status


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = command.parser(
        "deploy",
        "Deploy an environment: real providers, real state, your credentials.",
        EXAMPLES,
        "let this stateful resource be replaced, destroyed or unprotected",
    )
    made.add_argument("--dry-run", action="store_true", help="print every command, run none")
    made.add_argument(
        "--build", action=argparse.BooleanOptionalAction, help="build, push and scan the commit's images first"
    )
    made.add_argument(
        "--base-image",
        metavar="IMAGE@DIGEST",
        default=os.environ.get("BASE_IMAGE", ""),
        help="a Debian with Python 3.11, venv and pip; BASE_IMAGE unless given",
    )
    made.add_argument("--pip-conf", metavar="FILE", type=Path, help="an index of your own, as a build secret")
    made.add_argument(
        "--allow-vulnerability",
        metavar="ID=REASON",
        action="append",
        default=[],
        help="release in spite of this critical vulnerability",
    )
    made.add_argument(
        "--in-spite-of-budget", metavar="REASON", default="", help="deploy although an error budget is spent"
    )
    made.add_argument("--no-smoke", metavar="REASON", default="", help="do not ask for a score at the end")
    return made


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    options, allowed = command.read(parser(), arguments)
    env = ENVIRONMENTS[options.env]
    programs = Programs(unattended(os.environ, env.project), dry=options.dry_run)
    try:
        vulnerabilities = guard.reasons("--allow-vulnerability", "ID=REASON", options.allow_vulnerability)
    except guard.OverrideError as error:
        parser().error(str(error))
    if not options.dry_run and command.attempt(lambda: check_own_values(env, os.environ)):
        return 1
    return run(
        Deploy(
            env,
            allowed,
            DryRunTerraform(("terraform",), "") if options.dry_run else find(),
            programs,
            build=options.build,
            recipe=ImageRecipe(options.base_image, options.pip_conf, vulnerabilities),
            no_smoke=options.no_smoke,
            in_spite_of_budget=options.in_spite_of_budget,
            folder=FOLDER / env.id,
            door=f"https://{env.domain}",
            step=silent if options.dry_run else command.tell,
            synthesize=lambda: synthesize(env),
        )
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
