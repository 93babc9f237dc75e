"""What a runbook tells somebody to type at night names what is there."""

import re
import shlex
from pathlib import Path

import pytest

import monitoring
from infra.environments import PROD
from infra.operations.programs import Programs
from infra.operations.rollout import reached
from monitoring.platform import Platform
from tests.infra.conftest import Plans

RUNBOOKS = sorted((Path(monitoring.__file__).parent / "runbooks").iterdir())
each_runbook = pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.name)
# The type of the resource that a command of gcloud names; `logging read` selects the log of a job.
TYPES = {
    "beta container backup-restore": "google_gke_backup_backup_plan",
    "compute backend-services": "google_compute_backend_service",
    "compute security-policies": "google_compute_security_policy",
    "container clusters": "google_container_cluster",
    "iap web": "google_compute_backend_service",
    "logging read": "google_cloud_run_v2_job",
    "run jobs": "google_cloud_run_v2_job",
    "run revisions": "google_cloud_run_v2_service",
    "run services": "google_cloud_run_v2_service",
    "scheduler jobs": "google_cloud_scheduler_job",
    "secrets versions": "google_secret_manager_secret",
    "sql instances": "google_sql_database_instance",
    "sql operations": "google_sql_database_instance",
}
NAME = re.compile(r"(gs://)?\$NAME-(\$JOB|[a-z]+(?:-[a-z]+)*)")
IN_CLUSTER = re.compile(r"\b(configmap|deployment|horizontalpodautoscaler|podmonitoring)[/ ]([a-z][a-z-]*)")


def meant(text: str) -> set[tuple[str, str]]:
    """Type and name of each resource that is named by $NAME-..., for every job where it is $JOB."""
    found = set()
    for command in re.split(r"\bgcloud ", text):
        types = [type_name for words, type_name in TYPES.items() if command.startswith(words)]
        for bucket, name in NAME.findall(command):
            assert bucket or types, f"say in TYPES what this names: gcloud {command.splitlines()[0]}"
            names = {job.name for job in Platform().jobs} if name == "$JOB" else {name}
            found |= {("google_storage_bucket" if bucket else types[0], PROD.name(each)) for each in names}
    return found


@each_runbook
def test_resources_that_commands_name_are_in_the_plan_under_their_type(runbook: Path, plans: Plans) -> None:
    planned = {
        (change["type"], change["change"]["after"].get("name") or change["change"]["after"].get("secret_id"))
        for plan in plans("prod").values()
        for change in plan["resource_changes"]
        if change["change"]["after"]
    }
    assert meant(runbook.read_text()) - planned == set()


def test_a_resource_that_is_not_there_would_be_noticed() -> None:
    text = 'gcloud run jobs execute "$NAME-$JOB"; gcloud compute backend-services list "$NAME-edge" gs://$NAME-mdels/a'
    assert meant(text) == {
        *(
            ("google_cloud_run_v2_job", f"acme-leads-prod-{job}")
            for job in ("evaluate", "drift", "retrain", "batch", "compact", "report")
        ),
        ("google_compute_backend_service", "acme-leads-prod-edge"),
        ("google_storage_bucket", "acme-leads-prod-mdels"),
    }


@each_runbook
def test_objects_of_the_cluster_that_commands_name_are_in_the_plan_under_their_kind(
    runbook: Path, plans: Plans
) -> None:
    resources = [change for plan in plans("prod").values() for change in plan["resource_changes"]]
    after = [(change["type"], change["change"]["after"]) for change in resources]
    manifests = [values["manifest"] for type_name, values in after if type_name == "kubernetes_manifest"]
    planned = {(manifest["kind"].lower(), manifest["metadata"]["name"]) for manifest in manifests}
    for type_name, values in after:
        if type_name == "kubernetes_config_map_v1":
            planned |= {("configmap", metadata["name"]) for metadata in values["metadata"]}
    commands = "\n".join(re.findall(r"kubectl .+", runbook.read_text()))
    assert set(IN_CLUSTER.findall(commands)) - planned == set()


@pytest.mark.parametrize(
    "runbook", [path for path in RUNBOOKS if "kubectl" in path.read_text()], ids=lambda path: path.name
)
def test_a_runbook_reaches_the_cluster_as_a_deploy_does_before_it_uses_kubectl(
    runbook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reached(PROD, Programs({}, dry=True)):
        _, *command = shlex.split(capsys.readouterr().out)
    before, _, _ = runbook.read_text().partition("kubectl ")
    values = {"NAME": PROD.name("").removesuffix("-"), "REGION": PROD.region, "PROJECT": PROD.project}
    said = re.sub(r"\$([A-Z]+)", lambda variable: values[variable[1]], before)
    assert [word for word in command if word != "--quiet"] in [
        shlex.split(line) for line in re.findall("^    (gcloud.+)", said, re.M)
    ]


@each_runbook
def test_variables_that_commands_use_are_set_at_the_top(runbook: Path) -> None:
    text = runbook.read_text()
    commands = "\n".join(re.findall(r"^    .+$", text, re.MULTILINE))
    used = set(re.findall(r"\"[^\"]*?\$([A-Z]+)", commands))
    assert used <= set(re.findall(r"^    ([A-Z]+)=", text, re.MULTILINE))


@each_runbook
def test_links_lead_to_files_that_are_there(runbook: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", runbook.read_text()):
        assert link.startswith("https://") or (runbook.parent / link).exists(), link
