"""What is checked before a command changes an environment: its values are own ones, error budgets allow a deploy."""

import sys
from collections.abc import Mapping

from infra import example_values
from infra.environment import Environment
from infra.operations.programs import Failed, ProgramError, Programs

LONGEST = 600.0  # seconds
ASKED = ("-m", "monitoring.review", "budget")
CALLERS = "--callers"  # only the promises to callers: a late job's budget must not hold up what mends it


def check_own_values(env: Environment, environ: Mapping[str, str]) -> None:
    """Raise Failed while `env` holds values that only stand for the adopter's own."""
    try:
        example_values.refuse([env], environ, images=False)
    except example_values.ExampleValuesError as error:
        raise Failed(str(error), error.remedy) from error


def check_budgets(env: Environment, programs: Programs, in_spite: str) -> None:
    """Raise Failed where the environment freezes deploys and a budget is spent, or nobody can say.

    `in_spite` is the reason to deploy nevertheless.
    """
    if env.budget_spent != "freeze":
        return
    if in_spite:
        programs.say(f"error budgets are not asked for: {in_spite}")
        return
    try:
        programs.run(sys.executable, *ASKED, env.id, CALLERS, "--prometheus", "google", seconds=LONGEST)
    except ProgramError as error:
        raise Failed(
            f"{env.id} deploys nothing while an error budget is spent (budget_spent in infra/environments.py): "
            f"{error.output.strip()}",
            f"scripts/alerts budget {env.id} --prometheus google shows what is left; deploy what mends it with "
            "--in-spite-of-budget 'REASON', as where Cloud Monitoring has nothing to say yet",
        ) from error
