import inspect
import re
from typing import Any

import pytest

from infra.components import logging
from infra.environments import ENVIRONMENTS, PROD
from infra.stacks.serving import NAMESPACE
from service.api import watcher
from tests.infra.conftest import Plans, Stacks, planned


def foundation(plans: Plans, type_name: str, env: str = "prod") -> dict[str, dict[str, Any]]:
    return planned(plans(env)["foundation"], type_name)


def test_a_refused_bundle_is_counted_by_the_very_words_that_the_service_logs(plans: Plans) -> None:
    metric = foundation(plans, "google_logging_metric")["leadscoring_refused_bundles"]
    message = "bundle refused, the old model stays"
    assert f'jsonPayload.logger="{watcher.logger.name}"' in metric["filter"]
    assert f'jsonPayload.message="{message}"' in metric["filter"]
    assert f'logger.error(\n                "{message}"' in inspect.getsource(watcher)
    assert metric["label_extractors"] == {"reason": "EXTRACT(jsonPayload.reason)"}


def test_errors_with_a_traceback_and_failed_jobs_are_counted(plans: Plans) -> None:
    metrics = foundation(plans, "google_logging_metric")
    assert metrics.keys() == logging.METRICS.keys()
    assert "jsonPayload.exception:*" in metrics["leadscoring_unhandled_errors"]["filter"]
    assert 'protoPayload.methodName="/Jobs.RunJob"' in metrics["leadscoring_failed_jobs"]["filter"]
    for metric in metrics.values():
        (descriptor,) = metric["metric_descriptor"]
        assert (descriptor["metric_kind"], descriptor["value_type"]) == ("DELTA", "INT64")
        assert {label["key"] for label in descriptor["labels"]} == metric["label_extractors"].keys()
        assert metric["bucket_name"] is None  # of one bucket it would miss what is excluded


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_logs_are_kept_for_the_environments_days_and_audits_apart_from_them(plans: Plans, env: str) -> None:
    chosen = ENVIRONMENTS[env]
    buckets = foundation(plans, "google_logging_project_bucket_config", env)
    assert {bucket["bucket_id"]: (bucket["location"], bucket["retention_days"]) for bucket in buckets.values()} == {
        "_Default": ("global", chosen.log_days),
        chosen.name("audit"): (chosen.region, chosen.audit_log_days),
    }
    (sink,) = foundation(plans, "google_logging_project_sink", env).values()
    exclusions = foundation(plans, "google_logging_project_exclusion", env)
    assert sink["filter"] == exclusions["exclude_data-access"]["filter"]


def test_reads_and_writes_of_data_and_secrets_are_on_record(plans: Plans) -> None:
    audits = foundation(plans, "google_project_iam_audit_config")
    assert {audit["service"].partition(".")[0] for audit in audits.values()} == set(logging.AUDITED)
    for audit in audits.values():
        kinds = {log["log_type"] for log in audit["audit_log_config"]}
        assert kinds == {"ADMIN_READ", "DATA_READ", "DATA_WRITE"}


def test_nobody_is_exempt_but_the_service_that_reads_the_models_every_few_seconds(stacks: Stacks) -> None:
    (stack,) = (stack for stack in stacks("prod") if stack.name == "prod-foundation")
    exempt = {
        (name, log["log_type"], member)
        for name, audit in stack.config["resource"]["google_project_iam_audit_config"].items()
        for log in audit["audit_log_config"]
        for member in log.get("exempted_members", [])
    }
    assert exempt == {("audit_storage", "DATA_READ", "serviceAccount:${google_service_account.scoring.email}")}


def test_an_exclusion_that_names_a_path_names_one_that_uptime_checks_ask_for(plans: Plans) -> None:
    checks = planned(plans("prod")["alerting"], "google_monitoring_uptime_check_config").values()
    asked = {check["http_check"][0]["path"] for check in checks}
    filters = [each["filter"] for each in foundation(plans, "google_logging_project_exclusion").values()]
    assert {path for text in filters for path in re.findall(r'requestUrl:"([^"]*)"', text)} == asked


def test_what_pods_of_gke_say_while_all_is_well_is_left_out_and_nothing_of_ours(plans: Plans) -> None:
    exclusion = foundation(plans, "google_logging_project_exclusion")["exclude_system-pods"]
    (pattern,) = re.findall(r'namespace_name=~"([^"]*)"', exclusion["filter"])
    # https://github.com/grafana/beyla/blob/main/pkg/beyla/config.go, k8sGKEDefaultNamespacesRegex, on top of two others
    managed = "kube-system gmp-system gke-connect gke-gmp-system gke-managed-cim gke-managed-filestorecsi"
    managed += " gke-managed-metrics-server gke-managed-system gke-managed-volumepopulator gke-system"
    assert all(re.search(pattern, namespace) for namespace in managed.split())
    assert not any(re.search(pattern, namespace) for namespace in (NAMESPACE, "default", "not-kube-system"))


def test_no_exclusion_hides_a_warning_of_the_service() -> None:
    for name, (filter_, _) in logging.EXCLUSIONS.items():
        assert "k8s_container" not in filter_ or "severity<WARNING" in filter_, name
    assert PROD.audit_log_days == 400
