from typing import Any

import pytest
from pydantic import ValidationError

from infra import releases
from infra.environment import Environment
from infra.environments import DEV, ENVIRONMENTS, PROD
from infra.rehearsal import provider_facts
from infra.stacks import database, tracking
from infra.synthesize import synthesize
from tests.infra.conftest import Plans, planned
from tests.mlflow_server.cluster import certificate, pem
from tracking_server.login import uri
from tracking_server.settings import Migration, Server, mlflow_environment, refuse_unsafe


def only(block: list[dict[str, Any]]) -> dict[str, Any]:
    (one,) = block
    return one


def server(plans: Plans, env: str = "prod") -> dict[str, Any]:
    return planned(plans(env)["tracking"], "google_cloud_run_v2_service")["mlflow"]


def template(plans: Plans, env: str = "prod") -> dict[str, Any]:
    return only(server(plans, env)["template"])


def variables(plans: Plans, env: str = "prod") -> dict[str, str]:
    return {each["name"]: each["value"] for each in only(template(plans, env)["containers"])["env"]}


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_it_is_private_by_ingress_and_by_iam(plans: Plans, env: str) -> None:
    assert server(plans, env)["ingress"] == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    assert server(plans, env)["invoker_iam_disabled"] is False
    grants = planned(plans(env)["tracking"], "google_cloud_run_v2_service_iam_member").values()
    chosen = ENVIRONMENTS[env]
    jobs = f"serviceAccount:{chosen.name('jobs')}@{chosen.project}.iam.gserviceaccount.com"
    assert [(grant["role"], grant["member"]) for grant in grants] == [("roles/run.invoker", jobs)]


def test_everything_that_it_sends_goes_through_the_network(plans: Plans) -> None:
    access = only(template(plans)["vpc_access"])
    assert access["egress"] == "ALL_TRAFFIC"
    interface = only(access["network_interfaces"])
    assert interface["subnetwork"].endswith("/acme-leads-prod-run")
    assert interface["tags"] == ["acme-leads-prod-database-client"]


def test_it_runs_the_released_image_as_an_account_of_its_own(plans: Plans) -> None:
    assert only(template(plans)["containers"])["image"] == releases.image(PROD, "mlflow-server")
    assert template(plans)["service_account"].startswith("acme-leads-prod-mlflow@")
    assert only(server(plans)["binary_authorization"])["use_default"] is True


def test_start_and_life_are_probed_on_the_path_that_opens_nothing_else(plans: Plans) -> None:
    container = only(template(plans)["containers"])
    for probe in ("startup_probe", "liveness_probe"):
        assert only(only(container[probe])["http_get"])["path"] == "/health"
    startup = only(container["startup_probe"])
    assert startup["period_seconds"] * startup["failure_threshold"] >= 120


def test_no_variable_holds_a_secret_and_the_database_is_entered_with_a_token(plans: Plans) -> None:
    assert not [name for name in variables(plans) if "PASSWORD" in name or "SECRET" in name or "KEY" in name]
    assert variables(plans)["TRACKING_DATABASE_LOGIN"] == "iam"
    assert variables(plans)["TRACKING_DATABASE_USER"] == "acme-leads-prod-mlflow@acme-leads-prod.iam"
    assert variables(plans)["TRACKING_DATABASE_HOST"] == "10.0.0.3"  # what the rehearsal's database answered


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_database_must_prove_itself_by_those_who_sign_for_it_now_and_next(plans: Plans, env: str) -> None:
    authorities = [each["cert"] for each in provider_facts.EXAMPLES["google_sql_ca_certs"]["certs"]]
    assert len(authorities) == 2
    assert variables(plans, env)["TRACKING_DATABASE_CA"] == "\n".join(authorities)


def test_it_answers_for_both_of_its_own_names_alone(plans: Plans) -> None:
    host = f"acme-leads-prod-mlflow-{PROD.project_number}.europe-west1.run.app"
    assert variables(plans)["TRACKING_ALLOWED_HOSTS"] == f"{host},acme-leads-prod-mlflow-*.a.run.app"
    assert server(plans)["custom_audiences"] == [f"https://{host}"]


def test_people_reach_it_where_a_group_is_named_and_nobody_else_may_call_it() -> None:
    env = PROD.model_copy(update={"mlflow_viewers": ("group:analysts@northwind.com",)})
    (made,) = (stack for stack in synthesize(env) if stack.name == "prod-tracking")
    grants = made.config["resource"]["google_cloud_run_v2_service_iam_member"]
    assert {name: grant["role"] for name, grant in grants.items()} == {
        "jobs_call": "roles/run.invoker",
        "viewer_0": "roles/run.invoker",
    }
    assert grants["viewer_0"]["member"] == "group:analysts@northwind.com"
    service = made.config["resource"]["google_cloud_run_v2_service"]["mlflow"]
    assert (service["ingress"], service["invoker_iam_disabled"]) == ("INGRESS_TRAFFIC_ALL", False)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_what_the_container_is_told_opens_no_more_connections_than_were_reckoned_with(plans: Plans, env: str) -> None:
    told = variables(plans, env)
    pool = int(told["TRACKING_POOL_SIZE"]) + int(told["TRACKING_MAX_OVERFLOW"])
    engines = 2  # runs, registry
    readiness = 1
    instances = only(template(plans, env)["scaling"])["max_instance_count"]
    roll_out = 2  # old and new revision
    opened = (pool * engines + readiness) * int(told["TRACKING_WORKERS"]) * instances * roll_out
    assert opened == ENVIRONMENTS[env].mlflow_connections
    assert opened + 10 <= ENVIRONMENTS[env].database_connections


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_image_accepts_what_the_stacks_tell_it(plans: Plans, env: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = planned(plans(env)["database"], "google_cloud_run_v2_job")["migrate"]
    container = only(only(only(job["template"])["template"])["containers"])
    # What the database answers comes later, and a rehearsal's authorities are no certificates.
    later = {"TRACKING_DATABASE_HOST": "10.0.0.3", "TRACKING_DATABASE_CA": pem(certificate()[0])}
    told = {each["name"]: each.get("value") or later[each["name"]] for each in container["env"]}
    with monkeypatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        assert str(Migration().database_password_file) == database.PASSWORD_FILE
        refuse_unsafe(told, {})
    assert only(template(plans, env)["containers"])["args"] == ["serve"]
    given = variables(plans, env) | {"TRACKING_DATABASE_CA": later["TRACKING_DATABASE_CA"]}
    for name, value in (given | {"K_SERVICE": "as Cloud Run sets it"}).items():
        monkeypatch.setenv(name, value)
    settings = Server()
    refuse_unsafe(given, mlflow_environment(settings, uri(settings)))
    assert settings.port == tracking.PORT
    chosen = ENVIRONMENTS[env]
    assert 2 * chosen.mlflow_instances[1] * settings.connections == chosen.mlflow_connections


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"mlflow_instances": (0, 3)},
            "database_connections: 100 is less than the 132 that MLflow may open and the 10",
        ),
        ({"mlflow_workers": 4}, "database_connections: 100 is less than the 176"),
        ({"database_connections": 97}, "database_connections: 97 is less than the 88"),
        ({"mlflow_instances": (2, 1)}, "mlflow_instances: least 2 is more than most 1"),
        ({"database_tier": "db-custom-3-8192"}, "database_tier"),
        ({"database_recovery_days": 8}, "database_recovery_days"),
    ],
)
def test_an_environment_whose_server_would_exhaust_its_database_is_refused(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Environment(**{**DEV.model_dump(), **values})
