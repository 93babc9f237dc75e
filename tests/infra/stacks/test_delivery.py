import gzip
import json
import os
from typing import Any

import pytest

from infra.environments import ENVIRONMENTS, PROD
from infra.operations import owner
from infra.rehearsal.masking import Plan
from infra.rehearsal.synthesis import types
from infra.stacks.delivery import VIEWERS
from tests.infra.conftest import Plans, Stacks, planned

POOL = f"projects/{PROD.project_number}/locations/global/workloadIdentityPools/acme-leads-prod-ci"


# By role of the planner, the types that it lets Terraform refresh, each with the permission that this takes: what the
# provider's Read asks for at v6.50.0.
READS = {
    "roles/artifactregistry.reader": {
        "google_artifact_registry_repository": "artifactregistry.repositories.get",
    },
    "roles/billing.viewer": {
        "google_billing_budget": "billing.budgets.get",
    },
    "roles/binaryauthorization.policyViewer": {
        "google_binary_authorization_policy": "binaryauthorization.policy.get",
    },
    "roles/certificatemanager.viewer": {
        "google_certificate_manager_certificate": "certificatemanager.certs.get",
        "google_certificate_manager_certificate_map": "certificatemanager.certmaps.get",
        "google_certificate_manager_certificate_map_entry": "certificatemanager.certmapentries.get",
        "google_certificate_manager_dns_authorization": "certificatemanager.dnsauthorizations.get",
    },
    "roles/cloudkms.viewer": {
        "google_kms_crypto_key": "cloudkms.cryptoKeys.get",
        "google_kms_key_ring": "cloudkms.keyRings.get",
    },
    "roles/cloudscheduler.viewer": {
        "google_cloud_scheduler_job": "cloudscheduler.jobs.get",
    },
    "roles/cloudsql.viewer": {
        "google_sql_ca_certs": "cloudsql.instances.listServerCas",
        "google_sql_database": "cloudsql.databases.get",
        "google_sql_database_instance": "cloudsql.instances.get",
        "google_sql_user": "cloudsql.users.list",
    },
    "roles/compute.networkViewer": {
        "google_service_networking_connection": "servicenetworking.services.get",
    },
    "roles/compute.viewer": {
        "google_compute_address": "compute.addresses.get",
        "google_compute_backend_service": "compute.backendServices.get",
        "google_compute_firewall": "compute.firewalls.get",
        "google_compute_global_address": "compute.globalAddresses.get",
        "google_compute_global_forwarding_rule": "compute.globalForwardingRules.get",
        "google_compute_health_check": "compute.healthChecks.get",
        "google_compute_network": "compute.networks.get",
        "google_compute_router": "compute.routers.get",
        "google_compute_router_nat": "compute.routers.get",
        "google_compute_security_policy": "compute.securityPolicies.get",
        "google_compute_ssl_policy": "compute.sslPolicies.get",
        "google_compute_subnetwork": "compute.subnetworks.get",
        "google_compute_target_http_proxy": "compute.targetHttpProxies.get",
        "google_compute_target_https_proxy": "compute.targetHttpsProxies.get",
        "google_compute_url_map": "compute.urlMaps.get",
    },
    "roles/container.viewer": {
        "google_container_cluster": "container.clusters.get",
        "kubernetes_config_map_v1": "container.configMaps.get",
        "kubernetes_manifest": "container.clusters.connect",
        "kubernetes_service_v1": "container.services.get",
    },
    "roles/dns.reader": {
        "google_dns_managed_zone": "dns.managedZones.get",
        "google_dns_record_set": "dns.resourceRecordSets.list",
    },
    "roles/gkebackup.viewer": {
        "google_gke_backup_backup_plan": "gkebackup.backupPlans.get",
    },
    "roles/iam.securityReviewer": {
        "google_artifact_registry_repository_iam_member": "artifactregistry.repositories.getIamPolicy",
        "google_cloud_run_v2_job_iam_member": "run.jobs.getIamPolicy",
        "google_cloud_run_v2_service_iam_member": "run.services.getIamPolicy",
        "google_iap_web_backend_service_iam_member": "iap.webServices.getIamPolicy",
        "google_kms_crypto_key_iam_member": "cloudkms.cryptoKeys.getIamPolicy",
        "google_project_iam_audit_config": "resourcemanager.projects.getIamPolicy",
        "google_project_iam_member": "resourcemanager.projects.getIamPolicy",
        "google_secret_manager_secret_iam_member": "secretmanager.secrets.getIamPolicy",
        "google_service_account_iam_member": "iam.serviceAccounts.getIamPolicy",
        "google_storage_bucket_iam_member": "storage.buckets.getIamPolicy",
    },
    "roles/iam.serviceAccountViewer": {
        "google_service_account": "iam.serviceAccounts.get",
    },
    "roles/iam.workloadIdentityPoolViewer": {
        "google_iam_workload_identity_pool": "iam.googleapis.com/workloadIdentityPools.get",
        "google_iam_workload_identity_pool_provider": "iam.googleapis.com/workloadIdentityPoolProviders.get",
    },
    "roles/logging.viewer": {
        "google_logging_metric": "logging.logMetrics.get",
        "google_logging_project_bucket_config": "logging.buckets.get",
        "google_logging_project_exclusion": "logging.exclusions.get",
        "google_logging_project_sink": "logging.sinks.get",
    },
    "roles/monitoring.viewer": {
        "google_monitoring_alert_policy": "monitoring.alertPolicies.get",
        "google_monitoring_dashboard": "monitoring.dashboards.get",
        "google_monitoring_notification_channel": "monitoring.notificationChannels.get",
        "google_monitoring_uptime_check_config": "monitoring.uptimeCheckConfigs.get",
    },
    "roles/run.viewer": {
        "google_cloud_run_v2_job": "run.jobs.get",
        "google_cloud_run_v2_service": "run.services.get",
    },
    "roles/secretmanager.viewer": {
        "google_secret_manager_secret": "secretmanager.secrets.get",
    },
    "roles/serviceusage.serviceUsageViewer": {
        "google_project_service": "serviceusage.services.list",
    },
    "roles/storage.bucketViewer": {
        "google_storage_bucket": "storage.buckets.get",
    },
}


