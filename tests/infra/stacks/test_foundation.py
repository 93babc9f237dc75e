import re
from pathlib import Path

import pytest

from infra.bindings import App, GcsBackend, GoogleProvider
from infra.components import kms_keys
from infra.environments import DEV, ENVIRONMENTS, PROD
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.synthesis import read
from infra.rehearsal.terraform import Terraform
from infra.stacks.foundation import FoundationStack
from infra.synthesize import synthesize
from tests.infra.conftest import Plans, Stacks, planned


def test_apis_stay_on_when_the_stack_is_destroyed(plans: Plans) -> None:
    services = planned(plans("prod")["foundation"], "google_project_service")
    assert "storage.googleapis.com" in {service["service"] for service in services.values()}
    assert all(service["disable_on_destroy"] is False for service in services.values())


def test_each_workload_has_an_identity_of_its_own(plans: Plans) -> None:
    accounts = planned(plans("prod")["foundation"], "google_service_account")
    assert {name: account["account_id"] for name, account in accounts.items()} == {
        workload: f"acme-leads-prod-{workload}"
        for workload in (
            *("scoring", "jobs", "compact", "reporter", "mlflow", "migrator", "nodes", "smoke", "probe", "watcher"),
        )
    }


def test_the_probe_signs_its_own_tokens_and_nobody_elses(plans: Plans) -> None:
    grants = planned(plans("prod")["foundation"], "google_service_account_iam_member")
    grant = grants["probe_signs"]
    assert grant["role"] == "roles/iam.serviceAccountTokenCreator"
    assert [name for name, each in grants.items() if "TokenCreator" in each["role"]] == ["probe_signs"]


def test_nobody_gets_a_basic_role_an_administrators_role_or_a_key_and_the_public_gets_nothing(plans: Plans) -> None:
    for env in ENVIRONMENTS:
        for plan in plans(env).values():
            for resource in plan["resource_changes"]:
                assert not resource["type"].endswith(("_iam_policy", "_iam_binding", "_account_key")), resource["type"]
                values = resource["change"]["after"]
                role, member = values.get("role") or "", values.get("member") or ""
                assert role not in {"roles/owner", "roles/editor", "roles/viewer"}
                assert not role.endswith(("dmin", "wner", "ditor")), role
                assert not member.startswith(("allUsers", "allAuthenticatedUsers", "domain:", "user:")), member


def test_the_whole_project_is_opened_only_for_what_has_nothing_narrower(plans: Plans) -> None:
    for env in ENVIRONMENTS:
        grants = planned(plans(env)["foundation"], "google_project_iam_member")
        assert {name: grant["role"] for name, grant in grants.items()} == {
            "jobs_metric_writer": "roles/monitoring.metricWriter",
            "compact_metric_writer": "roles/monitoring.metricWriter",
            "reporter_metric_writer": "roles/monitoring.metricWriter",
            "probe_metric_writer": "roles/monitoring.metricWriter",
            "jobs_metric_viewer": "roles/monitoring.viewer",
            "nodes_default": "roles/container.defaultNodeServiceAccount",
            **({"watcher_metric_viewer": "roles/monitoring.viewer"} if ENVIRONMENTS[env].pages else {}),
        }


def test_a_pushed_image_tag_never_moves(plans: Plans) -> None:
    (registry,) = planned(plans("prod")["foundation"], "google_artifact_registry_repository").values()
    assert registry["docker_config"] == [{"immutable_tags": True}]
    assert registry["location"] == PROD.region


def test_the_registry_cannot_be_destroyed_by_mistake(stacks: Stacks) -> None:
    (registry,) = stacks("prod")[0].config["resource"]["google_artifact_registry_repository"].values()
    assert registry["lifecycle"] == {"prevent_destroy": True}


@pytest.mark.slow
def test_names_fit_the_clouds_limits_for_the_longest_prefix_and_id() -> None:
    env = PROD.model_copy(update={"prefix": "a" * 12, "id": "b" * 8})
    type(env).model_validate(env.model_dump())
    resources = [stack.config["resource"] for stack in synthesize(env)]
    accounts = [it["account_id"] for each in resources for it in each.get("google_service_account", {}).values()]
    buckets = [it["name"] for each in resources for it in each.get("google_storage_bucket", {}).values()]
    assert len(accounts) > 8
    assert len(buckets) > 4
    for account in accounts:
        assert re.fullmatch(r"[a-z][-a-z0-9]{4,28}[a-z0-9]", account)
    for bucket in buckets:
        assert re.fullmatch(r"[a-z0-9][-a-z0-9]{1,61}[a-z0-9]", bucket)


def test_keys_rotate_and_only_googles_own_account_for_each_use_may_use_it(plans: Plans) -> None:
    made = planned(plans("prod")["foundation"], "google_kms_crypto_key")
    assert {key["name"] for key in made.values()} == {
        *("backup", "cluster", "database", "images", "run", "secrets", "storage")
    }
    for key in made.values():
        assert key["rotation_period"] == "7776000s"
        assert key["destroy_scheduled_duration"] == "2592000s"
    grants = planned(plans("prod")["foundation"], "google_kms_crypto_key_iam_member")
    assert {name: grant["member"].partition("@")[2].partition(".")[0] for name, grant in grants.items()} == {
        f"key_{use}_agent": agent for use, (agent,) in kms_keys.agents(PROD).items()
    }
    assert {grant["role"] for grant in grants.values()} == {"roles/cloudkms.cryptoKeyEncrypterDecrypter"}


