from pathlib import Path

import pytest

from infra.rehearsal import isolation
from infra.rehearsal.isolation import BackendError
from infra.rehearsal.server import REATTACH
from tests.infra.conftest import Stacks, stack


def test_every_state_that_a_stack_writes_or_reads_becomes_a_local_file(stacks: Stacks, tmp_path: Path) -> None:
    local = {each.name: isolation.local(each.config, tmp_path) for each in stacks("prod")}
    written = {name: config["terraform"]["backend"]["local"] for name, config in local.items()}
    assert len({state["path"] for state in written.values()}) == len(written)
    for each in stacks("prod"):
        for remote in local[each.name].get("data", {}).get("terraform_remote_state", {}).values():
            assert remote["backend"] == "local"
            assert remote["config"] in [written[needed] for needed in each.needs]
        assert "gcs" in each.config["terraform"]["backend"], "the stack itself must stay as it was"


@pytest.mark.parametrize(
    ("backend", "other"),
    [
        ({"gcs": {"bucket": "b", "prefix": "p", "credentials": "c"}}, {"bucket": "b", "prefix": "other"}),
        ({"s3": {"bucket": "b", "key": "k", "region": "r"}}, {"bucket": "other", "key": "k", "region": "r"}),
        ({"local": {"path": "/a/terraform.one.tfstate"}}, {"path": "/a/terraform.two.tfstate"}),
        ({"http": {"address": "https://states/one"}}, {"address": "https://states/two"}),
    ],
)
def test_a_state_is_the_same_for_who_writes_and_who_reads_it_in_any_backend(
    backend: dict[str, dict[str, str]], other: dict[str, str]
) -> None:
    writer = stack()
    writer.config["terraform"]["backend"] = backend
    ((kind, settings),) = backend.items()
    settings = {key: value for key, value in settings.items() if key != "credentials"}
    readers = {"same": {"backend": kind, "config": settings}, "other": {"backend": kind, "config": other}}
    reads = isolation.reads(stack(data={"terraform_remote_state": readers}).config)
    assert isolation.place(writer.config) in reads
    assert len(reads) == 2


@pytest.mark.parametrize("backend", [{}, {"local": {}, "gcs": {}}])
def test_a_stack_without_one_backend_is_refused(backend: dict[str, object], tmp_path: Path) -> None:
    config = stack().config
    config["terraform"]["backend"] = backend
    with pytest.raises(BackendError, match="every stack needs one"):
        isolation.local(config, tmp_path)


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
