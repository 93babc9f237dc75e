"""The types whose resources hold what cannot be made again, or what others point to."""

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
