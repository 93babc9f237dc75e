"""What the bindings do not tell about the types in use. Tests compare it with the real provider's schema."""

from typing import Any

# Arguments whose values Terraform must not print.
SENSITIVE: dict[str, frozenset[str]] = {
    "google_container_cluster": frozenset({"master_auth.client_key"}),
    "google_certificate_manager_certificate": frozenset(
        {
            "self_managed.certificate_pem",
            "self_managed.pem_private_key",
            "self_managed.private_key_pem",
        }
    ),
    "google_compute_backend_service": frozenset(
        {
            "iap.oauth2_client_secret",
            "iap.oauth2_client_secret_sha256",
            "security_settings.aws_v4_authentication.access_key",
        }
    ),
    "google_sql_database_instance": frozenset({"replica_configuration.password", "root_password", "server_ca_cert"}),
    "google_sql_user": frozenset({"password"}),
    "google_monitoring_uptime_check_config": frozenset({"http_check.auth_info.password"}),
    "google_monitoring_notification_channel": frozenset(
        {"sensitive_labels.auth_token", "sensitive_labels.password", "sensitive_labels.service_key"}
    ),
}

# What the cloud would answer: values that others are built from, so that a plan reads as it will read.
# {project} is the provider's project; other names are arguments of the same resource.
ANSWERS: dict[str, dict[str, str]] = {
    "google_artifact_registry_repository": {"name": "{repository_id}"},
    "google_compute_network": {"id": "projects/{project}/global/networks/{name}"},
    "google_compute_subnetwork": {"id": "projects/{project}/regions/{region}/subnetworks/{name}"},
    "google_container_cluster": {"id": "projects/{project}/locations/{location}/clusters/{name}"},
    "google_kms_crypto_key": {"id": "{key_ring}/cryptoKeys/{name}"},
    "google_kms_key_ring": {"id": "projects/{project}/locations/{location}/keyRings/{name}"},
    "google_secret_manager_secret": {"id": "projects/{project}/secrets/{secret_id}"},
    "google_sql_database_instance": {"private_ip_address": "10.0.0.3"},
    "google_service_account": {
        "email": "{account_id}@{project}.iam.gserviceaccount.com",
        "member": "serviceAccount:{account_id}@{project}.iam.gserviceaccount.com",
    },
}

# What a data source answers where a stack takes the answer apart; a rehearsal's output shows those in use.
EXAMPLES: dict[str, dict[str, Any]] = {
    "google_container_cluster": {
        "control_plane_endpoints_config": [
            {
                "dns_endpoint_config": [
                    {"allow_external_traffic": True, "endpoint": "gke-0a1b2c.europe-west1.gke.goog"}
                ],
                "ip_endpoints_config": [{"enabled": False}],
            }
        ]
    },
    "google_sql_ca_certs": {
        "certs": [
            {"cert": f"-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----"}
            for name in ("rehearsed-now", "rehearsed-next")
        ]
    },
    "kubernetes_service_v1": {
        "metadata.0.annotations": {
            "cloud.google.com/neg-status": '{"network_endpoint_groups":{"8080":"leadscoring"},'
            '"zones":["europe-west1-b","europe-west1-c","europe-west1-d"]}'
        }
    },
}
