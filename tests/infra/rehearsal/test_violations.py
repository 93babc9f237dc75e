"""Changes of one line in our own stacks that the provider's code refuses, as real Terraform reports them."""

import copy
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.steps import StackError
from infra.rehearsal.terraform import Terraform
from tests.facts import states
from tests.infra.conftest import Once, Stacks, stack

TAKEN_OUT = object()
OF_THE_STACK = {"depends_on", "dynamic", "lifecycle", "provider", "//"}


def violations() -> Iterator[tuple[str, str, Any]]:
    """A type, an argument, and the value that is given to it."""
    for type_name, changes in tomllib.loads(Path(__file__).with_name("violations.toml").read_text()).items():
        for path, value in changes.items():
            if path == "taken_out":
                yield from ((type_name, taken, TAKEN_OUT) for taken in value)
            else:
                yield type_name, path, value


VIOLATIONS = list(violations())
IDS = [f"{type_name} {path}{' taken out' if value is TAKEN_OUT else ''}" for type_name, path, value in VIOLATIONS]


def change(resource: Any, path: str, value: Any) -> None:
    """Give an argument of a resource a value; of several blocks, in the first."""
    step, _, below = path.partition(".")
    if below:
        inner = resource.setdefault(step, {})
        change(inner[0] if isinstance(inner, list) else inner, below, value)
    elif value is TAKEN_OUT:
        del resource[step]
    else:
        resource[step] = value


def alone(value: Any) -> Any:
    """A resource without what belongs to its stack; a text stands for what it reads of others."""
    if isinstance(value, dict):
        return {key: alone(inner) for key, inner in value.items() if key not in OF_THE_STACK}
    if isinstance(value, list):
        return [alone(inner) for inner in value]
    return "of-another" if isinstance(value, str) and "${" in value else value


@pytest.fixture(scope="session")
def refusals(stacks: Stacks, engine: Terraform, once: Once) -> dict[str, str]:
    """What one `terraform validate` says of all violations at once, by the address of the broken resource."""

    def validate() -> dict[str, str]:
        first: dict[str, Any] = {}
        for each in stacks("prod"):
            for type_name, resources in each.config["resource"].items():
                first.setdefault(type_name, alone(next(iter(resources.values()))))
        broken: dict[str, dict[str, Any]] = {}
        for number, (type_name, path, value) in enumerate(VIOLATIONS):
            resource = copy.deepcopy(first[type_name])
            change(resource, path, value)
            broken.setdefault(type_name, {})[f"broken-{number}"] = resource
        with pytest.raises(StackError) as failed:
            rehearse([stack(resource=broken)], engine)
        assert failed.value.doing == "validate"
        said: dict[str, str] = {}
        for error in re.split(r"^Error: ", failed.value.said, flags=re.MULTILINE):
            text = " ".join(error.split())
            if found := re.search(r"^(.*) with (\w+\.broken-\d+)", text):
                said[found[2]] = said.get(found[2], "") + found[1]
        return said

    return once("violations", validate)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("number", "violation"), list(enumerate(VIOLATIONS)), ids=IDS)
def test_a_change_of_one_line_is_refused_by_the_arguments_name(
    number: int, violation: tuple[str, str, Any], refusals: dict[str, str]
) -> None:
    type_name, path, _ = violation
    states(refusals[f"{type_name}.broken-{number}"], path)
