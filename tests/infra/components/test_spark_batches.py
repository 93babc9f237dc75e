"""What an environment whose jobs use Spark has beside all others, and that no other has any of it."""

import copy
import json
from typing import Any

import pytest

from infra.components.spark_batches import API, STAGING, SUBMITTER
from infra.environments import ENVIRONMENTS
from infra.operations import first_deploy
from infra.operations.prerequisites import SPARK_CPUS, SPARK_DISKS_GB, quotas
from infra.permissions import tables
from infra.policies import check, plan
from infra.policies.edge import firewall_narrow
from infra.policies.policy import POLICIES
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.synthesis import Stack
from infra.rehearsal.terraform import Terraform
from infra.sizing import BATCH_SECONDS, BATCHES, JOBS
from infra.timeline.events import DeadlockError
from service.lifecycle.relations.engines import VARIABLE
from service.lifecycle.relations.spark_batch import MOST_EXECUTORS, VARIABLES
from tests.infra.conftest import SPARK, Stacks, planned


def resources(stacks: Stacks, part: str, type_name: str) -> dict[str, Any]:
    (found,) = (stack for stack in stacks("spark") if stack.name == f"spark-{part}")
    return dict(found.config["resource"][type_name])


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_an_environment_that_uses_duckdb_has_nothing_of_it(stacks: Stacks, env: str) -> None:
    assert ENVIRONMENTS[env].record_engine == "duckdb"
    text = json.dumps([stack.config for stack in stacks(env)]).lower()
    assert "spark" not in text
    assert "dataproc" not in text


def test_its_machines_reach_each_other_on_every_port_and_nobody_else_reaches_them(stacks: Stacks) -> None:
    subnet = resources(stacks, "network", "google_compute_subnetwork")["spark"]
    assert (subnet["ip_cidr_range"], subnet["private_ip_google_access"]) == (SPARK.spark_cidr, True)
    rules = resources(stacks, "network", "google_compute_firewall")
    into, out = rules["allow-ingress-spark"], rules["allow-egress-spark"]
    assert into["source_ranges"] == into["destination_ranges"] == out["destination_ranges"] == [SPARK.spark_cidr]
    assert [each["protocol"] for rule in (into, out) for each in rule["allow"]] == ["all", "all"]
    translated = resources(stacks, "network", "google_compute_router_nat")["nat"]["subnetwork"]
    assert not any("spark" in each["name"] for each in translated)  # no way to the internet


def test_its_bucket_is_private_encrypted_and_short_lived(stacks: Stacks) -> None:
    bucket = resources(stacks, "storage", "google_storage_bucket")[STAGING]
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["logging"]["log_bucket"].endswith("access_logs.name}")
    assert "key_storage" in bucket["encryption"]["default_kms_key_name"]
    lives = [rule["condition"]["age"] for rule in bucket["lifecycle_rule"] if "LIVE" in json.dumps(rule)]
    assert lives[0] + SPARK.noncurrent_days + SPARK.soft_delete_days < SPARK.personal_data_days


def test_jobs_start_batches_as_one_account_alone(stacks: Stacks) -> None:
    acts = resources(stacks, "foundation", "google_service_account_iam_member")
    assert {name for name in acts if name.startswith("spark")} == {"spark_jobs_act_as"}
    assert acts["spark_jobs_act_as"]["service_account_id"] == "${google_service_account.spark.name}"
    granted = resources(stacks, "foundation", "google_project_iam_member")
    assert granted["jobs_submit_batches"]["role"] == f"projects/{SPARK.project}/roles/{SUBMITTER}"
    assert tables.read_own_roles().keys() == {SUBMITTER}


def test_google_encrypts_disks_of_the_machines_with_a_key_of_the_environments_own(stacks: Stacks) -> None:
    members = resources(stacks, "foundation", "google_kms_crypto_key_iam_member").values()
    users = {each["member"].split("@")[1].split(".")[0] for each in members if "key_spark" in each["crypto_key_id"]}
    assert users == {"dataproc-accounts", "compute-system"}


