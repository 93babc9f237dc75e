"""Values that this repository ships are refused wherever a cloud would be asked."""

import os
import subprocess
import sys
from pathlib import Path

import google.auth
import pytest

from infra import example_values
from infra.environment import Environment
from infra.environments import DEV, ENVIRONMENTS
from infra.example_values import ExampleValuesError, refuse
from infra.main import chosen
from infra.operations import bootstrap, deploy, destroy, drift, plan
from infra.releases import IMAGES
from tests.facts import states

ROOT = Path(__file__).parents[2]
OWN = {
    "project": "northwind-leads-dev",
    "project_number": "480273155901",
    "billing_account": "01AB23-4C5D67-89EF01",
    "ticket_email": "leads@northwind.com",
    "runbooks_url": "https://github.com/northwind/leads/blob/main/monitoring/runbooks",
    "domain": "leads-dev.northwind.com",
    "callers": ("group:sales@northwind.com",),
    "github_repository_id": "730012345",
    "github_owner_id": "9123456",
}


def test_every_value_that_an_adopter_must_set_is_named_and_their_own_are_not() -> None:
    assert {value.partition(" = ")[0] for value in example_values.of(DEV)} == OWN.keys()
    assert example_values.of(Environment(**{**DEV.model_dump(), **OWN})) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", "test"), ("github_environment", "test"), ("github_branch", "feature/test"), ("prefix", "example")],
)
def test_a_word_that_is_reserved_as_a_domain_may_be_a_name(field: str, value: str) -> None:
    assert example_values.of(Environment(**{**DEV.model_dump(), **OWN, field: value})) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("domain", "leads.northwind.test"),
        ("domain", "example.com"),
        ("ticket_email", "leads@mail.example.org"),
        ("callers", ("group:sales@northwind.invalid",)),
        ("runbooks_url", "https://git.northwind.example/runbooks"),
    ],
)
def test_a_domain_that_nobody_can_register_is_refused(field: str, value: object) -> None:
    (found,) = example_values.of(Environment(**{**DEV.model_dump(), **OWN, field: value}))
    assert found.startswith(f"{field} = ")


@pytest.mark.parametrize("field", OWN)
def test_one_value_that_is_left_is_refused_by_its_name(field: str) -> None:
    env = Environment(**{**DEV.model_dump(), **OWN, field: getattr(DEV, field)})
    with pytest.raises(ExampleValuesError) as refused:
        refuse([env], {}, images=False)
    states(str(refused.value), "infra/environments.py", f"dev: {field}")


def test_a_digest_of_nothing_is_refused_where_whole_environments_are_written() -> None:
    env = Environment(**{**DEV.model_dump(), **OWN})
    refuse([env], {}, images=False)
    with pytest.raises(ExampleValuesError) as refused:
        refuse([env], {}, images=True)
    for image in IMAGES:
        states(str(refused.value).splitlines(), "infra/releases.toml", "[dev]", image)


@pytest.mark.parametrize("value", ["", "yes", "1"])
def test_only_one_word_lets_them_pass(value: str) -> None:
    with pytest.raises(ExampleValuesError):
        refuse([DEV], {example_values.VARIABLE: value}, images=True)
    refuse([DEV], {example_values.VARIABLE: "allow"}, images=True)


def test_cdktf_s_app_refuses_them_and_writes_nothing(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LEADSCORING_")}
    done = subprocess.run(
        [sys.executable, "-m", "infra.main"],
        cwd=ROOT,
        env=environ | {"CDKTF_OUTDIR": str(tmp_path / "out"), "LEADSCORING_ENV": "dev"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    states(done.stderr, "dev: project_number = 111111111111", "[dev]", "scoring")
    assert "prod" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_one_environment_is_chosen_by_argument_or_by_variable_and_all_are_taken_without_either() -> None:
    allow = {example_values.VARIABLE: "allow"}
    assert chosen(["prod"], allow | {"LEADSCORING_ENV": "dev"}) == ["prod"]
    assert chosen([], allow | {"LEADSCORING_ENV": "dev"}) == ["dev"]
    assert chosen([], allow) == list(ENVIRONMENTS)
    with pytest.raises(SystemExit, match="nowhere"):
        chosen([], allow | {"LEADSCORING_ENV": "nowhere"})


def test_commands_that_ask_the_cloud_refuse_them_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(example_values.VARIABLE, raising=False)
    monkeypatch.setattr(google.auth, "default", lambda **_: pytest.fail("logged in"))
    for command in (deploy, destroy, drift, plan):
        monkeypatch.setattr(command, "synthesize", lambda _: pytest.fail("synthesized"))
    for main in (
        bootstrap.main,
        deploy.main,
        destroy.main,
        drift.main,
        lambda arguments: plan.main([*arguments, "--real"]),
    ):
        assert main(["dev"]) == 1
        states(capsys.readouterr().err, "dev: domain = leads-dev.acme.example", example_values.VARIABLE)
