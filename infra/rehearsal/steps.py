"""What is done to a stack, step by step, and what comes of it: a plan, or an error that says where."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from infra.rehearsal.masking import Plan
from infra.rehearsal.terraform import TerraformError

Step = Callable[[str, str, float], object]  # told of each step done: stack, step, seconds


@dataclass(frozen=True, slots=True)
class Planned:
    """A stack's plan, secrets masked."""

    stack: str
    plan: Plan


class StackError(Exception):
    """A stack failed: which, while doing what, and what Terraform said."""

    def __init__(self, stack: str, doing: str, said: str) -> None:
        super().__init__(f"{stack}: {doing} failed\n{said}")
        self.stack, self.doing, self.said = stack, doing, said


def silent(_stack: str, _doing: str, _seconds: float) -> None:
    """Tells nobody of a step."""


@contextmanager
def doing(stack: str, what: str, step: Step) -> Iterator[None]:
    """Time a step and tell of it; a TerraformError in it becomes a StackError."""
    start = time.monotonic()
    try:
        yield
    except TerraformError as error:
        raise StackError(stack, what, error.said) from error
    step(stack, what, time.monotonic() - start)
