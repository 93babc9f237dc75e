"""An environment taken away: real Terraform, its state in a real storage server, stand-ins for Google alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.operations import destroy
from infra.rehearsal import schema_cache
from infra.rehearsal.isolation import environment
from infra.rehearsal.server import REATTACH, serve
from infra.rehearsal.steps import silent
from infra.rehearsal.synthesis import Stack
from infra.rehearsal.terraform import Terraform
from tests.facts import states
from tests.infra.conftest import stack

DATABASE, ACCOUNT = "google_sql_database_instance", "google_service_account"


def in_bucket(name: str, resources: dict[str, Any], needs: tuple[str, ...] = ()) -> Stack:
    made = stack(name=name, needs=needs, resource=resources)
    made.config["terraform"]["backend"]["gcs"] = {"bucket": "leads-test", "prefix": f"destroy/{name}"}
    return made


FIRST = in_bucket("first", {ACCOUNT: {"a": {"account_id": "some-account"}}})
SECOND = in_bucket(
    "second",
    {
        DATABASE: {
            "d": {
                "name": "d",
                "database_version": "POSTGRES_17",
                "deletion_protection": True,
                "settings": {"tier": "db-f1-micro"},
                "lifecycle": {"prevent_destroy": True},
            }
        },
        ACCOUNT: {"b": {"account_id": "another-account"}},
    },
    needs=("first",),
)
NAME = f"second/{DATABASE}.d"


@pytest.fixture
def environ(gcs: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    schema = schema_cache.load("registry.terraform.io/hashicorp/google")
    with serve([schema_cache.select(schema, {DATABASE, ACCOUNT}, ())]) as reattach:
        yield environment(tmp_path, reattach, {}) | {
            "GOOGLE_OAUTH_ACCESS_TOKEN": "not-a-token",
            "GOOGLE_BACKEND_STORAGE_CUSTOM_ENDPOINT": f"{gcs}/storage/v1/",
        }


@pytest.fixture
def deployed(environ: dict[str, str], engine: Terraform, tmp_path: Path) -> Iterator[None]:
    """Both stacks, applied; what a test leaves of them is taken away."""
    found = destroy.look([FIRST, SECOND], engine, folder=tmp_path / "d", environ=environ, step=silent)
    for each in found:
        engine.run("apply", "-auto-approve", folder=each.folder, env=environ)
    yield
    left = destroy.look([FIRST, SECOND], engine, folder=tmp_path / "d", environ=environ, step=silent)
    destroy.destroy(left, engine, environ=environ, step=silent)


def addresses(engine: Terraform, folder: Path, environ: dict[str, str]) -> set[str]:
    found = destroy.look([FIRST, SECOND], engine, folder=folder, environ=environ, step=silent)
    return {address for each in found for _, address in each.resources}


@pytest.mark.usefixtures("deployed")
def test_what_holds_data_is_named_and_nothing_goes(
    environ: dict[str, str], engine: Terraform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert destroy.run([FIRST, SECOND], {}, folder=tmp_path / "d", environ=environ) == 1
    assert f"REFUSED: {NAME} would be destroyed" in capsys.readouterr().err
    assert addresses(engine, tmp_path / "d", environ) == {f"{DATABASE}.d", f"{ACCOUNT}.a", f"{ACCOUNT}.b"}


@pytest.mark.usefixtures("deployed")
def test_what_is_named_with_a_reason_goes_with_all_the_rest_the_last_stack_first(
    environ: dict[str, str], engine: Terraform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    allowed = {NAME: "the environment is given up"}
    assert destroy.run([FIRST, SECOND], allowed, folder=tmp_path / "d", environ=environ) == 0
    assert addresses(engine, tmp_path / "d", environ) == set()
    said = capsys.readouterr().out
    states(said.splitlines(), "allowed", "the environment is given up", NAME)
    steps = [line.split()[:2] for line in said.splitlines() if "destroy " in line and line.startswith("  ")]
    assert steps == [["second", "destroy"], ["first", "destroy"]]


def test_an_override_for_what_is_not_deployed_is_refused(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    allowed = {NAME: "the environment is given up"}
    assert destroy.run([FIRST, SECOND], allowed, folder=tmp_path / "d", environ=environ) == 1
    states(capsys.readouterr().err, "no override", NAME)


def test_stand_ins_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(REATTACH, "{}")
    with pytest.raises(SystemExit) as ended:
        destroy.main(["dev"])
    assert ended.value.code == 1
    states(capsys.readouterr().err, "real providers")


def test_an_override_without_a_reason_is_wrong_use() -> None:
    with pytest.raises(SystemExit) as ended:
        destroy.main(["dev", "--allow", "leads"])
    assert ended.value.code == 2
