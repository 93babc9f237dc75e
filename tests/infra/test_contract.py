"""What the stacks expect of each other, read in what they synthesize to; rehearsals prove it by applying them."""

import json
import re

import pytest

from infra.environments import ENVIRONMENTS
from infra.rehearsal.synthesis import Stack
from tests.infra.conftest import Stacks

STATE_OUTPUT = re.compile(r"data\.terraform_remote_state\.([\w-]+)\.outputs\.([\w-]+)")


def reads(stack: Stack) -> set[tuple[str, str]]:
    """The outputs of other states that a stack reads: where the state lies, and the output's name."""
    states = stack.config.get("data", {}).get("terraform_remote_state", {})
    return {
        (states[name]["config"]["prefix"], output) for name, output in STATE_OUTPUT.findall(json.dumps(stack.config))
    }


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_output_that_a_stack_reads_is_one_of_a_stack_that_it_needs(stacks: Stacks, env: str) -> None:
    by_name = {stack.name: stack for stack in stacks(env)}
    read = [(stack, other, output) for stack in stacks(env) for other, output in reads(stack)]
    assert read
    for stack, other, output in read:
        assert other in stack.needs, f"{stack.name} reads {other} without needing it"
        assert output in by_name[other].config.get("output", {}), f"{stack.name} reads {output} of {other}"


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_output_crosses_stacks_that_nobody_reads(stacks: Stacks, env: str) -> None:
    read = {pair for stack in stacks(env) for pair in reads(stack)}
    made = {
        (stack.name, output)
        for stack in stacks(env)
        for output in stack.config.get("output", {})
        if output.startswith("cross-stack-output")
    }
    assert made == read


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_order_of_deployment_puts_every_stack_after_what_it_needs(stacks: Stacks, env: str) -> None:
    names = [stack.name for stack in stacks(env)]
    assert len(set(names)) == len(names)
    for stack in stacks(env):
        assert all(names.index(needed) < names.index(stack.name) for needed in stack.needs)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_stack_depends_on_a_resource_of_another(stacks: Stacks, env: str) -> None:
    for stack in stacks(env):
        known = {
            f"{kind}{type_name}.{name}"
            for kind, section in (("", "resource"), ("data.", "data"))
            for type_name, resources in stack.config.get(section, {}).items()
            for name in resources
        }
        for resources in stack.config.get("resource", {}).values():
            for resource in resources.values():
                assert set(resource.get("depends_on", [])) <= known
