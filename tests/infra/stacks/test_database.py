import json
from typing import Any

import pytest

from infra import releases
from infra.environments import ENVIRONMENTS, PROD
from infra.rehearsal.masking import MASK
from infra.rehearsal.rehearse import rehearse_change
from infra.rehearsal.terraform import Terraform
from tests.infra.conftest import Plans, Stacks, alone, planned


def only(block: list[dict[str, Any]]) -> dict[str, Any]:
    (one,) = block
    return one


def instance(plans: Plans, env: str = "prod") -> dict[str, Any]:
    return planned(plans(env)["database"], "google_sql_database_instance")["instance"]


def settings(plans: Plans, env: str = "prod") -> dict[str, Any]:
    return only(instance(plans, env)["settings"])


def flags(plans: Plans, env: str = "prod") -> dict[str, str]:
    return {flag["name"]: flag["value"] for flag in settings(plans, env)["database_flags"]}


def task(plans: Plans) -> dict[str, Any]:
    job = planned(plans("prod")["database"], "google_cloud_run_v2_job")["migrate"]
    return only(only(job["template"])["template"])


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_it_has_a_private_address_alone_and_speaks_nothing_but_tls(plans: Plans, env: str) -> None:
    network = only(settings(plans, env)["ip_configuration"])
    assert (network["ipv4_enabled"], network["authorized_networks"]) == (False, [])
    assert network["private_network"].endswith(f"/{ENVIRONMENTS[env].name('network')}")
    assert network["ssl_mode"] == "ENCRYPTED_ONLY"


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_it_is_as_large_available_and_recoverable_as_the_environment_asks(plans: Plans, env: str) -> None:
    chosen, made = ENVIRONMENTS[env], settings(plans, env)
    backups = only(made["backup_configuration"])
    assert made["tier"] == chosen.database_tier
    assert made["availability_type"] == ("REGIONAL" if chosen.database_standby else "ZONAL")
    assert (backups["enabled"], backups["location"]) == (True, chosen.region)
    assert backups["point_in_time_recovery_enabled"] is (chosen.database_recovery_days > 0)
    assert only(backups["backup_retention_settings"])["retained_backups"] == chosen.backup_days
    assert flags(plans, env)["max_connections"] == str(chosen.database_connections)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_a_disk_that_has_grown_is_kept(stacks: Stacks, engine: Terraform, env: str) -> None:
    (database,) = (stack for stack in stacks(env) if stack.name == f"{env}-database")
    deployed = alone(database, "google_sql_database_instance")
    (result,) = rehearse_change([deployed], [deployed], engine)
    (grown,) = result.plan["resource_drift"]
    sizes = [only(grown["change"][when]["settings"])["disk_size"] for when in ("before", "after")]
    assert sizes[0] < sizes[1]
    (change,) = result.plan["resource_changes"]
    assert change["change"]["actions"] == ["no-op"]


def test_production_has_a_standby_and_goes_back_to_any_moment_of_a_week(plans: Plans) -> None:
    assert settings(plans)["availability_type"] == "REGIONAL"
    assert only(settings(plans)["backup_configuration"])["transaction_log_retention_days"] == 7


def test_it_is_protected_three_times(plans: Plans, stacks: Stacks) -> None:
    assert instance(plans)["deletion_protection"] is True
    assert settings(plans)["deletion_protection_enabled"] is True
    (stack,) = (stack for stack in stacks("prod") if stack.name == "prod-database")
    for type_name in ("google_sql_database_instance", "google_sql_database"):
        (resource,) = stack.config["resource"][type_name].values()
        assert resource["lifecycle"] == {"prevent_destroy": True}