def provider(plan: Plan) -> dict[str, Any]:
    (found,) = planned(plan, "google_iam_workload_identity_pool_provider").values()
    return found


def holder(plan: Plan, type_name: str, name: str, argument: str = "member") -> str:
    """The account that a grant is for, by its name within the stack."""
    (resource,) = (
        resource
        for resource in plan["configuration"]["root_module"]["resources"]
        if (resource["type"], resource["name"]) == (type_name, name)
    )
    return str(resource["expressions"][argument]["references"][-1]).removeprefix("google_service_account.")


def test_only_githubs_own_tokens_for_the_one_branch_of_the_one_repository_are_taken(plans: Plans) -> None:
    for env in ENVIRONMENTS.values():
        found = provider(plans(env.id)["delivery"])
        assert found["attribute_condition"] == (
            f"assertion.repository_id == '{env.github_repository_id}' "
            f"&& assertion.repository_owner_id == '{env.github_owner_id}' "
            f"&& assertion.ref == 'refs/heads/{env.github_branch}'"
        )
        assert found["disabled"] is False
        (oidc,) = found["oidc"]
        assert oidc["issuer_uri"] == "https://token.actions.githubusercontent.com"
        assert oidc["allowed_audiences"][0].startswith("https://iam.googleapis.com/projects/")


def test_a_job_without_an_environment_is_no_error(plans: Plans) -> None:
    mapping = provider(plans("prod")["delivery"])["attribute_mapping"]
    assert mapping["attribute.event_environment"] == (
        "assertion.event_name + ':' + (has(assertion.environment) ? assertion.environment : 'none')"
    )


