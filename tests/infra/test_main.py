import json
from pathlib import Path

from infra.environments import ENVIRONMENTS
from tests.infra.conftest import Stacks


def test_every_environment_has_the_same_stacks_in_the_same_order(stacks: Stacks) -> None:
    orders = {tuple(stack.name.removeprefix(f"{env}-") for stack in stacks(env)) for env in ENVIRONMENTS}
    assert len(orders) == 1


def test_what_a_stack_needs_is_deployed_before_it(stacks: Stacks) -> None:
    needs = {stack.name: {need.removeprefix("prod-") for need in stack.needs} for stack in stacks("prod")}
    assert needs == {
        "prod-foundation": set(),
        "prod-network": {"foundation"},
        "prod-cluster": {"foundation", "network"},
        "prod-storage": {"foundation"},
        "prod-serving": {"foundation", "cluster", "storage", "lifecycle"},
        "prod-edge": {"foundation", "serving"},
        "prod-database": {"foundation", "network"},
        "prod-tracking": {"foundation", "network", "storage", "database"},
        "prod-lifecycle": {"foundation", "network", "tracking"},
        "prod-alerting": {"edge"},
        "prod-delivery": {"foundation"},
    }


def test_every_stack_keeps_its_state_in_its_environments_own_bucket(stacks: Stacks) -> None:
    for env in ENVIRONMENTS.values():
        for stack in stacks(env.id):
            backend = {"gcs": {"bucket": f"{env.prefix}-{env.id}-state", "prefix": stack.name}}
            assert stack.config["terraform"]["backend"] == backend


def test_every_stack_works_in_its_environments_own_project(stacks: Stacks) -> None:
    for env in ENVIRONMENTS.values():
        for stack in stacks(env.id):
            (provider,) = stack.config["provider"]["google"]
            assert (provider["project"], provider["region"]) == (env.project, env.region)
            assert provider["default_labels"] == {"environment": env.id, "managed_by": "terraform"}


def test_no_dependency_on_another_stacks_resource_is_written_as_depends_on(stacks: Stacks) -> None:
    # Such a reference synthesizes, and fails only when Terraform reads it.
    for stack in stacks("prod"):
        for resources in stack.config["resource"].values():
            for resource in resources.values():
                for dependency in resource.get("depends_on", []):
                    type_name, name = dependency.split(".")
                    assert name in stack.config["resource"][type_name]


def test_cdktf_is_told_to_run_the_same_program() -> None:
    settings = json.loads((Path(__file__).parents[2] / "cdktf.json").read_text())
    assert settings["app"].endswith("python -m infra.main")
