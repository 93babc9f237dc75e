"""Where data lies: buckets, database, secrets, keys, images."""

import re

from infra.policies.plan import UNKNOWN, Resource
from infra.policies.policy import other_than, policy, require, unset

BUCKET, DATABASE = "google_storage_bucket", "google_sql_database_instance"
REGISTRY = "google_artifact_registry_repository"

require(
    "bucket-not-public",
    BUCKET,
    "public_access_prevention",
    "enforced",
    because="no grant, by whomever, can open a bucket to the public",
)
require(
    "bucket-uniform",
    BUCKET,
    "uniform_bucket_level_access",
    True,
    because="grants on a bucket are all there is: no object has a list of its own",
)
require(
    "bucket-versioned",
    BUCKET,
    "versioning.enabled",
    True,
    because="what is overwritten or deleted can be brought back",
)
require(
    "bucket-kept",
    BUCKET,
    "force_destroy",
    False,
    because="a bucket that holds anything cannot be destroyed",
)


@policy("bucket-soft-delete", BUCKET)
def soft_delete(r: Resource) -> str | None:
    """What somebody deletes for good comes back for a week."""
    seconds = r.at("soft_delete_policy.retention_duration_seconds")
    return (
        None if seconds and seconds[0] >= 7 * 86_400 else f"soft delete for {seconds[0] if seconds else 'no'} seconds"
    )


@policy("bucket-ends", BUCKET)
def lifecycle(r: Resource) -> str | None:
    """Nothing deleted is kept, or paid for, for ever."""
    rules = [rule for rule in r.at("lifecycle_rule") if isinstance(rule, dict)]
    ends = any(
        rule["action"][0].get("type") == "Delete" and rule["condition"][0].get("with_state") == "ARCHIVED"
        for rule in rules
        if rule.get("action") and rule.get("condition")
    )
    return None if ends else "noncurrent versions are kept for ever"


@policy(
    "bucket-no-acl",
    "google_storage_bucket_acl",
    "google_storage_object_acl",
    "google_storage_bucket_access_control",
    "google_storage_object_access_control",
    "google_storage_default_object_*",
)
def no_acl(r: Resource) -> str | None:
    """Access is granted with IAM alone."""
    return f"{r.type} goes around IAM"


require(
    "database-no-public-address",
    DATABASE,
    "settings.ip_configuration.ipv4_enabled",
    False,
    because="the database has no public address",
)
require(
    "database-encrypted",
    DATABASE,
    "settings.ip_configuration.ssl_mode",
    "ENCRYPTED_ONLY",
    "TRUSTED_CLIENT_CERTIFICATE_REQUIRED",
    because="every connection is encrypted",
)
require("database-backups", DATABASE, "settings.backup_configuration.enabled", True, because="there is a backup")
require(
    "database-terraform-protection",
    DATABASE,
    "deletion_protection",
    True,
    because="Terraform cannot delete the database",
)
require(
    "database-cloud-protection",
    DATABASE,
    "settings.deletion_protection_enabled",
    True,
    because="nor can anybody else",
)


@policy("database-no-network", DATABASE)
def no_network(r: Resource) -> str | None:
    """No network outside ours is let in."""
    return None if not r.at("settings.ip_configuration.authorized_networks") else "lets networks in by their address"


@policy("database-iam-login", DATABASE)
def iam_login(r: Resource) -> str | None:
    """Workloads log in with their identity, not with a password."""
    flags = {f["name"]: f["value"] for f in r.at("settings.database_flags") if isinstance(f, dict)}
    on = flags.get("cloudsql.iam_authentication") == "on"
    return None if on else "the flag cloudsql.iam_authentication is not on"


@policy("database-extensions", DATABASE)
def extensions(r: Resource) -> str | None:
    """An extension that a flag loads is created by the migration; until then the flag does nothing."""
    names = {str(f["name"]) for f in r.at("settings.database_flags") if isinstance(f, dict) and f["value"] != "off"}
    loaded = {found[1] for name in names if (found := re.fullmatch(r"cloudsql\.enable_(\w+)", name))}
    loaded |= {name.partition(".")[0] for name in names if "." in name} - {"cloudsql"}
    created = {
        extension
        for job in r.plan.of("google_cloud_run_v2_job")
        for variable in job.at("template.template.containers.env")
        if isinstance(variable, dict) and variable["name"] == "TRACKING_EXTENSIONS"
        for extension in str(variable["value"]).split(",")
    }
    missing = sorted(loaded - created)
    return f"sets flags of {missing[0]}, and no job creates that extension" if missing else None


@policy("database-no-password-in-state", "google_sql_user", DATABASE)
def no_password(r: Resource) -> str | None:
    """No password in the state: IAM users have none, and a write-only argument leaves none."""
    held = [name for name in ("password", "root_password") if not unset(r, name)]
    return f"the state would hold {held[0]}" if held else None


@policy("secret-not-in-state", "google_secret_manager_secret_version", "google_secret_manager_secret")
def secret_not_in_state(r: Resource) -> str | None:
    """Secret Manager's values come from people or write-only: the state would hold them in clear."""
    return None if unset(r, "secret_data") else "the state would hold secret_data"


@policy("secret-place", "google_secret_manager_secret")
def secret_place(r: Resource) -> str | None:
    """A secret lies in regions that the stack names."""
    return None if r.at("replication.user_managed.replicas.location") else "Google chooses where it lies"


require(
    "registry-tags-stay",
    REGISTRY,
    "docker_config.immutable_tags",
    True,
    because="a tag, once pushed, stays what it is",
)
require(
    "registry-scanned",
    REGISTRY,
    "vulnerability_scanning_config.enablement_config",
    "INHERITED",
    because="images are scanned for known holes",
)


@policy("registry-cleaned", REGISTRY)
def registry_cleaned(r: Resource) -> str | None:
    """Old images go; what a dry run would delete stays."""
    actions = r.at("cleanup_policies.action")
    if "DELETE" not in actions:
        return "no clean-up policy deletes anything"
    return other_than(r, "cleanup_policy_dry_run", False)


@policy("key-rotated", "google_kms_crypto_key")
def key_rotated(r: Resource) -> str | None:
    """A key is renewed at least every ninety days."""
    # CIS Google Cloud Foundation Benchmark 1.10
    found = r.at("rotation_period")
    days = int(str(found[0]).rstrip("s")) / 86_400 if found and found[0] is not UNKNOWN else float("inf")
    return None if days <= 90 else f"rotation_period is {found[0] if found else 'not set'}"
