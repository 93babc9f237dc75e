from typing import Any

import pytest

from infra.rehearsal import argument_conflicts, schema_cache
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.schema import attributes, blocks
from infra.rehearsal.steps import StackError
from infra.rehearsal.terraform import Terraform
from tests.infra.conftest import stack

# An argument as Terraform takes it, for each that Autopilot refuses.
GIVEN: dict[str, Any] = {
    "addons_config.dns_cache_config": {"enabled": True},
    "addons_config.network_policy_config": {"disabled": False},
    "addons_config.stateful_ha_config": {"enabled": True},
    "binary_authorization.enabled": True,
    "cluster_autoscaling.enabled": False,
    "cluster_autoscaling.resource_limits": {"resource_type": "cpu", "maximum": 8},
    "default_max_pods_per_node": 32,
    "enable_intranode_visibility": False,
    "enable_shielded_nodes": True,
    "network_policy": {"enabled": True},
    "node_pool": {"node_count": 1},
    "remove_default_node_pool": True,
}


def cluster(path: str, value: Any, **others: Any) -> dict[str, Any]:
    for step in reversed(path.split(".")):
        value = {step: value}
    return {"google_container_cluster": {"c": {"name": "c", **others, **value}}}


@pytest.mark.parametrize("path", argument_conflicts.AUTOPILOT)
def test_what_autopilot_refuses_is_refused_by_name_whatever_its_value(path: str, engine: Terraform) -> None:
    with pytest.raises(StackError) as failed:
        rehearse([stack(resource=cluster(path, GIVEN[path], enable_autopilot=True))], engine)
    said = " ".join(failed.value.said.replace("│", " ").split())
    assert failed.value.doing == "validate"
    assert f'Conflicting configuration arguments: "{path}": conflicts with enable_autopilot' in said


def test_what_autopilot_refuses_a_standard_cluster_may_have(engine: Terraform) -> None:
    assert rehearse([stack(resource=cluster("enable_shielded_nodes", True, enable_l4_ilb_subsetting=True))], engine)


def test_what_autopilot_accepts_is_not_refused() -> None:
    accepted = {
        "enable_autopilot": True,
        "binary_authorization": [{"enabled": None, "evaluation_mode": "PROJECT_SINGLETON_POLICY_ENFORCE"}],
        "cluster_autoscaling": [{"enabled": None, "resource_limits": [], "auto_provisioning_defaults": [{}]}],
        "addons_config": [{"dns_cache_config": [], "gke_backup_agent_config": [{"enabled": True}]}],
        "node_pool": [],
    }
    assert list(argument_conflicts.refused("google_container_cluster", accepted)) == []


def test_every_refusal_names_arguments_that_the_provider_has() -> None:
    schema = schema_cache.load("registry.terraform.io/hashicorp/google")
    for type_name, conflicts in argument_conflicts.CONFLICTS.items():
        block = schema.resources[type_name]
        known = {".".join(path) for path, _ in [*attributes(block), *blocks(block)]}
        assert {argument for conflict in conflicts for argument in conflict} <= known
