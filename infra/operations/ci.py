"""`python -m infra.operations.ci ENV planner|deployer`: whom a workflow logs in as, in the form of $GITHUB_OUTPUT.

Not a secret, and so not typed a second time as one: `infra/environments.py` says it all.
"""

import sys

from infra.environment import Environment
from infra.environments import ENVIRONMENTS

ACCOUNTS = ("planner", "deployer")


def identity(env: Environment, account: str) -> dict[str, str]:
    """The provider and the account that the delivery stack makes."""
    pool = f"projects/{env.project_number}/locations/global/workloadIdentityPools/{env.name('ci')}"
    return {
        "provider": f"{pool}/providers/github",
        "account": env.email(account),
        "project": env.project,
        # Names of the secrets that are Terraform's variables in a deploy.
        "migrator_password": env.name("migrator-password"),
        "pagerduty_key": env.name("pagerduty-key") if env.pages and not env.on_call else "",
        # And of the one that PagerDuty's provider reads as PAGERDUTY_TOKEN.
        "pagerduty_token": env.name("pagerduty-token") if env.on_call else "",
    }


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    if len(arguments) != 2 or arguments[0] not in ENVIRONMENTS or arguments[1] not in ACCOUNTS:
        print(
            f"usage: python -m infra.operations.ci {{{','.join(ENVIRONMENTS)}}} {{{','.join(ACCOUNTS)}}}",
            file=sys.stderr,
        )
        return 2
    for name, value in identity(ENVIRONMENTS[arguments[0]], arguments[1]).items():
        print(f"{name}={value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
