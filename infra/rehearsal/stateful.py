"""The types whose resources hold what cannot be made again, and what a change of each argument does to them.

No schema tells which arguments replace a resource: that is in the provider's code (`ForceNew`, `CustomizeDiff`).
What is here was read there. An argument that a rule depends on (a disk that may grow but not shrink), or that nobody
has looked up, is in neither list: whether it replaces, only a real plan can tell.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

_CODE = "github.com/hashicorp/terraform-provider-google/blob"


@dataclass(frozen=True, slots=True)
class Stateful:
    """What the provider's code says of a type. A path stands for all that is below it, the longest one counts."""

    source: str  # commit and file
    replaces: tuple[str, ...]
    in_place: tuple[str, ...]
    protection: str | None = None  # the argument by which the provider itself refuses to delete

    @property
    def url(self) -> str:
        """Where it was read."""
        return f"https://{_CODE}/{self.source}"


STATEFUL: Mapping[str, Stateful] = {
    "google_artifact_registry_repository": Stateful(
        source="07fc8657afe854e6679f9e01de04f96955a1f910/google/services/artifactregistry/"
        "resource_artifact_registry_repository.go",
        replaces=("repository_id", "format", "location", "kms_key_name", "mode", "project"),
        in_place=("cleanup_policies", "cleanup_policy_dry_run", "description", "docker_config", "labels"),
    ),
    "google_compute_global_address": Stateful(
        source="006913697a844d7fb7022a025ddba70422a9c2ea/google/services/compute/resource_compute_global_address.go",
        replaces=(
            "name",
            "project",
            "address",
            "address_type",
            "description",
            "ip_version",
            "network",
            "prefix_length",
            "purpose",
        ),
        in_place=(),
    ),
    "google_container_cluster": Stateful(
        source="0297605c600111e010e09edb39901e0806b00a9a/google/services/container/resource_container_cluster.go",
        replaces=(
            "name",
            "location",
            "project",
            "cluster_ipv4_cidr",
            "confidential_nodes",
            "datapath_provider",
            "default_max_pods_per_node",
            "description",
            "enable_autopilot",
            "enable_kubernetes_alpha",
            "enable_tpu",
            "initial_node_count",
            "ip_allocation_policy.cluster_ipv4_cidr_block",
            "ip_allocation_policy.cluster_secondary_range_name",
            "ip_allocation_policy.pod_cidr_overprovision_config",
            "ip_allocation_policy.services_ipv4_cidr_block",
            "ip_allocation_policy.services_secondary_range_name",
            "master_auth.client_certificate_config",
            "network",
            "networking_mode",
            "node_pool",
            "private_cluster_config.enable_private_nodes",
            "private_cluster_config.master_ipv4_cidr_block",
            "private_cluster_config.private_endpoint_subnetwork",
            "subnetwork",
        ),
        in_place=(
            "addons_config",
            "authenticator_groups_config",
            "binary_authorization",
            "control_plane_endpoints_config",
            "cost_management_config",
            "database_encryption",
            "deletion_protection",
            "gke_auto_upgrade_config",
            "logging_config",
            "maintenance_policy",
            "master_authorized_networks_config",
            "min_master_version",
            "monitoring_config",
            "notification_config",
            "private_cluster_config.enable_private_endpoint",
            "private_cluster_config.master_global_access_config",
            "release_channel",
            "resource_labels",
            "secret_manager_config",
            "security_posture_config",
            "service_external_ips_config",
            "vertical_pod_autoscaling",
            "workload_identity_config",
        ),
        protection="deletion_protection",
    ),
    "google_kms_crypto_key": Stateful(
        source="07fc8657afe854e6679f9e01de04f96955a1f910/google/services/kms/resource_kms_crypto_key.go",
        replaces=(
            "key_ring",
            "name",
            "crypto_key_backend",
            "destroy_scheduled_duration",
            "import_only",
            "purpose",
            "version_template.protection_level",
        ),
        in_place=("labels", "rotation_period", "version_template.algorithm"),
    ),
    "google_secret_manager_secret": Stateful(
        source="01ddfb1d26a17bde690190c8ab82efd76f539471/google/services/secretmanager/resource_secret_manager_secret.go",
        replaces=(
            "secret_id",
            "project",
            "replication.user_managed.replicas.location",
            "rotation.rotation_period",
            "ttl",
        ),
        in_place=("annotations", "expire_time", "labels", "rotation.next_rotation_time", "topics", "version_aliases"),
    ),
    "google_sql_database_instance": Stateful(
        source="00bf1042c6917365695c159c34587609b159b841/google/services/sql/resource_sql_database_instance.go",
        replaces=(
            "name",
            "project",
            "region",
            "encryption_key_name",
            "settings.collation",
            "settings.disk_type",
        ),
        in_place=(
            "deletion_protection",
            "settings.tier",
            "settings.activation_policy",
            "settings.availability_type",
            "settings.backup_configuration",
            "settings.database_flags",
            "settings.deletion_protection_enabled",
            "settings.disk_autoresize",
            "settings.disk_autoresize_limit",
            "settings.insights_config",
            "settings.ip_configuration.authorized_networks",
            "settings.ip_configuration.ipv4_enabled",
            "settings.ip_configuration.ssl_mode",
            "settings.maintenance_window",
            "settings.password_validation_policy",
            "settings.retain_backups_on_delete",
            "settings.user_labels",
        ),
        protection="deletion_protection",
    ),
    "google_storage_bucket": Stateful(
        source="0262be693c00e5902e2190d2ae307d6112467e31/google/services/storage/resource_storage_bucket.go",
        replaces=(
            "name",
            "location",
            "project",
            "enable_object_retention",
            "custom_placement_config.data_locations",
            "hierarchical_namespace",
        ),
        in_place=(
            "autoclass",
            "cors",
            "default_event_based_hold",
            "encryption",
            "force_destroy",
            "labels",
            "lifecycle_rule",
            "logging",
            "public_access_prevention",
            "requester_pays",
            "retention_policy.retention_period",
            "rpo",
            "soft_delete_policy",
            "storage_class",
            "uniform_bucket_level_access",
            "versioning",
            "website",
        ),
    ),
}

