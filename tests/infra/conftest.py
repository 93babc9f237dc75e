"""What the tests of the infrastructure share: synthesized stacks, rehearsals of them, a way to break them."""

import copy
import fcntl
import json
import os
import pickle
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.environment import Environment
from infra.environments import ENVIRONMENTS, STAGING
from infra.rehearsal import terraform
from infra.rehearsal.masking import Plan
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.steps import Planned
from infra.rehearsal.synthesis import Stack
from infra.synthesize import synthesize

Stacks = Callable[[str], tuple[Stack, ...]]
Plans = Callable[[str], dict[str, Plan]]
Once = Callable[[str, Callable[[], Any]], Any]
# No environment of this repository has the volume for Spark.
SPARK = Environment(**{**STAGING.model_dump(), "id": "spark", "record_engine": "spark", "spark_cidr": "10.11.48.0/22"})
PLANTED_KEY = "planted0f1e2d3c4b5a69788796a5b4c3d2e1f0"


@pytest.fixture(scope="session")
def engine() -> terraform.Terraform:
    return terraform.find()


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """What is made under a name by one of the processes that share this run, and read by the others."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    folder = tmp_path_factory.getbasetemp().parent

    def made(name: str, make: Callable[[], Any]) -> Any:
        if run is None:
            return make()
        file = folder / f"{name}.pickle"
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                file.write_bytes(pickle.dumps(make()))
            return pickle.loads(file.read_bytes())

    return made


@pytest.fixture(scope="session")
def stacks(once: Once) -> Stacks:
    """The synthesized stacks of an environment, or of SPARK."""
    known = ENVIRONMENTS | {SPARK.id: SPARK}
    return cache(lambda env: once(f"stacks-{env}", lambda: synthesize(known[env])))


@dataclass
class Rehearsal:
    """A rehearsal of an environment with a PagerDuty key planted in it: what came of it, and what was seen meanwhile.

    `states`, `locks` and `providers` are names of files that were there after any step, `with_key` of those that held
    the key when alerting was applied, and `left` of what was there at the end.
    """

    planned: list[Planned] = field(default_factory=list)
    steps: list[tuple[str, str]] = field(default_factory=list)
    states: set[str] = field(default_factory=set)
    locks: set[str] = field(default_factory=set)
    providers: set[str] = field(default_factory=set)
    with_key: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def rehearsal(stacks: Stacks, engine: terraform.Terraform, once: Once) -> Callable[[str], Rehearsal]:
    """The rehearsal of an environment, which takes long: once for all tests."""

    def make(env: str) -> Rehearsal:
        seen, made = Rehearsal(), stacks(env)  # jsii keeps a folder until the process ends
        with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
            folder = Path(name)
            patch.setattr(tempfile, "tempdir", name)

            def look(stack: str, doing: str, _seconds: float) -> None:
                seen.steps.append((stack, doing))
                seen.states.update(file.name for file in folder.rglob("*.tfstate"))
                seen.locks.update(file.name for file in folder.rglob(".terraform.lock.hcl"))
                seen.providers.update(file.name for file in folder.rglob("terraform-provider-*"))
                if (stack, doing) == (f"{env}-alerting", "apply"):
                    files = [file for file in folder.rglob("*") if file.is_file()]
                    seen.with_key += [file.name for file in files if PLANTED_KEY in file.read_text("latin1")]

            seen.planned = rehearse(made, engine, variables={"pagerduty_key": PLANTED_KEY}, step=look)
            seen.left = [file.name for file in folder.iterdir()]
        return seen

    return cache(lambda env: once(f"rehearsal-{env}", lambda: make(env)))


@pytest.fixture(scope="session")
def rehearsed(rehearsal: Callable[[str], Rehearsal]) -> Callable[[str], list[Planned]]:
    """What a rehearsal of an environment gives, with a PagerDuty key planted in it."""
    return lambda env: rehearsal(env).planned


@pytest.fixture(scope="session")
def plans(rehearsed: Callable[[str], list[Planned]]) -> Plans:
    """The plans of an environment by the stack's name without the environment: foundation, storage, ..."""
    return cache(lambda env: {p.stack.removeprefix(f"{env}-"): p.plan for p in rehearsed(env)})


def planned(plan: Plan, type_name: str) -> dict[str, dict[str, Any]]:
    """The planned values of every resource of a type by its name within the stack."""
    return {
        resource["name"]: resource["change"]["after"]
        for resource in plan["resource_changes"]
        if resource["type"] == type_name
    }


def alone(whole: Stack, type_name: str) -> Stack:
    """A stack with only the resources of one type; a text stands for what they read from other stacks."""
    text = re.sub(r"\$\{data\.terraform_remote_state\.[^}]*\}", "of-another-stack", json.dumps(whole.config))
    return stack(name=whole.name, resource={type_name: json.loads(text)["resource"][type_name]})


def stack(*, needs: tuple[str, ...] = (), name: str = "broken", **config: Any) -> Stack:
    """A stack of one's own with the google provider and a remote state; `config` is the rest of its JSON."""
    return Stack(
        name,
        copy.deepcopy(
            {
                "terraform": {
                    "required_providers": {"google": {"source": "google", "version": "6.50.0"}},
                    "backend": {"gcs": {"bucket": "states", "prefix": name}},
                },
                "provider": {"google": [{"project": "some-project", "region": "europe-west1"}]},
                **config,
            }
        ),
        needs,
    )
