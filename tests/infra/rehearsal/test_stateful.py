import pytest

from infra.environments import ENVIRONMENTS
from infra.rehearsal.protections import PROTECTED
from infra.rehearsal.replacement import replaces
from infra.rehearsal.rules import RULES
from infra.rehearsal.stateful import STATEFUL
from tests.infra.conftest import Stacks


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_what_carries_prevent_destroy_is_of_a_stateful_type(stacks: Stacks, env: str) -> None:
    kept = {
        type_name
        for each in stacks(env)
        for type_name, resources in each.config.get("resource", {}).items()
        if any(resource.get("lifecycle", {}).get("prevent_destroy") for resource in resources.values())
    }
    assert kept - STATEFUL == set(), (
        "add the type to infra/rehearsal/stateful.py: the guard and the lock know it by that"
    )
    assert {"google_compute_network", "google_compute_subnetwork", "google_service_networking_connection"} <= kept


def test_of_every_stateful_type_the_rules_are_known() -> None:
    assert RULES.keys() >= STATEFUL | PROTECTED


@pytest.mark.parametrize("type_name", sorted(STATEFUL))
def test_a_change_of_what_names_it_replaces_a_stateful_resource(type_name: str) -> None:
    (name, *_) = sorted({"name", "repository_id", "secret_id", "bucket_id", "network"} & set(RULES[type_name].replaces))
    assert replaces(type_name, {name: "a"}, {name: "b"}) == [name]