def test_without_keys_of_its_own_an_environment_still_has_one_for_the_clusters_secrets(plans: Plans) -> None:
    assert not DEV.customer_keys
    assert planned(plans("dev")["foundation"], "google_kms_crypto_key").keys() == {"key_cluster"}
    (registry,) = planned(plans("dev")["foundation"], "google_artifact_registry_repository").values()
    assert registry["kms_key_name"] is None


def test_the_registry_waits_until_its_key_may_be_used(stacks: Stacks) -> None:
    (registry,) = stacks("prod")[0].config["resource"]["google_artifact_registry_repository"].values()
    assert "google_kms_crypto_key_iam_member.key_images_agent" in registry["depends_on"]
    assert registry["kms_key_name"] == "${google_kms_crypto_key.key_images.id}"


def test_keys_cannot_be_destroyed_by_mistake(stacks: Stacks) -> None:
    config = stacks("prod")[0].config["resource"]
    for type_name in ("google_kms_key_ring", "google_kms_crypto_key"):
        assert all(each["lifecycle"] == {"prevent_destroy": True} for each in config[type_name].values())


def test_nodes_can_pull_images_and_nothing_more_of_the_registry(plans: Plans) -> None:
    (grant,) = planned(plans("prod")["foundation"], "google_artifact_registry_repository_iam_member").values()
    assert (grant["role"], grant["repository"]) == ("roles/artifactregistry.reader", "acme-leads-prod-images")


def test_secrets_stay_in_the_region_under_the_environments_key_and_their_values_are_in_no_state(plans: Plans) -> None:
    plan = plans("prod")["foundation"]
    assert not planned(plan, "google_secret_manager_secret_version")
    secrets = planned(plan, "google_secret_manager_secret")
    assert secrets.keys() == {"pagerduty_key", "migrator_password", "heartbeat_address"}
    for secret in secrets.values():
        ((replica,),) = [places["replicas"] for places in secret["replication"][0]["user_managed"]]
        assert replica["location"] == PROD.region
        assert len(replica["customer_managed_encryption"]) == 1
        assert secret["deletion_protection"] is True


def test_each_secret_is_read_by_whom_it_is_for(plans: Plans) -> None:
    grants = planned(plans("prod")["foundation"], "google_secret_manager_secret_iam_member")
    assert grants.keys() == {"migrator_password_read", "heartbeat_address_read"}
    assert {grant["role"] for grant in grants.values()} == {"roles/secretmanager.secretAccessor"}
    written = plans("prod")["foundation"]["configuration"]["root_module"]["resources"]
    readers = {
        each["name"]: each["expressions"]["member"]["references"][0]
        for each in written
        if each["type"] == "google_secret_manager_secret_iam_member"
    }
    assert readers == {
        "migrator_password_read": "google_service_account.migrator.email",
        "heartbeat_address_read": "google_service_account.watcher.email",
    }


def test_an_environment_that_pages_nobody_keeps_no_key_of_pagerduty(plans: Plans) -> None:
    assert planned(plans("dev")["foundation"], "google_secret_manager_secret").keys() == {"migrator_password"}


def test_untagged_images_go_after_a_month_but_never_one_in_use_nor_the_newest(
    engine: Terraform, tmp_path: Path
) -> None:
    digest = f"sha256:{'ab' * 32}"
    app = App(outdir=str(tmp_path))
    stack = FoundationStack(app, "prod-foundation", env=PROD, digests_in_use=[digest])
    GoogleProvider(stack, "google", project=PROD.project, region=PROD.region)
    GcsBackend(stack, bucket="states", prefix="prod-foundation")
    app.synth()
    (result,) = rehearse(read(tmp_path), engine)
    (registry,) = planned(result.plan, "google_artifact_registry_repository").values()
    assert registry["cleanup_policy_dry_run"] is False
    policies = {policy["id"]: policy for policy in registry["cleanup_policies"]}
    (untagged,), (in_use,) = policies["untagged"]["condition"], policies["in-use"]["condition"]
    assert (policies["untagged"]["action"], untagged["tag_state"], untagged["older_than"]) == (
        *("DELETE", "UNTAGGED", "2592000s"),
    )
    assert (policies["in-use"]["action"], in_use["version_name_prefixes"]) == ("KEEP", [digest])
    assert (policies["newest"]["action"], policies["newest"]["most_recent_versions"][0]["keep_count"]) == ("KEEP", 10)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_costs_are_told_at_half_at_nine_tenths_and_when_the_budget_is_or_will_be_spent(plans: Plans, env: str) -> None:
    (budget,) = planned(plans(env)["foundation"], "google_billing_budget").values()
    chosen = ENVIRONMENTS[env]
    ((amount,),) = [budget["amount"][0]["specified_amount"]]
    assert (amount["units"], amount["currency_code"]) == (str(chosen.monthly_budget), chosen.currency)
    assert budget["budget_filter"][0]["projects"] == [f"projects/{chosen.project_number}"]
    assert {(rule["threshold_percent"], rule["spend_basis"]) for rule in budget["threshold_rules"]} == {
        (0.5, "CURRENT_SPEND"),
        (0.9, "CURRENT_SPEND"),
        (1, "CURRENT_SPEND"),
        (1, "FORECASTED_SPEND"),
    }
    assert planned(plans(env)["foundation"], "google_monitoring_notification_channel").keys() == {"costs_mail"}
