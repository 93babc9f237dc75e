"""Keys of an environment's own, and who may encrypt with them."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.bindings import Key, KeyIamMember, KeyRing, KeyVersions, Lifecycle, TerraformStack
from infra.environment import Environment

# Who encrypts with each key: Google's own accounts in the project. https://cloud.google.com/iam/docs/service-agents
# One that is not there yet is made by `gcloud beta services identity create`, which this provider version cannot.
SECRETS_KEY = {"cluster": ("container-engine-robot",)}
CUSTOMER_KEYS = {
    "backup": ("gcp-sa-gkebackup",),
    "database": ("gcp-sa-cloud-sql",),
    "images": ("gcp-sa-artifactregistry",),
    "run": ("serverless-robot-prod",),
    "secrets": ("gcp-sa-secretmanager",),
    "storage": ("gs-project-accounts",),
}
# The disks of a batch's machines. https://cloud.google.com/dataproc-serverless/docs/guides/cmek-serverless
SPARK_KEY = {"spark": ("dataproc-accounts", "compute-system")}


def agents(env: Environment) -> Mapping[str, Sequence[str]]:
    """The keys of an environment by use, each with Google's accounts that encrypt with it."""
    spark = SPARK_KEY if env.record_engine == "spark" else {}
    return SECRETS_KEY | (CUSTOMER_KEYS | spark if env.customer_keys else {})


def add_keys(stack: TerraformStack, env: Environment, *, after: Sequence[Any]) -> tuple[dict[str, str], list[Any]]:
    """The keys' ids by use, and the grants without which nothing can be encrypted with them."""
    kept = Lifecycle(prevent_destroy=True)
    ring = KeyRing(stack, "keys", name=env.name("keys"), location=env.region, depends_on=list(after), lifecycle=kept)
    keys, grants = {}, []
    for use, users in agents(env).items():
        key = Key(
            stack,
            f"key_{use}",
            name=use,
            key_ring=ring.id,
            purpose="ENCRYPT_DECRYPT",
            rotation_period=f"{90 * 86_400}s",
            destroy_scheduled_duration=f"{30 * 86_400}s",  # the days in which a destroyed version can come back
            version_template=KeyVersions(algorithm="GOOGLE_SYMMETRIC_ENCRYPTION", protection_level="SOFTWARE"),
            lifecycle=kept,
        )
        keys[use] = str(key.id)
        grants += [
            KeyIamMember(
                stack,
                f"key_{use}_agent" if user == users[0] else f"key_{use}_{user}",
                crypto_key_id=key.id,
                role="roles/cloudkms.cryptoKeyEncrypterDecrypter",
                member=f"serviceAccount:service-{env.project_number}@{user}.iam.gserviceaccount.com",
            )
            for user in users
        ]
    return keys, grants
