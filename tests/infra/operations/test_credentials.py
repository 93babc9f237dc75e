"""Whose credentials Terraform finds, and with which environment each command starts it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google.auth
import pytest
from google.auth.exceptions import DefaultCredentialsError

from infra import example_values
from infra.environments import DEV
from infra.operations import bootstrap, credentials, deploy, destroy, drift, plan
from tests.infra.conftest import Stacks
from tests.infra.doubles.workplace import Cloud

PERSON = json.dumps({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"})
WORKFORCE = json.dumps({"type": "external_account_authorized_user"})
# What google-github-actions/auth writes, with or without a service account, and a key of one.
FEDERATED = json.dumps({"type": "external_account", "audience": "//iam.googleapis.com/projects/1/..."})
ACCOUNT = json.dumps({"type": "service_account"})
IMPERSONATED = json.dumps({"type": "impersonated_service_account", "source_credentials": json.loads(PERSON)})

QUOTA = {"USER_PROJECT_OVERRIDE": "true", "GOOGLE_BILLING_PROJECT": "p"}


def given(environ: dict[str, str]) -> dict[str, str]:
    """The variables of the quota project in the environment of a Terraform."""
    return {name: value for name, value in credentials.unattended(environ, "p").items() if name in QUOTA}


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    def made(text: str) -> str:
        (tmp_path / "key.json").write_text(text)
        return str(tmp_path / "key.json")

    return made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of somebody who has logged in: gcloud auth application-default login."""
    login = tmp_path / "home" / ".config" / "gcloud" / "application_default_credentials.json"
    login.parent.mkdir(parents=True)
    login.write_text(PERSON)
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PERSON, QUOTA),
        (WORKFORCE, QUOTA),
        (FEDERATED, {}),
        (ACCOUNT, {}),
        (IMPERSONATED, {}),
        ("[]", {}),
        ("no JSON", {}),
    ],
)
@pytest.mark.parametrize("name", ["GOOGLE_APPLICATION_CREDENTIALS", *credentials.KEYS])
def test_only_a_persons_credentials_get_a_quota_project(
    name: str, text: str, expected: dict[str, str], file: Callable[[str], str], home: Path
) -> None:
    assert given({"HOME": str(home), name: file(text)}) == expected


def test_a_login_is_found_where_gcloud_leaves_it(home: Path, tmp_path: Path) -> None:
    assert given({"HOME": str(home)}) == QUOTA
    assert given({"HOME": str(tmp_path / "of-nobody")}) == {}


def test_a_key_may_be_given_as_json_and_goes_before_the_default_credentials(home: Path) -> None:
    assert given({"HOME": str(home), "GOOGLE_CREDENTIALS": ACCOUNT}) == {}
    assert given({"HOME": "/nowhere", "GOOGLE_CREDENTIALS": PERSON}) == QUOTA


@pytest.mark.parametrize("name", [credentials.TOKEN, credentials.IMPERSONATED])
def test_a_token_and_an_account_that_is_impersonated_go_before_a_login(name: str, home: Path) -> None:
    assert given({"HOME": str(home), name: "given"}) == {}
    assert given({"HOME": str(home), name: ""}) == QUOTA


@pytest.mark.parametrize("name", QUOTA)
def test_what_is_set_already_stays(name: str, home: Path) -> None:
    assert given({"HOME": str(home), name: "mine"}) == QUOTA | {name: "mine"}


TERRAFORM = f"""#!{sys.executable}
import json, os, sys
if "version" in sys.argv:
    print(json.dumps({{"terraform_version": "1.11.4"}}))
else:
    print("not today", file=sys.stderr)
    with open(os.environ["SEEN"], "w") as seen:
        json.dump(dict(os.environ), seen)
    sys.exit(1)
"""
COMMANDS: dict[str, tuple[Any, list[str]]] = {
    "deploy": (deploy, ["dev", "--no-build"]),
    "destroy": (destroy, ["dev"]),
    "drift": (drift, ["dev"]),
    "plan": (plan, ["dev", "--real"]),
}


@pytest.mark.parametrize(("text", "project"), [(PERSON, DEV.project), (FEDERATED, None)])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_gives_terraform_the_quota_project_of_a_person_and_of_nobody_else(
    name: str,
    text: str,
    project: str | None,
    file: Callable[[str], str],
    stacks: Stacks,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, arguments = COMMANDS[name]
    cloud = Cloud(tmp_path / "cloud")
    program = cloud.bin / "terraform"
    program.write_text(TERRAFORM)
    program.chmod(0o755)
    for variable in (*QUOTA, *credentials.KEYS, credentials.TOKEN, credentials.IMPERSONATED):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in cloud.environ().items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", file(text))
    monkeypatch.setenv(example_values.VARIABLE, "allow")
    monkeypatch.setenv("SEEN", str(tmp_path / "seen.json"))
    monkeypatch.setattr(module, "synthesize", lambda env: stacks(env.id))
    monkeypatch.setattr(module, "PLATFORM" if module is plan else "FOLDER", tmp_path / "work")
    assert module.main(arguments) == 1
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen.get("GOOGLE_BILLING_PROJECT") == project
    assert seen.get("USER_PROJECT_OVERRIDE") == (project and "true")
    assert (seen["TF_INPUT"], seen["TF_IN_AUTOMATION"]) == ("0", "1")


@pytest.mark.parametrize(("text", "project"), [(PERSON, DEV.project), (FEDERATED, None)])
def test_bootstrap_asks_with_the_quota_project_of_a_person_and_of_nobody_else(
    text: str, project: str | None, file: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def default(**arguments: Any) -> Any:
        given.update(arguments)
        raise DefaultCredentialsError

    for variable in (*credentials.KEYS, credentials.TOKEN, credentials.IMPERSONATED):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", file(text))
    monkeypatch.setattr(google.auth, "default", default)
    monkeypatch.setenv(example_values.VARIABLE, "allow")
    assert bootstrap.main(["dev"]) == 1
    assert given["quota_project_id"] == project
