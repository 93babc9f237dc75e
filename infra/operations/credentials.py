"""The environment variables of a real Terraform, and whose credentials the Google provider will find in them.

With a person's credentials Google counts requests against a project of its own, where the Budget API answers 403. So
a person's requests name the environment's project as their quota project. CI's accounts must not: that takes
`serviceusage.services.use`, which the planner lacks.
https://registry.terraform.io/providers/hashicorp/google/6.50.0/docs/resources/billing_budget
"""

import json
from collections.abc import Mapping
from pathlib import Path

# Where version 6.50.0 of the provider looks: a token goes before a key, a key before the default credentials. With
# IMPERSONATED the requests are the named service account's, whoever asks for it.
# https://github.com/hashicorp/terraform-provider-google/blob/v6.50.0/google/transport/config.go
TOKEN = "GOOGLE_OAUTH_ACCESS_TOKEN"  # noqa: S105 - a variable's name
IMPERSONATED = "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT"
KEYS = ("GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON")  # a path, or the JSON itself
DEFAULT = "GOOGLE_APPLICATION_CREDENTIALS"  # a path
DEFAULT_FILE = ".config/gcloud/application_default_credentials.json"  # below HOME

# What `gcloud auth application-default login` writes for an account of Google's, and for one of a workforce pool.
# CI's are `external_account`.
OF_A_PERSON = frozenset({"authorized_user", "external_account_authorized_user"})


def unattended(environ: Mapping[str, str], project: str) -> dict[str, str]:
    """The environment of a real Terraform, which prompts for nothing.

    A person's requests have `project` as their quota project, unless the variables for that are set already.
    """
    quota = {"USER_PROJECT_OVERRIDE": "true", "GOOGLE_BILLING_PROJECT": project} if of_a_person(environ) else {}
    return {**quota, **environ, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}


def of_a_person(environ: Mapping[str, str]) -> bool:
    """Whether the provider finds a person's credentials. A bare access token does not tell, and counts as none."""
    if environ.get(TOKEN) or environ.get(IMPERSONATED):
        return False
    given = next((environ[name] for name in KEYS if environ.get(name)), "")
    if not given.lstrip().startswith("{"):
        given = _text(given or environ.get(DEFAULT) or f"{environ.get('HOME', '~')}/{DEFAULT_FILE}")
    try:
        found = json.loads(given)
    except ValueError:
        return False  # Terraform says what is wrong with it
    return isinstance(found, dict) and found.get("type") in OF_A_PERSON


def _text(path: str) -> str:
    try:
        return Path(path).expanduser().read_text()
    except (OSError, UnicodeDecodeError):
        return ""
