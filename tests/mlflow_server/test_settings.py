"""Wrong and unsafe settings are refused by the variable's name, before anything is opened."""

import runpy
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from pydantic import ValidationError

from tests.facts import states, stating
from tests.mlflow_server.cluster import certificate, pem
from tests.mlflow_server.server import SOURCE
from tracking_server.login import uri
from tracking_server.settings import Migration, Server, Unsafe, mlflow_environment, problems, refuse_unsafe

DATABASE = {
    "TRACKING_DATABASE_HOST": "10.0.0.3",
    "TRACKING_DATABASE_NAME": "mlflow",
    "TRACKING_DATABASE_USER": "acme-dev-mlflow@acme-dev.iam",
    "TRACKING_DATABASE_LOGIN": "iam",
}
SERVER = DATABASE | {
    "TRACKING_ARTIFACTS_URL": "gs://acme-dev-artifacts",
    "TRACKING_ALLOWED_HOSTS": "mlflow.example.com",
}


def refusal(monkeypatch: pytest.MonkeyPatch, kind: type[Server] | type[Migration], values: dict[str, str]) -> str:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as refused:
        kind()
    return problems(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "facts"),
    [
        ("TRACKING_ALLOWED_HOSTS", "*", ["wildcards"]),
        ("TRACKING_ALLOWED_HOSTS", "a.example.com,*.example.com", ["wildcards"]),
        ("TRACKING_ALLOWED_HOSTS", "*.a.run.app", ["wildcards"]),
        ("TRACKING_ALLOWED_HOSTS", "mlflow-*.run.app", ["wildcards"]),
        ("TRACKING_ALLOWED_HOSTS", "", ["is no host"]),
        ("TRACKING_ALLOWED_HOSTS", "https://a.example.com", ["is no host"]),
        ("TRACKING_ARTIFACTS_URL", "/var/artifacts", ["pattern"]),
        ("TRACKING_ARTIFACTS_URL", "gs://bucket/", ["pattern"]),
        ("TRACKING_POOL_SIZE", "0", ["greater", 1]),
        ("TRACKING_MAX_OVERFLOW", "0", ["greater", 1]),
        ("TRACKING_MAX_OVERFLOW", "-1", ["greater", 1]),
        ("TRACKING_WORKERS", "9", ["less", 8]),
        ("TRACKING_DATABASE_LOGIN", "none", ["'iam' or 'password'"]),
        ("TRACKING_DATABASE_CA", "", ["certificate", "PEM"]),
        ("TRACKING_DATABASE_CA", "sécret", ["certificate", "PEM"]),
        (
            "TRACKING_DATABASE_CA",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            ["certificate", "PEM"],
        ),
        ("TRACKING_AUTHENTICATED_BY", "nobody", ["'cloud-run' or 'proxy'"]),
    ],
)
def test_a_wrong_value_is_refused_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, facts: list[object]
) -> None:
    said = refusal(monkeypatch, Server, SERVER | {name: value})
    assert said.startswith(f"{name}: ")
    states(said, *facts)
    assert "\n" not in said


def test_whoever_reaches_other_machines_says_who_authenticates(monkeypatch: pytest.MonkeyPatch) -> None:
    open_to_all = SERVER | {"TRACKING_HOST": "0.0.0.0"}
    states(refusal(monkeypatch, Server, open_to_all), "TRACKING_AUTHENTICATED_BY:", "missing")
    monkeypatch.setenv("TRACKING_AUTHENTICATED_BY", "proxy")
    assert Server().host == "0.0.0.0"


def test_cloud_run_authenticates_only_on_cloud_run(monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = SERVER | {"TRACKING_HOST": "0.0.0.0", "TRACKING_AUTHENTICATED_BY": "cloud-run"}
    states(refusal(monkeypatch, Server, claimed), "K_SERVICE", "not set")
    monkeypatch.setenv("K_SERVICE", "acme-dev-mlflow")
    assert Server().authenticated_by == "cloud-run"


def test_a_login_by_password_needs_its_file_and_one_by_token_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, Server, SERVER | {"TRACKING_DATABASE_LOGIN": "password"})
    states(said, "TRACKING_DATABASE_PASSWORD_FILE:", "missing")
    both = {"TRACKING_DATABASE_LOGIN": "iam", "TRACKING_DATABASE_PASSWORD_FILE": "/secret"}
    states(refusal(monkeypatch, Server, both), "contradicts", "database_login", "'iam'")


