"""Builds the images of a commit, pushes them to an environment's registry, and lets in what its scanner passes."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.environment import Environment
from infra.operations.programs import ROOT, Failed, ProgramError, Programs, wait
from infra.rehearsal.steps import Step, doing
from infra.releases import Name

# A build downloads a few hundred MB; a push uploads them.
BUILD_SECONDS, PUSH_SECONDS = 1800, 900
RECIPES: Mapping[Name, tuple[str, ...]] = {
    "scoring": ("--file=service/Dockerfile", "--target=scoring"),
    "jobs": ("--file=service/Dockerfile", "--target=jobs"),
    "mlflow-server": ("--file=mlflow-server/Dockerfile",),
}
# https://cloud.google.com/container-analysis/docs/reference/rest/v1/DiscoveryOccurrence#AnalysisStatus
SCANNED, NOT_SCANNED = {"FINISHED_SUCCESS", "COMPLETE"}, {"FINISHED_FAILED", "FINISHED_UNSUPPORTED"}
NOWHERE = "Image not found"  # what gcloud says of a tag that nobody pushed


@dataclass(frozen=True, slots=True)
class ImageRecipe:
    """How images are built and what may be wrong with them."""

    base: str  # BASE_IMAGE, by digest
    pip_conf: Path | None = None
    allowed: Mapping[str, str] = field(default_factory=dict)  # reasons by vulnerability
    scan_seconds: float = 900
    every_seconds: float = 10


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A critical vulnerability."""

    id: str  # CVE-2026-1234
    where: str  # packages, and the versions without it
    fixable: bool


def registry_is_there(env: Environment, programs: Programs) -> bool:
    """Whether the foundation stack has made the registry. Raises ProgramError.

    In an empty project it has not turned on the API either, which then refuses the question.
    """
    at = (f"--location={env.region}", f"--project={env.project}")
    try:
        programs.run("gcloud", "artifacts", "repositories", "describe", env.name("images"), *at, "--quiet")
    except ProgramError as error:
        if "NOT_FOUND" in error.output or "has not been used in project" in error.output:
            return False
        raise
    return True


def commit(programs: Programs) -> str:
    """The commit that is checked out."""
    return programs.run("git", "rev-parse", "HEAD", assumed="COMMIT").strip()


def release(env: Environment, programs: Programs, recipe: ImageRecipe, step: Step) -> dict[Name, str]:
    """The digests of the checked out commit's images, built, pushed and scanned. Raises Failed."""
    if "@sha256:" not in recipe.base:
        raise Failed(
            f"the base image is {recipe.base or 'not named'}; a release needs one by digest",
            "name it with --base-image or BASE_IMAGE; its digest says `docker buildx imagetools inspect IMAGE:TAG`",
        )
    tag = commit(programs)
    # What a deploy itself writes does not count.
    changed = programs.run("git", "status", "--porcelain", "--", ".", ":(exclude)infra/releases.toml")
    if changed:
        raise Failed(f"the working tree is not what {tag} says:\n{changed.rstrip()}", "commit, then release")
    programs.run("gcloud", "auth", "configure-docker", env.images.partition("/")[0], "--quiet")
    digests: dict[Name, str] = {}
    for name, arguments in RECIPES.items():
        digests[name] = _publish(env, programs, recipe, name, tag, arguments, step)
    flaws = [flaw for name in digests for flaw in _scan(env, programs, recipe, name, digests[name], step)]
    if idle := recipe.allowed.keys() - {flaw.id for flaw in flaws}:
        raise Failed(f"--allow-vulnerability names what no image has: {', '.join(sorted(idle))}", "leave it out")
    return digests


