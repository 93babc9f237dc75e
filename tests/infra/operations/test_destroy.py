"""An environment taken away: real Terraform, its state in a real storage server, stand-ins for Google alone."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.operations import destroy
from infra.operations.programs import Programs
from infra.rehearsal import schema_cache
from infra.rehearsal.isolation import environment
from infra.rehearsal.server import REATTACH, serve
from infra.rehearsal.steps import silent
from infra.rehearsal.synthesis import Stack
from infra.rehearsal.terraform import Terraform, TerraformError
from tests.facts import states
from tests.infra.conftest import stack

DATABASE, ACCOUNT, BUCKET = "google_sql_database_instance", "google_service_account", "google_storage_bucket"
RING, KEY, BACKUPS = "google_kms_key_ring", "google_kms_crypto_key", "google_gke_backup_backup_plan"


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
                "settings": {"tier": "db-f1-micro", "deletion_protection_enabled": True},
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
    with serve([schema_cache.select(schema, {DATABASE, ACCOUNT, BUCKET, RING, KEY}, ())]) as reattach:
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
    destroy.destroy(left, engine, Programs(environ), environ=environ, step=silent)


def addresses(engine: Terraform, folder: Path, environ: dict[str, str]) -> set[str]:
    found = destroy.look([FIRST, SECOND], engine, folder=folder, environ=environ, step=silent)
    return {resource.address for each in found for resource in each.resources}


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


KEYS = in_bucket(
    "keys",
    {
        ACCOUNT: {"a": {"account_id": "some-account"}},
        BUCKET: {"b": {"name": "b", "location": "EU", "lifecycle": {"prevent_destroy": True}}},
        RING: {"keys": {"name": "k", "location": "europe-west1", "depends_on": [f"{ACCOUNT}.a"]}},
        KEY: {"key": {"name": "database", "key_ring": f"${{{RING}.keys.id}}", "lifecycle": {"prevent_destroy": True}}},
    },
)


def test_keys_are_left_and_a_deploy_finds_them_by_their_state_or_by_an_import(
    environ: dict[str, str], engine: Terraform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "d"

    def terraform(*command: str) -> str:
        return engine.run(*command, folder=folder / "keys", env=environ)[1]

    def deploy() -> set[str]:
        destroy.look([KEYS], engine, folder=folder, environ=environ, step=silent)
        terraform("apply", "-auto-approve")
        return set(terraform("state", "list").split())

    everything = {f"{ACCOUNT}.a", f"{BUCKET}.b", f"{RING}.keys", f"{KEY}.key"}
    assert deploy() == everything
    allowed = {f"keys/{BUCKET}.b": "the environment is given up"}
    assert destroy.run([KEYS], allowed, folder=folder, environ=environ) == 0
    left = {f"{RING}.keys", f"{KEY}.key"}
    assert set(terraform("state", "list").split()) == left
    said = capsys.readouterr().out
    assert all(f"keys/{address}: " in said for address in left)
    imports = [shlex.split(line)[2:] for line in said.splitlines() if line.startswith("  terraform ")]
    assert [command[:1] for command in imports] == [["import"]] * 2
    assert deploy() == everything

    assert destroy.run([KEYS], allowed, folder=folder, environ=environ) == 0
    terraform("destroy", "-auto-approve")  # what it would be without: gone from the state, there in the cloud
    with pytest.raises(TerraformError, match="Error 409"):
        deploy()
    for command in imports:
        terraform(*command)
    assert deploy() == everything


class Gcloud(Programs):
    """Answers for a plan with two backups, and remembers what it was asked."""

    asked: list[tuple[str, ...]] = []  # noqa: RUF012 - of this one test

    def run(self, *command: str, **_: Any) -> str:
        self.asked.append(command)
        return "plans/p/backups/one\nplans/p/backups/two\n" if "list" in command else ""


def test_the_backups_of_a_plan_go_before_it() -> None:
    plan = {BACKUPS: {"b": {"name": "nightly", "location": "europe-west1"}}}
    programs = Gcloud({})
    destroy.delete_backups(in_bucket("cluster", plan).config, programs)
    listed, *deleted = programs.asked
    assert {"list", "--project=some-project", "--location=europe-west1", "--backup-plan=nightly"} <= set(listed)
    assert [command[-3:] for command in deleted] == [
        ("delete", f"plans/p/backups/{name}", "--quiet") for name in ("one", "two")
    ]


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
