import json
from pathlib import Path
from typing import Any

import pytest

from infra.bindings import App, GcsBackend, GoogleProvider
from infra.environment import Environment
from infra.environments import ENVIRONMENTS, PROD
from infra.policies import check, plan
from infra.policies.policy import POLICIES
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.synthesis import read
from infra.rehearsal.terraform import Terraform
from infra.stacks import storage
from infra.stacks.serving import NAMESPACE
from infra.synthesize import synthesize
from service import records
from service.lifecycle import report
from service.lifecycle.data import quarantine
from service.lifecycle.promotion import lease
from service.lifecycle.runtime import job_gauges
from service.model import bundle, stored_rule
from tests.infra.conftest import Plans, Stacks, planned

BUCKETS = {"models", "leads", "predictions", "artifacts", "access_logs"}


def buckets(plans: Plans, env: str = "prod") -> dict[str, dict[str, Any]]:
    return planned(plans(env)["storage"], "google_storage_bucket")


def grants(plans: Plans) -> set[tuple[str, str, str, bool]]:
    """Bucket, who, role, whether there is a condition."""
    members = planned(plans("prod")["storage"], "google_storage_bucket_iam_member").values()
    return {
        (
            grant["bucket"].removeprefix("acme-leads-prod-"),
            grant["member"].partition("@")[0].partition(":")[2].removeprefix("acme-leads-prod-"),
            grant["role"],
            bool(grant["condition"]),
        )
        for grant in members
    }


def deletions(bucket: dict[str, Any]) -> dict[str, int]:
    """After how many days an object is deleted, by its state."""
    days = {}
    for rule in bucket["lifecycle_rule"]:
        (action,), (condition,) = rule["action"], rule["condition"]
        if action["type"] == "Delete":
            days[condition["with_state"]] = condition["age"] or condition["days_since_noncurrent_time"]
    return days


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_bucket_is_private_versioned_and_recoverable(plans: Plans, env: str) -> None:
    assert buckets(plans, env).keys() == BUCKETS
    for bucket in buckets(plans, env).values():
        assert bucket["uniform_bucket_level_access"] is True
        assert bucket["public_access_prevention"] == "enforced"
        assert bucket["versioning"] == [{"enabled": True}]
        assert bucket["soft_delete_policy"][0]["retention_duration_seconds"] == 7 * 86_400
        assert bucket["force_destroy"] is False


def test_every_bucket_is_protected_from_destruction(stacks: Stacks) -> None:
    (stack,) = (stack for stack in stacks("prod") if stack.name == "prod-storage")
    for bucket in stack.config["resource"]["google_storage_bucket"].values():
        assert bucket["lifecycle"] == {"prevent_destroy": True}


def test_every_access_is_logged_where_only_cloud_storage_can_write(plans: Plans) -> None:
    for name, bucket in buckets(plans).items():
        logged = [log["log_bucket"] for log in bucket["logging"]]
        assert logged == ([] if name == "access_logs" else ["acme-leads-prod-access-logs"])
    writers = {who for bucket, who, _, _ in grants(plans) if bucket == "access-logs"}
    assert writers == {"cloud-storage-analytics"}


def test_without_usage_logs_nothing_is_granted_outside_and_all_else_stays() -> None:
    def resources(env: Environment) -> Any:
        (made,) = (stack for stack in synthesize(env) if stack.name == "prod-storage")
        return made.config["resource"]

    before, after = resources(PROD), resources(PROD.model_copy(update={"usage_logs": False}))
    members = "google_storage_bucket_iam_member"
    assert before[members].pop("access_logs_delivery")["member"] == "group:cloud-storage-analytics@google.com"
    assert [bucket.pop("logging", None) for bucket in before["google_storage_bucket"].values()].count(None) == 1
    assert after == before


def test_personal_data_is_gone_for_good_after_400_days(plans: Plans) -> None:
    for name in ("leads", "predictions"):
        days = deletions(buckets(plans)[name])
        assert days == {"LIVE": PROD.live_days, "ARCHIVED": PROD.noncurrent_days}
        assert sum(days.values()) + PROD.soft_delete_days == 400


def test_models_and_artifacts_live_until_somebody_deletes_them(plans: Plans) -> None:
    for name in ("models", "artifacts"):
        assert deletions(buckets(plans)[name]) == {"ARCHIVED": PROD.noncurrent_days}


def test_each_workload_may_do_what_its_work_needs_and_no_more(plans: Plans) -> None:
    read, create, change = (f"roles/storage.object{role}" for role in ("Viewer", "Creator", "User"))
    assert grants(plans) == {
        ("access-logs", "cloud-storage-analytics", create, False),
        ("models", "scoring", read, False),
        ("predictions", "scoring", create, False),
        ("models", "jobs", read, False),
        ("models", "jobs", create, False),
        ("models", "jobs", change, True),
        ("leads", "jobs", read, False),
        ("leads", "jobs", create, True),
        ("predictions", "jobs", read, False),
        ("predictions", "jobs", create, True),
        ("predictions", "jobs", change, True),
        ("predictions", "compact", read, False),
        ("predictions", "compact", change, True),
        ("models", "compact", read, False),
        ("leads", "compact", create, True),
        ("models", "compact", create, True),
        ("models", "reporter", read, False),
        ("models", "reporter", create, True),
        ("artifacts", "jobs", change, False),
        ("artifacts", "mlflow", change, False),
    }


def test_of_the_published_models_jobs_can_alter_only_the_pointer(plans: Plans) -> None:
    grant = planned(plans("prod")["storage"], "google_storage_bucket_iam_member")["models_jobs_point"]
    (condition,) = grant["condition"]
    pointer = f"projects/_/buckets/acme-leads-prod-models/objects/{bundle.POINTER}"
    assert condition["expression"] == f'resource.name == "{pointer}"'
    assert storage.POINTER == bundle.POINTER


