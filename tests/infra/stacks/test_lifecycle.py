import re
from typing import Any

import pytest

from infra import sizing
from infra.environment import Environment
from infra.environments import ENVIRONMENTS, PROD
from infra.rehearsal.masking import Plan
from service.lifecycle.runtime.runner import OPTIONS
from tests.infra.conftest import Plans, planned

SCHEDULED = {"evaluate", "drift", "retrain", "batch", "compact", "report"}
JOBS = SCHEDULED | {"train"}
APART = {"probe", "heartbeat"}
"""Jobs that are not of the loop."""


def tasks(plan: Plan) -> dict[str, dict[str, Any]]:
    """What one task of each of the loop's jobs is."""
    return {
        name: job["template"][0]["template"][0]
        for name, job in planned(plan, "google_cloud_run_v2_job").items()
        if name not in APART
    }


def references(plan: Plan, type_name: str, argument: str) -> dict[str, list[str]]:
    """What an argument refers to, for each resource of a type."""
    return {
        resource["name"]: resource["expressions"][argument]["references"]
        for resource in plan["configuration"]["root_module"]["resources"]
        if resource["type"] == type_name
    }


def test_each_job_runs_its_module(plans: Plans) -> None:
    found = tasks(plans("prod")["lifecycle"])
    assert found.keys() == JOBS
    for name, task in found.items():
        (container,) = task["containers"]
        assert container["command"] == ["python"]
        assert container["args"][:2] == ["-m", f"service.lifecycle.{name}"]


@pytest.mark.parametrize("name", ["evaluate", "drift", "retrain"])
def test_each_job_of_the_loop_is_told_where_everything_is(plans: Plans, name: str) -> None:
    arguments = tasks(plans("prod")["lifecycle"])[name]["containers"][0]["args"][2:]
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert {option for option in given if option not in ("--source", "--tracking", "--counter")} == {
        "--models",
        "--predictions",
        "--leads",
        "--metrics",
    }
    assert given["--leads"] == "gs://acme-leads-prod-leads"
    assert given["--models"] == "gs://acme-leads-prod-models"
    assert given["--metrics"] == f"projects/{PROD.project}/locations/{PROD.region}"
    assert ("--counter" in given) is (name == "evaluate")


def test_batch_reads_files_as_the_source_says_and_writes_below_its_own_prefix(plans: Plans) -> None:
    arguments = tasks(plans("prod")["lifecycle"])["batch"]["containers"][0]["args"][2:]
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert given["--source"] == PROD.lead_source
    assert given["--input"] == "gs://acme-leads-prod-leads/batch"
    assert given["--out"] == "gs://acme-leads-prod-predictions/batch"
    assert given["--records"] == "gs://acme-leads-prod-predictions"


def test_a_job_runs_an_image_by_its_digest_from_this_environments_registry(plans: Plans) -> None:
    for env in ENVIRONMENTS.values():
        for task in tasks(plans(env.id)["lifecycle"]).values():
            assert task["containers"][0]["image"].startswith(f"{env.images}/jobs@sha256:")


def test_compaction_is_told_the_storage_where_figures_go_and_how_long_records_live(plans: Plans) -> None:
    arguments = tasks(plans("prod")["lifecycle"])["compact"]["containers"][0]["args"][2:]
    assert dict(zip(arguments[::2], arguments[1::2], strict=True)) == {
        "--models": "gs://acme-leads-prod-models",
        "--predictions": "gs://acme-leads-prod-predictions",
        "--leads": "gs://acme-leads-prod-leads",
        "--metrics": f"projects/{PROD.project}/locations/{PROD.region}",
        "--keep-days": str(PROD.live_days),
    }


def test_the_report_is_told_the_models_storage_alone(plans: Plans) -> None:
    arguments = tasks(plans("prod")["lifecycle"])["report"]["containers"][0]["args"][2:]
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert given.keys() == {"--models", "--metrics"}


