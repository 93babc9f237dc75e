"""The real plan as far as a machine without a cloud can go: it fails, and never falls back."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.operations import real
from infra.operations.real import StandInError
from infra.rehearsal import schema_cache
from infra.rehearsal.isolation import BackendError
from infra.rehearsal.masking import MASK
from infra.rehearsal.server import REATTACH, serve
from infra.rehearsal.steps import StackError
from infra.rehearsal.synthesis import Stack
from infra.rehearsal.terraform import Terraform
from tests.facts import states, stating
from tests.infra.conftest import PLANTED_KEY, Stacks, planned, stack

UNREACHABLE = 'provider_installation {\n  network_mirror {\n    url = "https://127.0.0.1:9/"\n  }\n}\n'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A caller without credentials, whose registry cannot be reached."""
    config = tmp_path / "terraformrc"
    config.write_text(UNREACHABLE)
    return {
        "PATH": "/usr/bin:/bin",
        "TF_INPUT": "0",
        "HOME": str(tmp_path),
        "TF_CLI_CONFIG_FILE": str(config),
        "NO_GCE_CHECK": "true",  # on a machine of Google's own there are credentials after all
    }


def test_without_credentials_a_real_plan_fails_and_says_what_to_do(
    stacks: Stacks, engine: Terraform, environ: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(StackError, match="could not find default credentials") as failed:
        real.plan(stacks("prod"), engine, folder=tmp_path / "real", environ=environ)
    assert (failed.value.stack, failed.value.doing) == ("prod-foundation", "init")
    assert "gcloud auth application-default login" in (real.remedy(str(failed.value)) or "")


@pytest.fixture
def reaching(environ: dict[str, str], gcs: str) -> dict[str, str]:
    """A caller who reaches the state bucket, though not the registry."""
    return environ | {
        "GOOGLE_OAUTH_ACCESS_TOKEN": "not-a-token",
        "GOOGLE_BACKEND_STORAGE_CUSTOM_ENDPOINT": f"{gcs}/storage/v1/",
    }


def in_bucket(config: Stack) -> Stack:
    """The stack with its state in a bucket that is there."""
    config.config["terraform"]["backend"]["gcs"]["bucket"] = "leads-test"
    return config


def of_terraform_itself(**config: Any) -> Stack:
    """A stack that needs no provider from anywhere."""
    bare = in_bucket(stack(**config))
    del bare.config["terraform"]["required_providers"], bare.config["provider"]
    return bare


def test_without_the_real_providers_a_real_plan_fails_though_stand_ins_are_running(
    engine: Terraform, reaching: dict[str, str], tmp_path: Path
) -> None:
    bucket = in_bucket(stack(resource={"google_storage_bucket": {"b": {"name": "b", "location": "EU"}}}))
    with (
        serve([schema_cache.load("registry.terraform.io/hashicorp/google")]),
        pytest.raises(StackError, match="Failed to query available provider packages") as failed,
    ):
        real.plan([bucket], engine, folder=tmp_path / "real", environ=reaching)
    states(real.remedy(str(failed.value)) or "", "mirror", "TF_CLI_CONFIG_FILE")


def test_a_real_plan_reads_the_remote_state_and_leaves_no_secret(
    engine: Terraform, reaching: dict[str, str], tmp_path: Path
) -> None:
    keeper = of_terraform_itself(
        variable={"key": {"type": "string", "sensitive": True}},
        resource={"terraform_data": {"d": {"input": "${var.key}"}}},
    )
    environ = reaching | {"TF_VAR_key": PLANTED_KEY}
    (result,) = real.plan([keeper], engine, folder=tmp_path / "real", environ=environ)
    assert planned(result.plan, "terraform_data")["d"]["input"] == MASK
    assert PLANTED_KEY not in json.dumps(result.plan)
    # No plan file: it is an archive, in which a search for the key would find nothing.
    left = {
        str(file.relative_to(tmp_path / "real" / "broken")) for file in (tmp_path / "real").rglob("*") if file.is_file()
    }
    assert left == {"cdk.tf.json", ".terraform/terraform.tfstate"}


@pytest.mark.parametrize(
    ("said", "facts"),
    [
        # googleapi.Error as the provider prints it
        (
            "googleapi: Error 400: Service account service-1@gcp-sa-cloud-sql.iam.gserviceaccount.com does not exist., "
            "badRequest",
            ["scripts/bootstrap", "--owner"],
        ),
        (
            "googleapi: Error 403: Compute Engine API has not been used in project 1 before or it is disabled.",
            ["foundation", "deploy again"],
        ),
    ],
)
def test_what_google_refuses_in_a_new_project_has_a_remedy(said: str, facts: list[str]) -> None:
    states(real.remedy(said) or "", *facts)


def test_a_missing_variable_is_named_with_its_remedy(
    engine: Terraform, reaching: dict[str, str], tmp_path: Path
) -> None:
    keeper = of_terraform_itself(variable={"key": {"type": "string", "sensitive": True}})
    with pytest.raises(StackError, match=stating('variable "key"', "not set")) as failed:
        real.plan([keeper], engine, folder=tmp_path, environ=reaching)
    assert "Set TF_VAR_<variable>" in (real.remedy(str(failed.value)) or "")


def test_a_stack_before_that_is_not_deployed_is_said_to_be_missing(
    engine: Terraform, reaching: dict[str, str], tmp_path: Path
) -> None:
    state = {"backend": "gcs", "config": {"bucket": "leads-test", "prefix": "never-deployed"}}
    email = "${data.terraform_remote_state.first.outputs.cross-stack-output-email}"
    reader = of_terraform_itself(
        data={"terraform_remote_state": {"first": state}}, resource={"terraform_data": {"d": {"input": email}}}
    )
    with pytest.raises(StackError) as failed:
        real.plan([reader], engine, folder=tmp_path, environ=reaching)
    assert (real.remedy(str(failed.value)) or "").startswith("A stack before this one is not deployed yet")


def test_a_real_plan_refuses_to_run_with_stand_ins(stacks: Stacks, engine: Terraform, tmp_path: Path) -> None:
    with pytest.raises(StandInError, match=f"{REATTACH} is set"):
        real.plan(stacks("prod"), engine, folder=tmp_path, environ={REATTACH: "{}"})


@pytest.mark.parametrize(
    ("backend", "called"),
    [({"local": {"path": "terraform.tfstate"}}, "local"), ({}, "none"), ({"s3": {"bucket": "b"}}, "s3")],
)
def test_a_real_plan_refuses_a_state_anywhere_but_in_gcs(
    backend: dict[str, Any], called: str, engine: Terraform, environ: dict[str, str], tmp_path: Path
) -> None:
    local = stack()
    local.config["terraform"]["backend"] = backend
    with pytest.raises(BackendError, match=f"the backend is {called}; every stack needs one, gcs"):
        real.plan([local], engine, folder=tmp_path, environ=environ)


@pytest.mark.parametrize(
    ("said", "start"),
    [
        ("Error: No value for required variable", "Set TF_VAR_<variable>"),
        ("│ Error: No value for\n│ required variable", "Set TF_VAR_<variable>"),
        ("googleapi: Error 409: sync mutate calls cannot be queued", "Cloud Scheduler was busy"),
        ("googleapi: Error 409: KeyRing k already exists., alreadyExists", "It is there"),
        ("Request had invalid authentication credentials.", "A service account of Google's is some minutes old"),
        ("something else", None),
    ],
)
def test_a_remedy_is_told_where_one_is_known(said: str, start: str | None) -> None:
    remedy = real.remedy(said)
    assert remedy is None if start is None else (remedy or "").startswith(start)