def test_jobs_that_read_records_are_told_how_to_start_a_batch(stacks: Stacks) -> None:
    for name, job in resources(stacks, "lifecycle", "google_cloud_run_v2_job").items():
        told = {
            each["name"]: each["value"]
            for container in job["template"]["template"]["containers"]
            for each in container.get("env", [])
            if "SPARK" in each["name"] or "ENGINE" in each["name"]
        }
        if name not in JOBS or not JOBS[name].on_engine:
            assert not told
            continue
        assert told.pop(VARIABLE) == "spark"
        assert told.keys() == set(VARIABLES.values())
        assert told["LEADSCORING_SPARK_PARENT"] == f"projects/{SPARK.project}/locations/{SPARK.region}"
        assert told["LEADSCORING_SPARK_STAGING"] == f"gs://{SPARK.name(STAGING)}"


def test_jobs_with_batches_run_as_the_account_that_may_start_them_for_longer_than_these_take(stacks: Stacks) -> None:
    jobs = resources(stacks, "lifecycle", "google_cloud_run_v2_job")
    (account,) = {jobs[name]["template"]["template"]["service_account"] for name in BATCHES}
    assert account.endswith("-google_service_accountjobsemail}")
    for name, batches in BATCHES.items():
        assert int(jobs[name]["template"]["template"]["timeout"].rstrip("s")) > batches * BATCH_SECONDS


def test_a_batch_of_the_default_size_fits_the_quota_that_bootstrap_asks_for() -> None:
    without, machines = quotas(ENVIRONMENTS["staging"]), 1 + MOST_EXECUTORS
    assert quotas(SPARK)["CPUS"] - without["CPUS"] == SPARK_CPUS == 4 * machines
    assert quotas(SPARK)["DISKS_TOTAL_GB"] == SPARK_DISKS_GB == 400 * machines
    assert "DISKS_TOTAL_GB" not in without


@pytest.mark.parametrize(("destination", "refused"), [("10.11.48.0/22", False), ("10.11.0.0/22", True), (None, True)])
def test_every_port_is_open_within_one_range_alone(destination: str | None, refused: bool) -> None:
    values = {
        "direction": "INGRESS",
        "allow": [{"protocol": "all"}],
        "source_ranges": ["10.11.48.0/22"],
        "destination_ranges": [destination] if destination else None,
    }
    rule = plan.Resource("google_compute_firewall.a", "google_compute_firewall", values, {}, {}, plan.Plan("n", []))
    assert bool(firewall_narrow(rule)) is refused


def test_a_first_deploy_finds_the_api_googles_accounts_and_the_role(stacks: Stacks) -> None:
    events = first_deploy.timeline(SPARK, stacks("spark"))
    prepared = next(event for event in events if event.name == "prepare the project")
    assert f"role {SUBMITTER} of the project's own" in prepared.makes
    foundation = next(event for event in events if event.name == "apply spark-foundation")
    assert f"API {API}" in foundation.makes


def test_a_first_deploy_without_the_role_is_refused(stacks: Stacks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "read_own_roles", dict)
    with pytest.raises(DeadlockError, match=SUBMITTER):
        first_deploy.timeline(SPARK, stacks("spark"))


@pytest.mark.slow
def test_the_provider_accepts_it_and_every_policy_passes(
    stacks: Stacks, engine: Terraform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    parts = ("spark-foundation", "spark-network", "spark-storage")
    chosen: list[Stack] = [copy.deepcopy(stack) for stack in stacks("spark") if stack.name in parts]
    for result in rehearse(chosen, engine):
        file = tmp_path_factory.mktemp("plans") / f"{result.stack}.json"
        file.write_text(json.dumps(result.plan))
        judged = [each for each in plan.read(file).resources if "spark" in each.address]
        assert judged
        assert {each.type for each in judged}.isdisjoint(check.HARMLESS)
        refused = [(p.id, r.address) for p in POLICIES.values() for r in judged if p.judges(r) and p.judge(r)]
        assert refused == []
        if result.stack == "spark-storage":
            assert STAGING in planned(result.plan, "google_storage_bucket")
