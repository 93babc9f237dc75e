"""`scripts/alerts env ENV`: the shell variables and commands that runbooks use, ready to paste.

It asks nobody: everything follows from `infra/environments.py`.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence

from infra.environment import Environment
from infra.environments import ENVIRONMENTS
from infra.operations.first_deploy import NAMESPACE
from monitoring.review.notification import CONSOLE


def variables(env: Environment) -> dict[str, str]:
    """The value of each variable by its name."""
    return {
        "NAME": env.name("").removesuffix("-"),
        "PROJECT": env.project,
        "REGION": env.region,
        "CLUSTER": env.name("cluster"),
        "NAMESPACE": NAMESPACE,
        "DOMAIN": env.domain,
        "RUNBOOKS": str(env.runbooks_url),
        "INCIDENTS": f"{CONSOLE}/alerting?project={env.project}",
        "DASHBOARDS": f"{CONSOLE}/dashboards?project={env.project}",
        "ESCALATE_TO": env.escalate_to or "",
    }


def script(env: Environment) -> str:
    """What is pasted: the variables, then access to the cluster, and a look at the dashboards."""
    whom = "of PagerDuty" if env.escalate_to else f"nobody is paged in {env.id}"
    lines = [
        f"# {env.id}: paste all of it into one shell, then follow the runbook.",
        *(f"export {name}={shlex.quote(value)}" for name, value in variables(env).items()),
        f"# ESCALATE_TO: {whom}. Access to the cluster:",
        'gcloud container clusters get-credentials "$CLUSTER" --location="$REGION" --project="$PROJECT" --dns-endpoint',
        'kubectl config set-context --current --namespace "$NAMESPACE"',
        f"# Dashboards: {CONSOLE}/dashboards/builder/ID?project={env.project}, with the ID of",
        'gcloud monitoring dashboards list --project="$PROJECT" --format="value(displayName,name.basename())"',
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/alerts env",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("env", metavar="ENV", choices=ENVIRONMENTS, help=", ".join(ENVIRONMENTS))
    print(script(ENVIRONMENTS[parser.parse_args(arguments).env]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
