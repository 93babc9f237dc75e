from pathlib import Path

import pytest

from infra.rehearsal import isolation
from infra.rehearsal.isolation import BackendError
from infra.rehearsal.server import REATTACH
from tests.facts import stating
from tests.infra.conftest import Stacks, stack


def test_every_state_that_a_stack_writes_or_reads_becomes_a_local_file(stacks: Stacks, tmp_path: Path) -> None:
    for each in stacks("prod"):
        config = isolation.local(each.config, tmp_path)
        assert config["terraform"]["backend"] == {"local": {"path": f"{tmp_path}/{each.name}.tfstate"}}
        for remote in config.get("data", {}).get("terraform_remote_state", {}).values():
            assert remote["backend"] == "local"
            assert remote["config"] in [{"path": f"{tmp_path}/{needed}.tfstate"} for needed in each.needs]
        assert "gcs" in each.config["terraform"]["backend"], "the stack itself must stay as it was"


@pytest.mark.parametrize("backend", [{}, {"local": {}}, {"s3": {"bucket": "b"}}])
def test_a_stack_without_a_gcs_backend_is_refused(backend: dict[str, object], tmp_path: Path) -> None:
    config = stack().config
    config["terraform"]["backend"] = backend
    with pytest.raises(BackendError, match=stating("every stack", "gcs")):
        isolation.local(config, tmp_path)


def test_a_stack_that_reads_some_other_state_is_refused(tmp_path: Path) -> None:
    other = stack(data={"terraform_remote_state": {"other": {"backend": "http", "config": {"address": "x"}}}})
    with pytest.raises(BackendError, match=stating("state", "http backend")):
        isolation.local(other.config, tmp_path)


def test_terraform_sees_nothing_of_the_callers_environment_but_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN", "TF_CLI_ARGS", "TF_VAR_key", "TF_LOG"):
        monkeypatch.setenv(name, "the caller's")
    env = isolation.environment(tmp_path, "{}", {"key": "given"})
    ours = {"HOME", "TF_CLI_CONFIG_FILE", "TF_IN_AUTOMATION", "TF_INPUT", "GOMAXPROCS", "GOGC", REATTACH, "TF_VAR_key"}
    assert env.keys() == {"PATH", *ours}
    assert env["TF_VAR_key"] == "given"
    assert env["HOME"] == str(tmp_path)  # ~/.terraform.d, ~/.config/gcloud are not the caller's either
    assert "direct" not in Path(env["TF_CLI_CONFIG_FILE"]).read_text()


def test_only_the_protection_against_destruction_is_taken_off() -> None:
    guarded = {"lifecycle": {"prevent_destroy": True, "ignore_changes": ["a"]}, "name": "b"}
    config = stack(resource={"google_storage_bucket": {"b": guarded}}).config
    bare = isolation.unprotected(config)["resource"]["google_storage_bucket"]["b"]
    assert bare == {"lifecycle": {"ignore_changes": ["a"]}, "name": "b"}
    assert guarded["lifecycle"] == {"prevent_destroy": True, "ignore_changes": ["a"]}
