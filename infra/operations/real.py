"""The real plan: real providers from the registry, the real backend, the caller's credentials.

It changes nothing, and knows nothing of stand-ins but how to refuse them.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra import releases
from infra.rehearsal.isolation import BackendError
from infra.rehearsal.masking import mask
from infra.rehearsal.server import REATTACH
from infra.rehearsal.steps import Planned, StackError, Step, doing, silent
from infra.rehearsal.synthesis import Stack
from infra.rehearsal.terraform import Terraform

REMEDIES = (
    (
        "could not find default credentials",
        "Log in: `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS.",
    ),
    (
        "querying Cloud Storage failed",
        "The state bucket cannot be read: does it exist, may you read it, does the network reach Google?",
    ),
    (
        "Failed to query available provider packages",
        "Terraform could not reach registry.terraform.io: allow it, or name a mirror in TF_CLI_CONFIG_FILE.",
    ),
    (
        "iam.gserviceaccount.com does not exist",
        "Google makes some accounts at their first use: run what `scripts/bootstrap ENV --owner` prints, deploy again.",
    ),
    (
        "has not been used in project",
        "The API that it names is off, or was turned on minutes ago: foundation turns on all of them; deploy again.",
    ),
    (
        # The gcs backend answers with an empty state where there is none yet.
        'does not have an attribute named "cross-stack-output',
        "A stack before this one is not deployed yet: deploy it first, its outputs are needed here.",
    ),
    (
        "names no digest of",
        "`scripts/deploy ENV --build` builds and pushes the images and writes their digests to that file.",
    ),
    (
        # Retried by later versions of the provider: changelog.toml, 7.22.0.
        "Request had invalid authentication credentials",
        "A service account of Google's is some minutes old: run the same command again. If it stays, log in again.",
    ),
    (
        "sync mutate calls cannot be queued",  # Retried by later versions: changelog.toml, 7.40.0.
        "Cloud Scheduler was busy with another job: run the same command again.",
    ),
    (
        "still using this connection",
        "A deleted database uses its peering for up to four days: run the same command again then.",
    ),
    (
        "Error 409",
        "It is there, and Terraform's state does not know it: infra/README.md, `Deploy again after a destroy`.",
    ),
    (
        "No value for required variable",
        "Set TF_VAR_<variable> for this command; read it from Secret Manager, write it to no file.",
    ),
)


class StandInError(Exception):
    """Something of a rehearsal, or of a provider's developer, is in the way of a real plan."""


def plan(
    stacks: Sequence[Stack],
    terraform: Terraform,
    *,
    folder: Path,
    environ: Mapping[str, str],
    step: Step = silent,
) -> list[Planned]:
    """Plan the stacks in this order, each in its own folder below `folder`, which keeps the providers.

    Raises StandInError, BackendError, StackError.
    """
    if REATTACH in environ:
        raise StandInError(f"{REATTACH} is set: Terraform would not use the real providers. Unset it.")
    for stack in stacks:
        backend = stack.config.get("terraform", {}).get("backend", {})
        if set(backend) != {"gcs"}:
            said = f"the backend is {', '.join(backend) or 'none'}; every stack needs one, gcs"
            raise BackendError(f"{stack.name}: {said}")
    return [_plan(stack, terraform, folder / stack.name, environ, step) for stack in stacks]


def remedy(said: str) -> str | None:
    """What to do about what Terraform said, where that is known."""
    words = " ".join(said.replace("│", " ").split())  # Terraform wraps its lines, and frames some
    return next((remedy for sign, remedy in REMEDIES if sign in words), None)


def _plan(stack: Stack, terraform: Terraform, folder: Path, environ: Mapping[str, str], step: Step) -> Planned:
    if missing := releases.unreleased(stack.config):
        said = f"infra/releases.toml names no digest of {', '.join(missing)} for this environment"
        raise StackError(stack.name, "looking up images", said)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cdk.tf.json").write_text(json.dumps(stack.config))
    # A plan file holds secrets in clear: nobody else can read it, and it is gone with this block.
    with tempfile.TemporaryDirectory() as secret:
        file = str(Path(secret) / "plan")
        for what, *arguments in (
            ("init", "-reconfigure"),
            ("validate",),
            ("plan", f"-out={file}"),
        ):
            with doing(stack.name, what, step):
                terraform.run(what, "-no-color", *arguments, folder=folder, env=environ)
        with doing(stack.name, "show", step):
            _, shown = terraform.run("show", "-json", file, folder=folder, env=environ)
    return Planned(stack.name, mask(json.loads(shown)))
