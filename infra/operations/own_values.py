"""What every command that asks the cloud checks first: the environment's values are the adopter's own."""

from collections.abc import Mapping

from infra import example_values
from infra.environment import Environment
from infra.operations.programs import Failed


def check(env: Environment, environ: Mapping[str, str]) -> None:
    """Raise Failed while `env` holds values that only stand for the adopter's own."""
    try:
        example_values.refuse([env], environ, images=False)
    except example_values.ExampleValuesError as error:
        raise Failed(str(error), error.remedy) from error
