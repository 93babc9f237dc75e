"""Keys of an environment's own, and who may encrypt with them."""

from collections.abc import Sequence
from typing import Any

from infra.bindings import Key, KeyIamMember, KeyRing, KeyVersions, Lifecycle, TerraformStack
from infra.environment import Environment

# Who encrypts with each key: Google's own accounts in the project. https://cloud.google.com/iam/docs/service-agents
# One that is not there yet is made by `gcloud beta services identity create`, which this provider version cannot.
SECRETS_KEY = {"cluster": "container-engine-robot"}
CUSTOMER_KEYS = {
    "backup": "gcp-sa-gkebackup",
    "database": "gcp-sa-cloud-sql",
    "images": "gcp-sa-artifactregistry",
    "run": "serverless-robot-prod",
    "secrets": "gcp-sa-secretmanager",
    "storage": "gs-project-accounts",
}


def add_keys(stack: TerraformStack, env: Environment, *, after: Sequence[Any]) -> tuple[dict[str, str], list[Any]]:
    """The keys' ids by use, and the grants without which nothing can be encrypted with them."""
    kept = Lifecycle(prevent_destroy=True)
    ring = KeyRing(stack, "keys", name=env.name("keys"), location=env.region, depends_on=list(after), lifecycle=kept)
    keys, grants = {}, []
    for use, agent in (SECRETS_KEY | (CUSTOMER_KEYS if env.customer_keys else {})).items():
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
        grants.append(
            KeyIamMember(
                stack,
                f"key_{use}_agent",
                crypto_key_id=key.id,
                role="roles/cloudkms.cryptoKeyEncrypterDecrypter",
                member=f"serviceAccount:service-{env.project_number}@{agent}.iam.gserviceaccount.com",
            )
        )
    return keys, grants
