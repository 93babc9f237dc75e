"""The real plan as far as a machine without a cloud can go: it fails, and never falls back."""

from pathlib import Path

import pytest

from infra.rehearsal import catalogue, real
from infra.rehearsal.isolation import BackendError
from infra.rehearsal.real import StandInError
from infra.rehearsal.server import REATTACH, serve
from infra.rehearsal.steps import StackError
from infra.rehearsal.terraform import Terraform
from tests.infra.conftest import Stacks, stack

UNREACHABLE = 'provider_installation {\n  network_mirror {\n    url = "https://127.0.0.1:9/"\n  }\n}\n'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A caller without credentials, whose registry cannot be reached."""
    config = tmp_path / "terraformrc"
    config.write_text(UNREACHABLE)
    return {
        "PATH": "/usr/bin:/bin",
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


def test_without_the_real_providers_a_real_plan_fails_though_stand_ins_are_running(
    engine: Terraform, environ: dict[str, str], gcs: str, tmp_path: Path
) -> None:
    bucket = stack(resource={"google_storage_bucket": {"b": {"name": "b", "location": "EU"}}})
    bucket.config["terraform"]["backend"]["gcs"] = {"bucket": "leads-test", "prefix": "real"}
    environ |= {
        "GOOGLE_OAUTH_ACCESS_TOKEN": "not-a-token",
        "GOOGLE_BACKEND_STORAGE_CUSTOM_ENDPOINT": f"{gcs}/storage/v1/",
    }
    with (
        serve([catalogue.load("registry.terraform.io/hashicorp/google")]),
        pytest.raises(StackError, match="Failed to query available provider packages") as failed,
    ):
        real.plan([bucket], engine, folder=tmp_path / "real", environ=environ)
    assert "allow it, or name a mirror in TF_CLI_CONFIG_FILE" in (real.remedy(str(failed.value)) or "")


def test_a_real_plan_refuses_to_run_with_stand_ins(stacks: Stacks, engine: Terraform, tmp_path: Path) -> None:
    with pytest.raises(StandInError, match=f"{REATTACH} is set"):
        real.plan(stacks("prod"), engine, folder=tmp_path, environ={REATTACH: "{}"})


def test_a_real_plan_refuses_a_state_on_this_machine(
    engine: Terraform, environ: dict[str, str], tmp_path: Path
) -> None:
    local = stack()
    local.config["terraform"]["backend"] = {"local": {"path": "terraform.tfstate"}}
    with pytest.raises(BackendError, match="the backend is local"):
        real.plan([local], engine, folder=tmp_path, environ=environ)


@pytest.mark.parametrize(
    ("said", "start"),
    [
        ("Error: No value for required variable", "Set TF_VAR_<variable>"),
        ("│ Unable to find remote\n│ state", "A stack before this one"),
        ("Unable to find remote\n  state", "A stack before this one"),
        ("something else", None),
    ],
)
def test_a_remedy_is_told_where_one_is_known(said: str, start: str | None) -> None:
    remedy = real.remedy(said)
    assert remedy is None if start is None else (remedy or "").startswith(start)