def _publish(
    env: Environment,
    programs: Programs,
    recipe: ImageRecipe,
    name: Name,
    tag: str,
    arguments: tuple[str, ...],
    step: Step,
) -> str:
    image = f"{env.images}/{name}:{tag}"
    if digest := _digest(env, programs, image):
        print(f"{name}: the registry holds {tag[:12]} already, {digest}")
        return digest
    programs.say("unless the registry holds this commit's image already: a tag, once pushed, stays what it is")
    given = {"BASE_IMAGE": recipe.base, "COMMIT": tag, "VERSION": _version()}
    secret = [f"--secret=id=pip.conf,src={recipe.pip_conf}"] if recipe.pip_conf else []
    with doing(name, "build", step):
        programs.run(
            "docker",
            "build",
            *arguments,
            *(f"--build-arg={key}={value}" for key, value in given.items()),
            *secret,
            f"--tag={image}",
            ".",
            seconds=BUILD_SECONDS,
            watched=True,
        )
    with doing(name, "push", step):
        programs.run("docker", "push", image, seconds=PUSH_SECONDS, watched=True)
    if digest := _digest(env, programs, image, assumed='{"image_summary": {"digest": "DIGEST"}}'):
        return digest
    raise Failed(f"{image} was pushed, and the registry does not know it", "run the command again")


def _version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def _digest(env: Environment, programs: Programs, image: str, assumed: str = "") -> str | None:
    """Of what the registry holds under a tag."""
    try:
        found = _describe(env, programs, image, assumed=assumed)
    except ProgramError as error:
        if NOWHERE in error.output:
            return None
        raise
    return str(found["image_summary"]["digest"]) if found else None


def _describe(env: Environment, programs: Programs, image: str, *more: str, assumed: str = "") -> dict[str, Any]:
    at = (f"--project={env.project}", "--format=json", "--quiet")
    said = programs.run("gcloud", "artifacts", "docker", "images", "describe", image, *more, *at, assumed=assumed)
    return dict(json.loads(said or "{}"))


def _scan(
    env: Environment, programs: Programs, recipe: ImageRecipe, name: Name, digest: str, step: Step
) -> Iterator[Vulnerability]:
    """The critical vulnerabilities, all of them without a fix or allowed. Raises Failed for any other."""
    image = f"{env.images}/{name}@{digest}"
    assumed = '{"discovery_summary": {"discovery": [{"discovery": {"analysisStatus": "COMPLETE"}}]}}'

    def scanned() -> dict[str, Any] | None:
        found = _describe(env, programs, image, "--show-package-vulnerability", assumed=assumed)
        discoveries = found.get("discovery_summary", {}).get("discovery", [])
        states = {each["discovery"].get("analysisStatus") for each in discoveries}
        if states & NOT_SCANNED:
            raise Failed(f"{name}: the scan ended with {', '.join(sorted(states & NOT_SCANNED))}", "push it again")
        return found if states & SCANNED else None

    with doing(name, "scan", step):
        found = wait(scanned, seconds=recipe.scan_seconds, every=recipe.every_seconds)
    if found is None:
        raise Failed(
            f"{name}: no end of the scan within {recipe.scan_seconds:g} s",
            "run the command again: what is pushed is not built again. Is the Container Scanning API on?",
        )
    flaws = list(_critical(found))
    refused = [flaw for flaw in flaws if flaw.fixable and flaw.id not in recipe.allowed]
    if refused:
        listed = "\n".join(f"  {flaw.id} {flaw.where}" for flaw in refused)
        raise Failed(
            f"{name}: critical vulnerabilities that are fixed elsewhere\n{listed}",
            "a newer base image or package; or, if it must be: --allow-vulnerability 'ID=REASON' for each",
        )
    for flaw in flaws:
        print(f"{name}: critical, {recipe.allowed.get(flaw.id, 'no fix yet')}: {flaw.id} {flaw.where}")
    yield from flaws


def _critical(found: Mapping[str, Any]) -> Iterator[Vulnerability]:
    # Occurrences by severity: https://cloud.google.com/container-analysis/docs/reference/rest/v1/VulnerabilityOccurrence
    listed = found.get("package_vulnerability_summary", {}).get("vulnerabilities", {}).get("CRITICAL", [])
    for occurrence in listed:
        about = occurrence["vulnerability"]
        where = [
            f"{issue.get('affectedPackage')} -> {issue.get('fixedVersion', {}).get('fullName', 'no fix')}"
            for issue in about.get("packageIssue", [])
        ]
        yield Vulnerability(
            occurrence["noteName"].rpartition("/")[2], ", ".join(where), bool(about.get("fixAvailable"))
        )