def test_jobs_run_as_their_own_accounts_and_reach_mlflow_through_the_network(plans: Plans) -> None:
    for name, task in tasks(plans("prod")["lifecycle"]).items():
        account = {"compact": "compact", "report": "reporter"}.get(name, "jobs")
        assert task["service_account"] == f"acme-leads-prod-{account}@acme-leads-prod.iam.gserviceaccount.com"
        (access,) = task["vpc_access"]
        assert access["egress"] == "ALL_TRAFFIC"
        (interface,) = access["network_interfaces"]
        assert interface["subnetwork"].endswith("/subnetworks/acme-leads-prod-run")


@pytest.mark.parametrize("env", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_size_and_time_limit_of_a_job_follow_from_the_declared_volume(plans: Plans, env: Environment) -> None:
    for name, task in tasks(plans(env.id)["lifecycle"]).items():
        size = sizing.job_size(name, env.volume)
        (container,) = task["containers"]
        (resources,) = container["resources"]
        assert resources["limits"] == {"cpu": str(size.cpus), "memory": f"{size.memory_gib}Gi"}
        assert task["timeout"] == f"{size.hours * 3600}s"
        assert task["max_retries"] == 2


def test_batch_is_sharded_as_the_environment_says_and_nothing_else_is(plans: Plans) -> None:
    for env in ENVIRONMENTS.values():
        jobs = planned(plans(env.id)["lifecycle"], "google_cloud_run_v2_job")
        shards = {
            name: (template["task_count"], template["parallelism"])
            for name, job in jobs.items()
            for template in job["template"]
            if name not in APART
        }
        assert shards == dict.fromkeys(JOBS - {"batch"}, (1, 1)) | {"batch": (env.batch_tasks, env.batch_parallelism)}


def test_train_is_started_by_hand_and_knows_where_everything_is(plans: Plans) -> None:
    plan = plans("prod")["lifecycle"]
    assert "train_schedule" not in planned(plan, "google_cloud_scheduler_job")
    (container,) = tasks(plan)["train"]["containers"]
    assert container["args"] == ["-m", "service.lifecycle.train", "--source", PROD.lead_source]
    given = {each["name"]: each.get("value") for each in container["env"]}
    assert given.keys() == {variable for variable, _ in OPTIONS.values()}
    assert given["LEADSCORING_MODELS_URL"] == "gs://acme-leads-prod-models"


@pytest.mark.parametrize("name", sorted(SCHEDULED))
def test_each_job_is_started_on_schedule_by_the_run_method(plans: Plans, name: str) -> None:
    started = planned(plans("prod")["lifecycle"], "google_cloud_scheduler_job")[f"{name}_schedule"]
    assert started["schedule"] == getattr(PROD, f"{name}_schedule")
    assert started["time_zone"] == "Etc/UTC"
    assert started["paused"] is False
    (target,) = started["http_target"]
    assert target["http_method"] == "POST"
    assert target["uri"] == (
        f"https://run.googleapis.com/v2/projects/acme-leads-prod/locations/europe-west1/jobs/acme-leads-prod-{name}:run"
    )


def test_the_starter_may_start_each_job_and_nothing_more(plans: Plans) -> None:
    plan = plans("prod")["lifecycle"]
    grants = planned(plan, "google_cloud_run_v2_job_iam_member")
    assert {grant["name"] for grant in grants.values()} == {f"acme-leads-prod-{name}" for name in SCHEDULED | APART}
    assert {grant["role"] for grant in grants.values()} == {"roles/run.invoker"}
    starters = references(plan, "google_cloud_run_v2_job_iam_member", "member").values()
    assert all("google_service_account.starter.email" in starter for starter in starters)
    assert not planned(plan, "google_project_iam_member")


def test_a_call_that_starts_a_job_carries_the_starters_token(plans: Plans) -> None:
    plan = plans("prod")["lifecycle"]
    for resource in plan["configuration"]["root_module"]["resources"]:
        if resource["type"] == "google_cloud_scheduler_job":
            (token,) = resource["expressions"]["http_target"][0]["oauth_token"]
            assert "google_service_account.starter.email" in token["service_account_email"]["references"]


def test_where_the_environment_pages_a_heartbeat_says_outside_that_the_watching_works(plans: Plans) -> None:
    for env in ENVIRONMENTS.values():
        plan = plans(env.id)["lifecycle"]
        jobs = planned(plan, "google_cloud_run_v2_job")
        assert ("heartbeat" in jobs) is env.pages
        assert ("heartbeat_schedule" in planned(plan, "google_cloud_scheduler_job")) is env.pages


def options(arguments: list[str]) -> dict[str, list[str]]:
    """Each option's values."""
    found: dict[str, list[str]] = {}
    for argument in arguments:
        if argument.startswith("--"):
            found[(option := argument)] = []
        else:
            found[option].append(argument)
    return found


def test_the_heartbeat_runs_as_who_may_only_look_and_gets_the_address_as_a_file(plans: Plans) -> None:
    (task,) = planned(plans("prod")["lifecycle"], "google_cloud_run_v2_job")["heartbeat"]["template"][0]["template"]
    assert task["service_account"] == "acme-leads-prod-watcher@acme-leads-prod.iam.gserviceaccount.com"
    assert task["timeout"] == "300s"
    (container,) = task["containers"]
    assert container["args"][:2] == ["-m", "service.lifecycle.heartbeat"]
    given = options(container["args"][2:])
    (volume,), (mount,) = task["volumes"], container["volume_mounts"]
    (secret,) = volume["secret"]
    (item,) = secret["items"]
    assert given.keys() == {"--project", "--address-file", "--policies", "--channels"}
    assert given["--project"] == [PROD.project]
    assert given["--address-file"] == [f"{mount['mount_path']}/{item['path']}"]
    assert secret["secret"].endswith("/secrets/acme-leads-prod-heartbeat-address")
    grants = planned(plans("prod")["foundation"], "google_secret_manager_secret_iam_member")
    read = grants["heartbeat_address_read"]
    assert read["role"] == "roles/secretmanager.secretAccessor"


def test_the_heartbeat_expects_every_policy_of_an_alert_and_every_channel(plans: Plans) -> None:
    (task,) = planned(plans("prod")["lifecycle"], "google_cloud_run_v2_job")["heartbeat"]["template"][0]["template"]
    (container,) = task["containers"]
    given = options(container["args"][2:])
    policies = planned(plans("prod")["alerting"], "google_monitoring_alert_policy").values()
    channels = [
        each["display_name"]
        for stack in ("foundation", "alerting")
        for each in planned(plans("prod")[stack], "google_monitoring_notification_channel").values()
    ]
    of_alerts = [each["display_name"] for each in policies if "severity" in each["user_labels"]]
    assert sorted(given["--policies"]) == sorted(of_alerts)
    assert sorted(given["--channels"]) == sorted(channels)


def test_the_probe_asks_from_the_internet_as_an_account_of_its_own_and_is_not_repeated(plans: Plans) -> None:
    plan = plans("prod")["lifecycle"]
    (task,) = planned(plan, "google_cloud_run_v2_job")["probe"]["template"][0]["template"]
    account = "acme-leads-prod-probe@acme-leads-prod.iam.gserviceaccount.com"
    assert (task["service_account"], task["max_retries"], task["vpc_access"]) == (account, 0, [])
    (container,) = task["containers"]
    assert container["args"][:2] == ["-m", "service.lifecycle.probe"]
    given = dict(zip(container["args"][2::2], container["args"][3::2], strict=True))
    metrics = f"projects/{PROD.project}/locations/{PROD.region}"
    assert given == {"--door": f"https://{PROD.domain}", "--account": account, "--metrics": metrics}
    started = planned(plan, "google_cloud_scheduler_job")["probe_schedule"]["schedule"]
    (minutes,) = re.findall(r"^\*/(\d+) \* \* \* \*$", started)
    assert 20 / int(minutes) == 4  # samples that the page looks at


def test_only_admitted_images_run_as_jobs(plans: Plans) -> None:
    for job in planned(plans("prod")["lifecycle"], "google_cloud_run_v2_job").values():
        assert [check["use_default"] for check in job["binary_authorization"]] == [True]
