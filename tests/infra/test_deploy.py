"""A deploy: real Terraform, its state in a real storage server, stand-ins for Google alone."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import deploy
from infra.rehearsal import catalogue
from infra.rehearsal.isolation import environment
from infra.rehearsal.server import REATTACH, serve
from infra.rehearsal.synthesis import Stack
from tests.infra.conftest import stack

BUCKET, ACCOUNT = "google_storage_bucket", "google_service_account"
NAME = f"held/{BUCKET}.b"


def in_bucket(name: str, test: str, resources: dict[str, Any]) -> Stack:
    made = stack(name=name, resource=resources)
    made.config["terraform"]["backend"]["gcs"] = {"bucket": "leads-test", "prefix": f"deploy/{test}/{name}"}
    return made


def stacks(test: str, **changed: Any) -> list[Stack]:
    held = {"name": "b", "location": "EU", "force_destroy": False, "lifecycle": {"prevent_destroy": True}, **changed}
    return [
        in_bucket("before", test, {ACCOUNT: {"a": {"account_id": "some-account"}}}),
        in_bucket("held", test, {BUCKET: {"b": held}}),
        in_bucket("after", test, {ACCOUNT: {"c": {"account_id": "other-account"}}}),
    ]


@pytest.fixture
def environ(gcs: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    schema = catalogue.load("registry.terraform.io/hashicorp/google")
    with serve([catalogue.select(schema, {BUCKET, ACCOUNT}, ())]) as reattach:
        yield environment(tmp_path, reattach, {}) | {
            "GOOGLE_OAUTH_ACCESS_TOKEN": "not-a-token",
            "GOOGLE_BACKEND_STORAGE_CUSTOM_ENDPOINT": f"{gcs}/storage/v1/",
        }


def test_stacks_are_deployed_in_order_and_a_second_deploy_changes_nothing(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for expected in ("1 to add", "no changes"):
        assert deploy.run(stacks("twice"), {}, folder=tmp_path / "d", environ=environ) == 0
        said = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("  ")]
        assert [line.partition(":")[0] for line in said] == ["before", "held", "after"]
        assert all(f": {expected}" in line for line in said)
    assert not list(tmp_path.rglob("plan"))


def test_what_holds_data_is_not_lost_and_nothing_after_it_is_touched(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "d"
    assert deploy.run(stacks("lost"), {}, folder=folder, environ=environ) == 0
    capsys.readouterr()
    changed = copy.deepcopy(stacks("lost", lifecycle={"prevent_destroy": False}))
    changed[2].config["resource"][ACCOUNT]["c"]["display_name"] = "new"
    assert deploy.run(changed, {}, folder=folder, environ=environ) == 1
    out, err = capsys.readouterr()
    assert f"REFUSED: {NAME} has no prevent_destroy" in err
    assert "before: no changes" in out
    assert "after" not in out
    reason = {NAME: "its content was copied elsewhere"}
    assert deploy.run(changed, reason, folder=folder, environ=environ) == 0
    assert "after: 1 to change" in capsys.readouterr().out


def test_what_terraform_refuses_is_shown_and_ends_the_deploy(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy.run(stacks("broken", labels="none"), {}, folder=tmp_path / "d", environ=environ) == 1
    assert "held: plan failed" in capsys.readouterr().err


def test_stand_ins_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(REATTACH, "{}")
    with pytest.raises(SystemExit) as ended:
        deploy.main(["dev"])
    assert ended.value.code == 1
    assert "would not use the real providers" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nowhere"], ["dev", "--allow", "no reason"]])
def test_wrong_use_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as wrong:
        deploy.main(arguments)
    assert wrong.value.code == 2
