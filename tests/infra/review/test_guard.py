"""The destroy guard, on what real Terraform plans."""

import copy
from typing import Any

import pytest

from infra.environments import ENVIRONMENTS
from infra.rehearsal import rehearse
from infra.rehearsal.protections import SWITCHES
from infra.rehearsal.stateful import STATEFUL
from infra.rehearsal.steps import StackError, silent
from infra.rehearsal.synthesis import Stack
from infra.rehearsal.terraform import Terraform
from infra.review import guard
from tests.facts import states, stating
from tests.infra.conftest import Stacks, stack

BUCKET, DATABASE, ACCOUNT = "google_storage_bucket", "google_sql_database_instance", "google_service_account"
SETTINGS = {
    "tier": "db-f1-micro",
    "disk_size": 10,
    "disk_autoresize": False,
    "deletion_protection_enabled": True,
}

BASE = stack(
    name="s",
    resource={
        BUCKET: {"b": {"name": "b", "location": "EU", "lifecycle": {"prevent_destroy": True}}},
        DATABASE: {
            "d": {
                "name": "d",
                "database_version": "POSTGRES_17",
                "deletion_protection": True,
                "settings": SETTINGS,
                "lifecycle": {"prevent_destroy": True},
            }
        },
        ACCOUNT: {"a": {"account_id": "some-account"}},
    },
)


def head(type_name: str, name: str, **values: Any) -> Stack:
    """The base with other values of one resource, or without it when there are none."""
    changed: Stack = copy.deepcopy(BASE)
    if values:
        changed.config["resource"][type_name][name] |= values
    else:
        del changed.config["resource"][type_name]
    return changed


@pytest.mark.parametrize(
    ("type_name", "values", "facts"),
    [
        (BUCKET, {}, [["destroyed"]]),
        (BUCKET, {"location": "US"}, [["would be replaced", "location"]]),
        (BUCKET, {"storage_class": "NEARLINE"}, []),
        (DATABASE, {"settings": SETTINGS | {"time_zone": "UTC"}}, []),
        (DATABASE, {"settings": SETTINGS | {"tier": "db-custom-2-7680"}}, []),
        (DATABASE, {"settings": SETTINGS | {"disk_size": 20}}, []),
        (DATABASE, {"settings": SETTINGS | {"disk_size": 5}}, [["would be replaced", "settings"]]),
        (
            DATABASE,
            {"settings": SETTINGS | {"deletion_protection_enabled": False}},
            [["protection", "settings.deletion_protection_enabled"]],
        ),
        (DATABASE, {"deletion_protection": False}, [["protection", "deletion_protection"]]),
        (ACCOUNT, {}, []),
        (ACCOUNT, {"account_id": "another"}, []),
    ],
)
def test_what_a_change_would_do_to_a_stateful_resource_is_found(
    type_name: str, values: dict[str, Any], facts: list[list[str]], engine: Terraform
) -> None:
    name = {BUCKET: "b", DATABASE: "d", ACCOUNT: "a"}[type_name]
    planned = rehearse.rehearse_change([BASE], [head(type_name, name, **values)], engine)
    found = guard.findings(planned)
    for finding, each in zip(found, facts, strict=True):
        states(finding.says, *each)
    assert all(finding.name == f"s/{type_name}.{name}" for finding in found)


def test_a_stack_that_is_gone_would_take_what_it_holds_with_it(engine: Terraform) -> None:
    (planned,) = rehearse.rehearse_change([BASE], [], engine)
    assert {finding.name for finding in guard.findings([planned])} == {f"s/{BUCKET}.b", f"s/{DATABASE}.d"}


def test_what_terraform_would_only_forget_is_found_too(engine: Terraform) -> None:
    forgotten = head(BUCKET, "b")
    forgotten.config["removed"] = [{"from": f"{BUCKET}.b", "lifecycle": {"destroy": False}}]
    (finding,) = guard.findings(rehearse.rehearse_change([BASE], [forgotten], engine))
    states(finding.says, "forgotten")


