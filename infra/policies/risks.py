"""The risks that the policies are proven against: one line each, in our own stacks."""

from typing import Any

from infra.policies.proof import Risk

ANYBODY = "allUsers"
SOMEBODY = "serviceAccount:somebody@elsewhere.iam.gserviceaccount.com"
BUCKET, FIREWALL = "google_storage_bucket", "google_compute_firewall"
CLUSTER = "google_container_cluster.cluster"
ADMISSION = "google_binary_authorization_policy.admission"
ALERT = "google_monitoring_alert_policy.ScoringAvailabilityBurnFast"


def project_grant(role: str, member: str = SOMEBODY) -> dict[str, Any]:
    """A grant on the whole project."""
    return {"project": "acme-leads-prod", "role": role, "member": member}


RISKS = (
    # who may do what
    Risk(
        "anybody reads the models",
        "storage",
        "google_storage_bucket_iam_member.models_scoring_read",
        "member",
        ANYBODY,
        "iam-not-public",
    ),
    Risk(
        "one person is granted something",
        "storage",
        "google_storage_bucket_iam_member.leads_jobs_read",
        "member",
        "user:eve@acme.example",
        "iam-not-personal",
    ),
    Risk(
        "a workload administers its bucket",
        "storage",
        "google_storage_bucket_iam_member.artifacts_mlflow_change",
        "role",
        "roles/storage.admin",
        "iam-no-admin-of-data",
    ),
    Risk(
        "a workload edits the whole project",
        "foundation",
        "google_project_iam_member.jobs_metric_writer",
        "role",
        "roles/editor",
        "iam-no-basic-role",
    ),
    Risk(
        "somebody administers the project's accounts",
        "foundation",
        "google_project_iam_member.risk_admin",
        "",
        project_grant("roles/iam.serviceAccountAdmin"),
        "iam-no-project-admin",
    ),
    Risk(
        "somebody acts as any account of the project",
        "foundation",
        "google_project_iam_member.risk_impersonation",
        "",
        project_grant("roles/iam.serviceAccountTokenCreator"),
        "iam-no-project-admin",
    ),
    Risk(
        "every bucket is readable, instead of one",
        "foundation",
        "google_project_iam_member.risk_buckets",
        "",
        project_grant("roles/storage.objectViewer"),
        "iam-narrow",
    ),
    Risk(
        "every secret is readable, instead of one",
        "foundation",
        "google_project_iam_member.risk_secrets",
        "",
        project_grant("roles/secretmanager.secretAccessor"),
        "iam-narrow",
    ),
    Risk(
        "Google's default account is granted something",
        "foundation",
        "google_project_iam_member.risk_default",
        "",
        project_grant("roles/logging.viewer", "serviceAccount:1-compute@developer.gserviceaccount.com"),
        "iam-default-account",
    ),
    Risk(
        "a grant that takes away all others",
        "foundation",
        "google_project_iam_binding.risk_binding",
        "",
        {"project": "acme-leads-prod", "role": "roles/logging.viewer", "members": [SOMEBODY]},
        "iam-additive",
    ),
    Risk(
        "a key of a service account",
        "foundation",
        "google_service_account_key.risk_key",
        "",
        {"service_account_id": "scoring"},
        "iam-no-key",
    ),
    # where data lies
    Risk(
        "the leads can be opened to the public",
        "storage",
        f"{BUCKET}.leads",
        "public_access_prevention",
        "inherited",
        "CKV_GCP_114",
    ),
    Risk(
        "each object has an access list of its own",
        "storage",
        f"{BUCKET}.predictions",
        "uniform_bucket_level_access",
        False,
        "bucket-uniform",
    ),
    Risk(
        "a deploy may delete the models with the bucket",
        "storage",
        f"{BUCKET}.models",
        "force_destroy",
        True,
        "bucket-kept",
    ),
    Risk(
        "an overwritten artifact is lost",
        "storage",
        f"{BUCKET}.artifacts",
        "versioning.enabled",
        False,
        "bucket-versioned",
    ),
    Risk(
        "a deleted model is gone at once",
        "storage",
        f"{BUCKET}.models",
        "soft_delete_policy.retention_duration_seconds",
        0,
        "bucket-soft-delete",
    ),
    Risk("nobody knows who read the leads", "storage", f"{BUCKET}.leads", "logging", None, "CKV_GCP_62"),
    Risk(
        "a secret's value in the state",
        "foundation",
        "google_secret_manager_secret_version.risk_value",
        "",
        {"secret": "projects/1/secrets/s", "secret_data": "in clear"},
        "secret-not-in-state",
    ),
    Risk(
        "a pushed image tag can be moved",
        "foundation",
        "google_artifact_registry_repository.images",
        "docker_config.immutable_tags",
        False,
        "registry-tags-stay",
    ),
    Risk(
        "images are not scanned",
        "foundation",
        "google_artifact_registry_repository.images",
        "vulnerability_scanning_config.enablement_config",
        "DISABLED",
        "registry-scanned",
    ),
    Risk(
        "a destroy switches an API off for everybody",
        "foundation",
        "google_project_service.storage",
        "disable_on_destroy",
        True,
        "api-stays-on",
    ),
    # what the internet can reach
    Risk(
        "the whole internet reaches the pods",
        "network",
        f"{FIREWALL}.allow-ingress-health-checks",
        "source_ranges",
        ["0.0.0.0/0"],
        "firewall-narrow",
    ),
    Risk(
        "what no rule names is let out",
        "network",
        f"{FIREWALL}.deny-egress",
        "destination_ranges",
        ["10.0.0.0/8"],
        "network-closed",
        at="google_compute_network.network",
    ),
    Risk("the rule that denies is off", "network", f"{FIREWALL}.deny-ingress", "disabled", True, "firewall-on"),
    Risk(
        "what was denied is not on record",
        "network",
        f"{FIREWALL}.deny-ingress",
        "log_config",
        None,
        "firewall-logged",
    ),
    Risk("no flow logs", "network", "google_compute_subnetwork.nodes", "log_config", None, "subnet-flow-logs"),
    Risk(
        "Google's APIs are reached over the internet",
        "network",
        "google_compute_subnetwork.run",
        "private_ip_google_access",
        False,
        "CKV_GCP_74",
    ),
    # what runs
    Risk(
        "the control plane answers at public addresses",
        "cluster",
        CLUSTER,
        "control_plane_endpoints_config.ip_endpoints_config.enabled",
        True,
        "cluster-endpoint",
    ),
    Risk(
        "nodes have public addresses",
        "cluster",
        CLUSTER,
        "private_cluster_config.enable_private_nodes",
        False,
        "cluster-private-nodes",
    ),
    Risk(
        "a bare deploy may delete the cluster",
        "cluster",
        CLUSTER,
        "deletion_protection",
        False,
        "cluster-deletion-protection",
    ),
    Risk(
        "Kubernetes secrets lie unencrypted",
        "cluster",
        CLUSTER,
        "database_encryption",
        {"state": "DECRYPTED"},
        "cluster-secrets-encrypted",
    ),
    Risk(
        "the cluster runs any image",
        "cluster",
        CLUSTER,
        "binary_authorization.evaluation_mode",
        "DISABLED",
        "cluster-binary-authorization",
    ),
    Risk(
        "an unknown image is only logged",
        "cluster",
        ADMISSION,
        "default_admission_rule.enforcement_mode",
        "DRYRUN_AUDIT_LOG_ONLY",
        "admission-enforced",
    ),
    Risk(
        "images of anybody's registry are admitted",
        "cluster",
        ADMISSION,
        "admission_whitelist_patterns.0.name_pattern",
        "docker.io/*",
        "admission-own-registry",
    ),
    # who is told
    Risk("an alert that tells nobody", "alerting", ALERT, "notification_channels", [], "alert-heard"),
    Risk("an alert that is off", "alerting", ALERT, "enabled", False, "alert-on"),
    Risk("a page without a runbook", "alerting", ALERT, "documentation.links", [], "alert-explained"),
    Risk(
        "an alert refused until its metric exists",
        "alerting",
        ALERT,
        "conditions.0.condition_prometheus_query_language.disable_metric_validation",
        False,
        "alert-condition",
    ),
    Risk(
        "the channel of the mails is off",
        "alerting",
        "google_monitoring_notification_channel.mail",
        "enabled",
        False,
        "channel-on",
    ),
)