def test_each_account_is_lent_to_named_events_and_the_deployer_to_the_protected_environment(plans: Plans) -> None:
    plan = plans("prod")["delivery"]
    lent = planned(plan, "google_service_account_iam_member")
    signs = lent.pop("deployer_smoke")
    callers = f"principalSet://iam.googleapis.com/{POOL}/attribute.event_environment"
    assert {name: grant["member"] for name, grant in lent.items()} == {
        "planner_ci_push": f"{callers}/push:none",
        "planner_ci_schedule": f"{callers}/schedule:none",
        "planner_ci_workflow_dispatch": f"{callers}/workflow_dispatch:none",
        "deployer_ci_push": f"{callers}/push:prod",
    }
    assert {grant["role"] for grant in lent.values()} == {"roles/iam.workloadIdentityUser"}
    for name in lent:
        account = holder(plan, "google_service_account_iam_member", name, "service_account_id")
        assert account == name.partition("_")[0]
    # The deployer signs as the account of the smoke test and as no other.
    assert signs["role"] == "roles/iam.serviceAccountTokenCreator"
    assert signs["service_account_id"].endswith("/acme-leads-prod-smoke@acme-leads-prod.iam.gserviceaccount.com")
    assert holder(plan, "google_service_account_iam_member", "deployer_smoke") == "deployer"


def test_the_planner_can_look_at_everything_and_change_nothing(plans: Plans) -> None:
    plan = plans("prod")["delivery"]
    grants = planned(plan, "google_project_iam_member")
    assert {grant["role"] for grant in grants.values()} == set(VIEWERS)
    assert all(holder(plan, "google_project_iam_member", name) == "planner" for name in grants)
    readers = ("iewer", "eader", "securityReviewer")
    assert all(role.endswith(readers) for role in VIEWERS)
    assert {"roles/iam.securityReviewer", "roles/container.viewer"} <= set(VIEWERS)


def test_every_type_that_terraform_refreshes_is_covered_by_a_role_of_the_planner(stacks: Stacks) -> None:
    everything = [stack for env in ENVIRONMENTS for stack in stacks(env)]
    refreshed = types(everything, "resource") | types(everything, "data") - {"terraform_remote_state"}
    assert {type_name for table in READS.values() for type_name in table} == refreshed
    assert set(READS) <= {*VIEWERS, owner.BILLING["planner"]}


@pytest.mark.parametrize("role", READS)
def test_googles_role_holds_the_permissions_that_the_planner_needs_of_it(role: str) -> None:
    path = os.environ.get("GOOGLE_IAM_ROLES")
    if not path:
        pytest.skip("GOOGLE_IAM_ROLES does not name a table of Google's roles and their permissions (JSON, gzip)")
    with gzip.open(path) as file:
        held = json.load(file)["roles"][role]
    assert set(READS[role].values()) <= set(held)


def test_nobody_reads_secrets_or_what_is_in_the_buckets(plans: Plans) -> None:
    assert not any("secretAccessor" in role or role.startswith("roles/storage.object") for role in VIEWERS)
    grants = planned(plans("prod")["delivery"], "google_storage_bucket_iam_member")
    assert {grant["bucket"] for grant in grants.values()} == {"acme-leads-prod-state"}


def test_the_planner_reads_states_and_takes_no_lock(plans: Plans) -> None:
    plan = plans("prod")["delivery"]
    grants = planned(plan, "google_storage_bucket_iam_member")
    assert {name: grant["role"] for name, grant in grants.items()} == {
        "planner_states": "roles/storage.objectViewer",
        "deployer_states": "roles/storage.objectUser",
    }
    for name in grants:
        assert holder(plan, "google_storage_bucket_iam_member", name) == name.removesuffix("_states")


def test_the_state_that_holds_the_pagerduty_key_is_the_deployers_alone(plans: Plans) -> None:
    assert PROD.pages
    for env in ENVIRONMENTS.values():
        grant = planned(plans(env.id)["delivery"], "google_storage_bucket_iam_member")["planner_states"]
        kept = f"projects/_/buckets/acme-leads-{env.id}-state/objects/{env.id}-alerting/"
        expressions = [condition["expression"] for condition in grant["condition"]]
        assert expressions == ([f'!resource.name.startsWith("{kept}")'] if env.pages else [])


def test_the_deployer_raises_nobodys_rights_not_even_its_own(plans: Plans) -> None:
    plan = plans("prod")["delivery"]
    assert not [name for name in planned(plan, "google_project_iam_member") if "planner" not in name or "dmin" in name]
