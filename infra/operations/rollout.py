"""What a deploy does between stacks: migrate MLflow before its server, find a model before the pods, wait for the pods.

Each function is one wait or one change, with a bound, and says what to do when it fails.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.environment import Environment
from infra.operations import first_deploy
from infra.operations.programs import Failed, ProgramError, Programs, wait

NEG_STATUS = "cloud.google.com/neg-status"  # https://cloud.google.com/kubernetes-engine/docs/how-to/standalone-neg
BACKUP_SECONDS = 1800
# The job has 1,800 s for each of its two attempts (infra/stacks/database.py), and some for starting.
MIGRATION_SECONDS = 3900


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a deploy waits, in seconds."""

    pods: float = 900
    groups: float = 300
    door: float = 300
    every: float = 5


def back_up(env: Environment, programs: Programs) -> str:
    """Back the database up; the backup's id. Raises Failed."""
    instance = (f"--instance={env.name('mlflow')}", f"--project={env.project}")
    operation = programs.run(
        "gcloud",
        *("sql", "backups", "create", *instance, "--description=before a migration"),
        *("--async", "--format=value(name)", "--quiet"),  # gcloud itself waits for 300 s and no longer
        assumed="OPERATION",
    ).strip()
    done = ("sql", "operations", "wait", operation, f"--timeout={BACKUP_SECONDS}", f"--project={env.project}")
    programs.run("gcloud", *done, "--quiet", seconds=BACKUP_SECONDS + 60)
    newest = ("--sort-by=~windowStartTime", "--limit=1", "--format=value(id)", "--quiet")
    return programs.run("gcloud", "sql", "backups", "list", *instance, *newest, assumed="ID").strip()


def migrate(env: Environment, programs: Programs) -> None:
    """Back up, then bring MLflow's schema up to date before a server of the new image starts. Raises Failed."""
    try:
        backup = back_up(env, programs)
    except ProgramError as error:
        raise Failed(
            f"no backup of MLflow's database, so no migration\n{error}", "nothing was changed; run the deploy again"
        ) from error
    where = f"{env.name('mlflow')} of {env.project}"
    if not programs.dry:
        print(f"backup {backup} of {where}: MLflow cannot go back past a change of its schema, this is the way back")
    job = ("run", "jobs", "execute", env.name("migrate"), f"--region={env.region}", f"--project={env.project}")
    try:
        programs.run("gcloud", *job, "--wait", "--quiet", seconds=MIGRATION_SECONDS, watched=True)
    except ProgramError as error:
        raise Failed(
            f"the migration of MLflow's database failed, and no server of the new image was started\n{error}",
            f"read the job's log (gcloud run jobs logs read {env.name('migrate')} --region={env.region} "
            f"--project={env.project}) and deploy again: what was interrupted was rolled back, and a migration can be "
            f"run again. If the schema did change and the old server refuses it: {restore(env, backup)}",
        ) from error


def restore(env: Environment, backup: str) -> str:
    """The documented way back: https://cloud.google.com/sql/docs/postgres/backup-recovery/restoring"""
    instance = env.name("mlflow")
    return (
        f"gcloud sql backups restore {backup} --restore-instance={instance} --project={env.project}, with the older "
        "image in infra/releases.toml; runs since the backup are lost"
    )


def model(env: Environment, programs: Programs, pointer: str) -> None:
    """Check that a model is published, for no pod is ready without one. Raises Failed, with the command that trains."""
    train = first_deploy.train(env)
    programs.say(f"where no model is published yet, the deploy stops here; then train first: {train}")
    published = f"gs://{env.name('models')}/{pointer}"
    try:
        programs.run("gcloud", "storage", "objects", "describe", published, "--format=value(generation)", "--quiet")
    except ProgramError as error:
        # "not found: 404" is gcloud's wording (googlecloudsdk/api_lib/storage/errors.py); a refusal says 403.
        if "not found: 404" not in error.output:
            raise
        raise Failed(
            f"{published} is missing: no model is published, so no pod would become ready",
            f"train first: {train}\nThe job reads the lead source {env.lead_source}. Then deploy again.",
        ) from error


@contextmanager
def reached(env: Environment, programs: Programs) -> Iterator[dict[str, str]]:
    """How kubectl reaches the cluster, through its DNS endpoint; nobody's own configuration is touched."""
    with TemporaryDirectory() as folder:
        kubeconfig = {"KUBECONFIG": str(Path(folder) / "kubeconfig")}
        at = (f"--location={env.region}", f"--project={env.project}", "--dns-endpoint", "--quiet")
        programs.run(
            "gcloud", "container", "clusters", "get-credentials", env.name("cluster"), *at, variables=kubeconfig
        )
        yield kubeconfig


def pods(env: Environment, programs: Programs, patience: Patience, namespace: str) -> None:
    """Wait until the newest generation of pods serves. Raises ProgramError."""
    with reached(env, programs) as kubeconfig:
        programs.run(
            "kubectl",
            *(f"--namespace={namespace}", "rollout", "status", "deployment/scoring"),
            f"--timeout={patience.pods:g}s",
            seconds=patience.pods + 60,
            watched=True,
            variables=kubeconfig,
        )


def groups(env: Environment, programs: Programs, patience: Patience, namespace: str) -> None:
    """Wait until the pods' endpoint groups are in as many zones as the edge stack asks for. Raises Failed."""
    least = min(2, env.scoring_replicas[0])
    zones = ", ".join(f'"z{number}"' for number in range(least))
    assumed = json.dumps({"metadata": {"annotations": {NEG_STATUS: f'{{"zones": [{zones}]}}'}}})
    with reached(env, programs) as kubeconfig:

        def found() -> list[str] | None:
            said = programs.run(
                "kubectl",
                *(f"--namespace={namespace}", "get", "service", "scoring", "--output=json"),
                assumed=assumed,
                variables=kubeconfig,
            )
            annotations = json.loads(said)["metadata"].get("annotations", {})
            zones = json.loads(annotations.get(NEG_STATUS, "{}")).get("zones", [])
            return zones if len(zones) >= least else None

        if wait(found, seconds=patience.groups, every=patience.every) is None:
            raise Failed(
                f"the endpoint groups of {namespace}/scoring are in fewer than {least} zones after "
                f"{patience.groups:g} s",
                "are there pods in as many zones? Look at `kubectl get pods -o wide` and the Service's events",
            )