def test_who_signs_for_the_database_is_told_in_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    both = SERVER | {"TRACKING_DATABASE_CA": pem(certificate()[0]), "TRACKING_DATABASE_CA_FILE": "/ca.pem"}
    said = refusal(monkeypatch, Server, both)
    states(said, "TRACKING_DATABASE_CA_FILE:", "contradicts", "database_ca")


def test_the_server_cannot_be_the_schemas_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    same = DATABASE | {"TRACKING_SERVER_USER": DATABASE["TRACKING_DATABASE_USER"]}
    states(refusal(monkeypatch, Migration, same), "TRACKING_SERVER_USER:", "migration's own")


@pytest.mark.parametrize(
    ("name", "value", "facts"),
    [
        ("PGPASSWORD", "secret", ["password"]),
        ("TRACKING_DATABASE_PASSWORD", "secret", ["password"]),
        ("TRACKING_WORKER", "3", ["unknown", "TRACKING_ALLOWED_HOSTS"]),
        ("MLFLOW_BACKEND_STORE_URI", "postgresql://u:secret@h/d", ["not to be set"]),
        ("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "true", ["not to be set"]),
        ("MLFLOW_SERVER_ALLOWED_HOSTS", "*", ["not to be set"]),
        ("MLFLOW_SERVER_CORS_ALLOWED_ORIGINS", "*", ["not to be set"]),
        ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "true", ["not to be set"]),
        ("_MLFLOW_SERVER_SERVE_ARTIFACTS", "true", ["not to be set"]),
    ],
)
def test_an_unsafe_variable_is_refused_by_name_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, facts: list[str]
) -> None:
    for each in SERVER:
        monkeypatch.setenv(each, SERVER[each])
    ours = mlflow_environment(Server(), "postgresql+psycopg://")
    refuse_unsafe(SERVER | ours | {"MLFLOW_LOGGING_LEVEL": "DEBUG", "PATH": "/bin"}, ours)
    with pytest.raises(Unsafe, match=stating(f"{name}:", *facts)) as refused:
        refuse_unsafe(SERVER | {name: value}, ours)
    assert "secret" not in str(refused.value)


@pytest.mark.slow
def test_the_program_refuses_before_it_opens_anything(tmp_path: Path) -> None:
    def run(*arguments: str, **environment: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "tracking_server", *arguments],
            env={"PYTHONPATH": str(SOURCE), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    code, said = run("serve")
    assert code == 2
    assert "TRACKING_DATABASE_HOST: Field required" in said
    code, said = run("serve", **SERVER, PGPASSWORD="secret")
    assert (code, said.count("\n")) == (2, 1)
    states(said, "PGPASSWORD:", "TRACKING_DATABASE_PASSWORD_FILE")
    assert "secret" not in said
    assert run("migrate", "postgresql://me:secret@host/db")[0] == 2
    code, said = run("--help")
    assert code == 0
    assert "docker run IMAGE migrate" in said


def test_neither_password_nor_options_are_in_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in SERVER:
        monkeypatch.setenv(each, SERVER[each])
    assert uri(Server()) == (
        "postgresql+psycopg://acme-dev-mlflow%40acme-dev.iam@10.0.0.3:5432/mlflow?plugin=tracking-login"
    )


def test_the_variables_of_the_workers_are_those_of_this_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in SERVER:
        monkeypatch.setenv(each, SERVER[each])
    # By its file: the package around it starts a server's worth of imports.
    names = runpy.run_path(str(Path(mlflow.__file__).parent / "server/constants.py"))
    ours = mlflow_environment(Server(), "the address")
    assert ours[names["BACKEND_STORE_URI_ENV_VAR"]] == ours[names["REGISTRY_STORE_URI_ENV_VAR"]] == "the address"
    assert ours[names["ARTIFACT_ROOT_ENV_VAR"]] == "gs://acme-dev-artifacts"
    assert names["SERVE_ARTIFACTS_ENV_VAR"] not in ours