# Cloud Run's services and jobs hold nothing, and are protected all the same unless told otherwise.
PROTECTION = {type_name: known.protection for type_name, known in STATEFUL.items() if known.protection} | {
    "google_cloud_run_v2_job": "deletion_protection",
    "google_cloud_run_v2_service": "deletion_protection",
}


def replaces(type_name: str, before: Any, after: Any) -> list[str]:
    """The changed arguments that make the provider replace the resource."""
    return _changed_by(True, type_name, before, after)


def may_replace(type_name: str, before: Any, after: Any) -> list[str]:
    """The changed arguments of a stateful resource of which the table does not know what they do."""
    return _changed_by(None, type_name, before, after)


def changed(before: Any, after: Any) -> list[str]:
    """The paths that differ, without positions: settings.tier."""
    return sorted(set(_changed(before, after, "")))


def _changed_by(rule: bool | None, type_name: str, before: Any, after: Any) -> list[str]:
    if type_name not in STATEFUL:
        return []
    return [path for path in changed(before, after) if _rule(STATEFUL[type_name], path) is rule]


def _changed(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        old, new = (value if isinstance(value, Mapping) else {} for value in (before, after))
        for name in old.keys() | new.keys():
            yield from _changed(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif isinstance(before, list) or isinstance(after, list):
        for one, other in zip_longest(*(value if isinstance(value, list) else [] for value in (before, after))):
            yield from _changed(one, other, path)
    elif before != after and not (before in _UNSET and after in _UNSET):
        yield path


# What a provider of this kind cannot tell apart.
_UNSET: tuple[Any, ...] = (None, "")


def _rule(known: Stateful, path: str) -> bool | None:
    """Whether a change there replaces; None where the table does not say."""
    steps = path.split(".")
    for length in range(len(steps), 0, -1):
        above = ".".join(steps[:length])
        if above in known.replaces:
            return True
        if above in known.in_place:
            return False
    return None