def test_the_server_logs_in_by_iam_to_this_instance_alone(plans: Plans) -> None:
    user = planned(plans("prod")["database"], "google_sql_user")["server"]
    assert (user["name"], user["type"]) == ("acme-leads-prod-mlflow@acme-leads-prod.iam", "CLOUD_IAM_SERVICE_ACCOUNT")
    assert flags(plans)["cloudsql.iam_authentication"] == "on"
    grant = planned(plans("prod")["database"], "google_project_iam_member")["server_login"]
    assert grant["role"] == "roles/cloudsql.instanceUser"
    expression = only(grant["condition"])["expression"]
    assert 'resource.name == "projects/acme-leads-prod/instances/acme-leads-prod-mlflow"' in expression


def test_the_owners_password_is_in_no_plan_and_in_no_argument_that_a_state_keeps(plans: Plans, stacks: Stacks) -> None:
    (stack,) = (stack for stack in stacks("prod") if stack.name == "prod-database")
    assert "rehearsed-migrator_password" not in json.dumps(plans("prod")["database"])
    for user in stack.config["resource"]["google_sql_user"].values():
        assert "password" not in user
    owner = planned(plans("prod")["database"], "google_sql_user")["owner"]
    assert owner["password_wo"] == MASK
    assert owner["password_wo_version"] == PROD.migrator_password_version


def test_no_statement_with_its_values_gets_into_a_log(plans: Plans) -> None:
    assert flags(plans)["log_min_duration_statement"] == "-1"
    assert flags(plans)["pgaudit.log"] == "ddl,role"
    assert flags(plans)["cloudsql.enable_pgaudit"] == "on"


def test_the_migration_runs_the_servers_image_as_an_account_of_its_own_with_the_password_as_a_file(
    plans: Plans,
) -> None:
    container = only(task(plans)["containers"])
    assert container["image"] == releases.image(PROD, "mlflow-server")
    assert container["args"] == ["migrate"]
    assert task(plans)["service_account"].startswith("acme-leads-prod-migrator@")
    variables = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert variables["TRACKING_DATABASE_PASSWORD_FILE"] == "/secrets/database/password"
    assert variables["TRACKING_EXTENSIONS"] == "pgaudit"
    assert variables["TRACKING_SERVER_USER"] == "acme-leads-prod-mlflow@acme-leads-prod.iam"
    secret = only(only(task(plans)["volumes"])["secret"])
    assert secret["secret"].endswith("/secrets/acme-leads-prod-migrator-password")


def test_the_migration_knows_who_signs_for_the_database_now_and_next(plans: Plans, stacks: Stacks) -> None:
    # Asked for by what is known only when the instance is there, so not before.
    (stack,) = (stack for stack in stacks("prod") if stack.name == "prod-database")
    asked = stack.config["data"]["google_sql_ca_certs"]["authorities"]
    assert asked["instance"] == "${google_sql_database_instance.instance.self_link}"
    job = stack.config["resource"]["google_cloud_run_v2_job"]["migrate"]
    (container,) = job["template"]["template"]["containers"]
    values = {variable["name"]: variable["value"] for variable in container["env"]}
    assert values["TRACKING_DATABASE_CA"] == '${join("\\n", data.google_sql_ca_certs.authorities.certs[*].cert)}'
    # A plan of what is not there yet knows the variable, and leaves its value open.
    planned_names = {variable["name"] for variable in only(task(plans)["containers"])["env"]}
    assert planned_names == values.keys()


def test_the_migration_reaches_the_database_through_the_network_alone(plans: Plans) -> None:
    access = only(task(plans)["vpc_access"])
    assert access["egress"] == "ALL_TRAFFIC"
    assert only(access["network_interfaces"])["tags"] == ["acme-leads-prod-database-client"]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_it_is_encrypted_with_the_environments_own_key_where_it_asks_for_one(plans: Plans, env: str) -> None:
    key = instance(plans, env).get("encryption_key_name")
    assert (key or "").endswith("/cryptoKeys/database" if ENVIRONMENTS[env].customer_keys else "")
    assert bool(key) is ENVIRONMENTS[env].customer_keys