def test_jobs_change_and_add_objects_below_their_prefixes_alone(plans: Plans) -> None:
    found = planned(plans("prod")["storage"], "google_storage_bucket_iam_member")
    for grant, bucket, prefix in (
        ("models_jobs_rule", "models", stored_rule.RULES),
        ("models_jobs_lease", "models", lease.FOLDER),
        ("leads_jobs_set_aside", "leads", quarantine.PREFIX),
        ("leads_compact_set_aside", "leads", quarantine.PREFIX),
        ("predictions_compact_raw", "predictions", records.PREFIX),
        ("predictions_compact_records", "predictions", "records/"),
        ("predictions_compact_lease", "predictions", lease.FOLDER),
        ("models_compact_figures", "models", f"{job_gauges.PREFIX}compact/"),
        ("models_reporter_figures", "models", f"{job_gauges.PREFIX}report/"),
        ("models_reporter_reports", "models", report.PREFIX),
    ):
        (condition,) = found[grant]["condition"]
        name = f"projects/_/buckets/acme-leads-prod-{bucket}/objects/{prefix}"
        assert condition["expression"] == f'resource.name.startsWith("{name}")'


def test_no_job_but_compaction_may_delete_what_was_scored_and_none_may_delete_leads(plans: Plans) -> None:
    """What is forgotten is forgotten by a person, with an identity of their own."""
    change = "roles/storage.objectUser"
    may = {(bucket, who, condition) for bucket, who, role, condition in grants(plans) if role == change}
    assert {who for bucket, who, _ in may if bucket == "leads"} == set()
    assert {(who, condition) for bucket, who, condition in may if bucket == "predictions"} == {
        ("jobs", True),
        ("compact", True),
    }


def test_of_the_predictions_jobs_can_alter_only_their_own_batches(plans: Plans) -> None:
    grant = planned(plans("prod")["storage"], "google_storage_bucket_iam_member")["predictions_jobs_batch"]
    (condition,) = grant["condition"]
    prefix = "projects/_/buckets/acme-leads-prod-predictions/objects/batch/"
    assert condition["expression"] == f'resource.name.startsWith("{prefix}")'


def test_jobs_can_add_records_of_batches_and_alter_none(plans: Plans) -> None:
    stack = plans("prod")["storage"]
    grant = planned(stack, "google_storage_bucket_iam_member")["predictions_jobs_record"]
    (condition,) = grant["condition"]
    prefix = "projects/_/buckets/acme-leads-prod-predictions/objects/predictions/"
    assert grant["role"] == "roles/storage.objectCreator"
    assert condition["expression"] == f'resource.name.startsWith("{prefix}")'


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_content_is_encrypted_with_the_environments_own_key_where_it_asks_for_one(plans: Plans, env: str) -> None:
    for name, bucket in buckets(plans, env).items():
        keys = [each["default_kms_key_name"].rpartition("/")[2] for each in bucket["encryption"]]
        assert keys == (["storage"] if ENVIRONMENTS[env].customer_keys and name != "access_logs" else [])


def test_an_environment_may_keep_its_application_logs_in_a_bucket_that_only_the_sink_writes_to(
    engine: Terraform, tmp_path: Path
) -> None:
    env = PROD.model_copy(update={"application_log_days": 90, "report_readers": ("group:sales@acme.example",)})
    names = ("scoring", "jobs", "compact", "reporter", "mlflow")
    accounts = {name: f"{name}@acme-leads-prod.iam.gserviceaccount.com" for name in names}
    app = App(outdir=str(tmp_path))
    key = "projects/acme-leads-prod/locations/europe-west1/keyRings/keys/cryptoKeys/storage"
    made = storage.StorageStack(app, "prod-storage", env=env, spark=None, namespace=NAMESPACE, key=key, **accounts)
    GoogleProvider(made, "google", project=env.project)
    GcsBackend(made, bucket="states", prefix="prod-storage")
    app.synth()
    (result,) = rehearse(read(tmp_path), engine)

    found = planned(result.plan, "google_storage_bucket")
    assert found.keys() == BUCKETS | {"logs"}
    bucket = found["logs"]
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["encryption"] == [{"default_kms_key_name": key}]
    assert deletions(bucket) == {"LIVE": 90, "ARCHIVED": env.noncurrent_days}
    (sink,) = planned(result.plan, "google_logging_project_sink").values()
    assert sink["destination"] == "storage.googleapis.com/acme-leads-prod-logs"
    assert sink["unique_writer_identity"] is True
    assert f'resource.labels.namespace_name="{NAMESPACE}"' in sink["filter"]
    members = planned(result.plan, "google_storage_bucket_iam_member")
    (condition,) = members["reports_reader_0"]["condition"]
    assert members["reports_reader_0"]["role"] == "roles/storage.objectViewer"
    assert condition["expression"].endswith('/buckets/acme-leads-prod-models/objects/reports/")')
    written = {name: member["role"] for name, member in members.items() if member["bucket"] == bucket["name"]}
    assert written == {"logs_sink_create": "roles/storage.objectCreator"}

    file = tmp_path / "prod-storage.json"
    file.write_text(json.dumps(result.plan))
    judged = [resource for resource in plan.read(file).resources if resource.type not in check.HARMLESS]
    assert [p.id for p in POLICIES.values() for r in judged if p.judges(r) and p.judge(r)] == []


def test_no_environment_of_this_repository_pays_for_a_second_copy_of_its_logs(plans: Plans) -> None:
    for env in ENVIRONMENTS.values():
        assert env.application_log_days is None
        assert not planned(plans(env.id)["storage"], "google_logging_project_sink")
