"""The types whose resources hold what cannot be made again, or what others point to, and what protects them."""

STATEFUL = frozenset(
    {
        "google_artifact_registry_repository",
        "google_certificate_manager_certificate",
        "google_certificate_manager_dns_authorization",
        "google_compute_address",
        "google_compute_global_address",
        "google_compute_network",
        "google_compute_subnetwork",
        "google_container_cluster",
        "google_dns_managed_zone",
        "google_gke_backup_backup_plan",
        "google_kms_crypto_key",
        "google_kms_key_ring",
        "google_logging_project_bucket_config",
        "google_secret_manager_secret",
        "google_service_networking_connection",
        "google_sql_database",
        "google_sql_database_instance",
        "google_storage_bucket",
    }
)

# The argument by which the provider itself refuses to delete. Cloud Run's services and jobs hold nothing, and are
# protected all the same unless their code says otherwise.
PROTECTION = {
    "google_cloud_run_v2_job": "deletion_protection",
    "google_cloud_run_v2_service": "deletion_protection",
    "google_container_cluster": "deletion_protection",
    "google_sql_database_instance": "deletion_protection",
}
