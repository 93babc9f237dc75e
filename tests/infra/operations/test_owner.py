"""What the project's owner is asked to run."""

import shlex

import pytest

from infra.components import kms_keys
from infra.environments import DEV, PROD
from infra.operations import bootstrap, ci, owner
from tests.infra.conftest import SPARK


def lines(env_commands: list[str]) -> list[list[str]]:
    return [shlex.split(line) for line in env_commands if not line.startswith("#")]


def test_every_command_is_one_of_gclouds_and_names_the_project_or_the_billing_account() -> None:
    for words in lines(owner.commands(PROD)):
        assert words[0] == "gcloud"
        assert PROD.project in words or PROD.billing_account in words


def test_every_account_that_encrypts_is_made_before_it_is_granted_a_key() -> None:
    agents = {agent for users in kms_keys.agents(SPARK).values() for agent in users}
    assert agents - {"gs-project-accounts", "compute-system"} == set(owner.SERVICES)
    made = [words[words.index("--service") + 1] for words in lines(owner.commands(SPARK)) if "--service" in words]
    assert sorted(made) == sorted(owner.SERVICES.values())


def test_without_keys_of_our_own_only_the_cluster_needs_its_account() -> None:
    made = [words for words in lines(owner.commands(DEV)) if "--service" in words]
    assert [words[words.index("--service") + 1] for words in made] == ["container.googleapis.com"]


def test_the_deployer_gets_each_role_once_and_none_that_holds_all_others() -> None:
    assert len(owner.DEPLOYER) == len(set(owner.DEPLOYER))
    assert not {"roles/owner", "roles/editor"} & set(owner.DEPLOYER)
    granted = [words[words.index("--role") + 1] for words in lines(owner.commands(DEV)) if "--role" in words]
    assert granted == [*owner.DEPLOYER, *owner.BILLING.values()]


def test_on_the_billing_account_the_deployer_makes_the_budget_and_the_planner_reads_it() -> None:
    granted = {
        words[words.index("--member") + 1]: words[words.index("--role") + 1]
        for words in lines(owner.commands(PROD))
        if words[:4] == ["gcloud", "billing", "accounts", "add-iam-policy-binding"]
    }
    accounts = {ci.identity(PROD, name)["account"]: name for name in ci.ACCOUNTS}
    assert {accounts[member.removeprefix("serviceAccount:")]: role for member, role in granted.items()} == {
        "deployer": "roles/billing.costsManager",
        "planner": "roles/billing.viewer",
    }


def test_the_apis_that_terraform_needs_to_turn_on_all_others_are_on_before() -> None:
    (enabled,) = (words for words in lines(owner.commands(DEV)) if words[1:3] == ["services", "enable"])
    assert {"cloudresourcemanager.googleapis.com", "serviceusage.googleapis.com"} <= set(enabled)


def test_the_roles_cover_what_bootstrap_asks_a_deployer_for() -> None:
    services = {permission.split(".")[0] for permission in bootstrap.PERMISSIONS}
    named = {role.removeprefix("roles/").split(".")[0] for role in owner.DEPLOYER}
    assert services <= named


def test_bootstrap_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["dev", "--owner"]) == 0
    assert capsys.readouterr().out.splitlines() == owner.commands(DEV)