def test_a_new_stack_and_an_unchanged_one_lose_nothing(engine: Terraform) -> None:
    assert guard.findings(rehearse.rehearse_change([], [BASE], engine)) == []
    assert guard.findings(rehearse.rehearse_change([BASE], [BASE], engine)) == []


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_stateful_resource_is_protected_by_terraform_and_by_the_provider(stacks: Stacks, env: str) -> None:
    assert guard.unprotected(stacks(env)) == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"lifecycle": {}}, "has no prevent_destroy"),
        ({"deletion_protection": None}, "does not set deletion_protection"),
        ({"deletion_protection": False}, "does not set deletion_protection"),
        (
            {"settings": SETTINGS | {"deletion_protection_enabled": False}},
            "does not set settings.deletion_protection_enabled",
        ),
    ],
)
def test_a_protection_that_is_taken_out_is_found(values: dict[str, Any], says: str) -> None:
    assert guard.unprotected([BASE]) == []
    assert guard.unprotected([head(DATABASE, "d", **values)]) == [guard.Finding(f"s/{DATABASE}.d", says)]


def bare_apply(base: Stack, change: Stack, engine: Terraform) -> None:
    """What a deploy without any guard runs: apply, and later apply again."""
    with rehearse._stage((base, change), engine, None, silent, print) as run:
        run(base).deploy()
        run(change).deploy()


def test_terraform_refuses_to_replace_what_is_protected(engine: Terraform) -> None:
    with pytest.raises(StackError, match="Instance cannot be destroyed"):
        bare_apply(BASE, head(BUCKET, "b", location="US"), engine)


def test_the_provider_refuses_to_delete_what_the_code_no_longer_mentions(engine: Terraform) -> None:
    # With the resource its prevent_destroy is gone from the code; the provider's protection is in the state.
    with pytest.raises(StackError, match="without setting deletion_protection=false"):
        bare_apply(BASE, head(DATABASE, "d"), engine)


@pytest.mark.slow
def test_our_cluster_and_our_database_refuse_to_go_with_the_code_that_made_them(
    stacks: Stacks, engine: Terraform
) -> None:
    def emptied(each: Stack) -> Stack:
        """The stack as a bare destroy sees it: nothing is left of the code but the protections in the state."""
        left = {k: v for k, v in each.config.items() if k not in ("resource", "data", "output")}
        return Stack(each.name, left, each.needs)

    holding = [
        each
        for each in stacks("prod")
        if STATEFUL & {switch.type for switch in SWITCHES} & each.config["resource"].keys()
    ]
    assert {each.name for each in holding} == {"prod-cluster", "prod-database", "prod-foundation"}
    with rehearse._stage(stacks("prod"), engine, None, silent, print) as run:
        for each in stacks("prod"):
            run(each).deploy()
        for each in holding:
            with pytest.raises(StackError, match=r"cannot (destroy|delete)|deletion_protection"):
                run(emptied(each)).deploy()


def test_an_override_names_what_it_allows_and_says_why() -> None:
    found = [guard.Finding("s/a.a", "would be destroyed"), guard.Finding("s/b.b", "would be destroyed")]
    allowed = guard.overrides(["s/a.a=copied elsewhere"])
    assert allowed == {"s/a.a": "copied elsewhere"}
    assert guard.refused(found, allowed) == [found[1]]
    assert guard.refused(found, {}) == found


@pytest.mark.parametrize("text", ["s/a.a", "s/a.a=", "s/a.a=because", "a.a=copied elsewhere", "=copied elsewhere"])
def test_an_override_without_a_name_or_a_reason_is_none(text: str) -> None:
    with pytest.raises(guard.OverrideError, match="STACK/ADDRESS=REASON"):
        guard.overrides([text])


def test_an_override_for_nothing_is_refused() -> None:
    with pytest.raises(guard.OverrideError, match=stating("no override", "s/b.b")):
        guard.refused([guard.Finding("s/a.a", "would be destroyed")], {"s/b.b": "copied elsewhere"})
