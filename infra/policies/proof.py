"""`python -m infra.policies.proof`: each named risk, brought into our own stacks, is refused.

A risk is one argument of one resource as cdktf writes it, which is one line of a stack. All are brought in together
and planned by real Terraform; each must be refused by the policy that stands against it, at the resource that has it.
"""

import copy
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from infra.environments import PROD
from infra.policies.check import Failure, check
from infra.policies.risks import RISKS, Risk
from infra.rehearsal import terraform
from infra.rehearsal.rehearse import rehearse_change
from infra.rehearsal.synthesis import Stack
from infra.rehearsal.terraform import Terraform
from infra.synthesize import synthesize


class ProofError(Exception):
    """A risk cannot be brought in as it is described: the stack has changed."""


def bring_in(stacks: Iterable[Stack], risks: Sequence[Risk]) -> list[Stack]:
    """The stacks with these risks in them. Raises ProofError."""
    stacks = [Stack(stack.name, copy.deepcopy(stack.config), stack.needs) for stack in stacks]
    configs = {stack.name.partition("-")[2]: stack.config for stack in stacks}
    for risk in risks:
        if risk.stack not in configs:
            raise ProofError(f"{risk.name}: there is no stack {risk.stack}")
        type_name, _, name = risk.address.partition(".")
        place: Any = configs[risk.stack].setdefault("resource", {}).setdefault(type_name, {})
        steps: list[str | int] = [name, *_steps(risk.argument)]
        try:
            for step in steps[:-1]:
                place = place[step]
        except (KeyError, IndexError, TypeError) as error:
            raise ProofError(f"{risk.name}: nothing at {risk.address} {risk.argument}") from error
        if isinstance(place, dict) and place.get(steps[-1]) == risk.value:
            raise ProofError(f"{risk.name}: {risk.address} is so already")
        place[steps[-1]] = risk.value
    return stacks


def prove(stacks: Sequence[Stack], risks: Sequence[Risk], engine: Terraform) -> list[tuple[Risk, list[Failure]]]:
    """Each risk with the refusals of it. Raises ProofError, StackError, ScannerError."""
    environment = stacks[0].name.partition("-")[0]
    planned = rehearse_change((), bring_in(stacks, risks), engine)
    with tempfile.TemporaryDirectory() as name:
        for each in planned:
            (Path(name) / f"{each.stack}.json").write_text(json.dumps(each.plan))
        failures = check(Path(name), environment).failures

    def refusals(risk: Risk) -> list[Failure]:
        where = f"{risk.stack}/{risk.at or risk.address}"
        return [failure for failure in failures if (failure.check, failure.resource) == (risk.refused_by, where)]

    return [(risk, refusals(risk)) for risk in risks]


def table(proven: Iterable[tuple[Risk, list[Failure]]]) -> str:
    """What was brought in and what refused it, as Markdown."""
    rows = [
        f"| {risk.name} | `{risk.address}` | `{risk.line}` | {risk.refused_by} | "
        f"{refusals[0].says if refusals else '**NOT REFUSED**'} |"
        for risk, refusals in proven
    ]
    head = ["| risk | brought into | the line | refused by | it says |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *rows])


def _steps(argument: str) -> list[str | int]:
    return [int(step) if step.isdigit() else step for step in argument.split(".")] if argument else []


def main() -> int:
    """Print the table for PROD; 1 when a risk is not refused."""
    proven = prove(synthesize(PROD), RISKS, terraform.find())
    refused = sum(bool(refusals) for _, refusals in proven)
    print(table(proven))
    print(f"\n{refused} of {len(proven)} risks refused")
    return 0 if refused == len(proven) else 1


if __name__ == "__main__":
    sys.exit(main())
