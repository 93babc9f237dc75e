from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from infra.environment import Environment
from infra.environments import DEV, ENVIRONMENTS, PROD
from tests.facts import stating


def changed(**values: Any) -> Environment:
    return Environment(**{**DEV.model_dump(), **values})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "Dev"),
        ("id", "development"),
        ("prefix", "acme leads"),
        ("prefix", "acme-leads-of-europe"),
        ("project", "acme"),
        ("project", "Acme-Leads-Dev"),
        ("region", "europe"),
        ("project_number", "acme"),
        ("release_channel", "NEWEST"),
        ("backup_days", 0),
        ("customer_keys", "yes"),
        ("billing_account", "0a1b2c-3d4e5f-6a7b8c"),
        ("currency", "Euro"),
        ("monthly_budget", 0),
        ("log_days", 0),
        ("application_log_days", 0),
        ("nodes_cidr", "10.0.0.1/22"),
        ("nodes_cidr", "10.0.0.0"),
        ("nodes_cidr", "8.8.8.0/22"),
        ("pods_cidr", "172.0.0.0/8"),
        ("run_cidr", "somewhere"),
        ("spark_cidr", "8.8.8.0/22"),
        ("record_engine", "flink"),
        ("flow_log_sampling", 2.0),
        ("pages", "yes"),
        ("ticket_email", "nobody"),
        ("runbooks_url", "http://example.com/runbooks"),
        ("runbooks_url", "https://example.com/runbooks/"),
        ("noncurrent_days", 0),
        ("soft_delete_days", 6),
        ("soft_delete_days", 91),
        ("access_log_days", 1),
        ("scoring_replicas", (0, 2)),
        ("scoring_replicas", (1, 1_001)),
        ("scoring_millicpus", 300),
        ("scoring_memory_mib", 256),
        ("domain", "leads"),
        ("domain", "https://leads.example.com"),
        ("callers", ()),
        ("callers", ("allUsers",)),
        ("callers", ("user:somebody@example.com",)),
        ("mlflow_viewers", ("allUsers",)),
        ("mlflow_viewers", ("user:somebody@example.com",)),
        ("mlflow_viewers", ("group:everybody",)),
        ("requests_per_minute", 0),
        ("page_backup_email", "nobody"),
        ("escalate_to", "PACME01"),
        ("on_call", "team:PACME01"),
        ("page_group_minutes", 0),
        ("github_repository_id", "acme/leads"),
        ("github_owner_id", "acme"),
        ("github_branch", "-x"),
        ("github_environment", "prod'"),
        ("lead_source", "/etc/leads.toml"),
        ("evaluate_schedule", "every day"),
        ("retrain_schedule", "0 7 * * MON"),
        ("batch_tasks", 10_001),
        ("batch_parallelism", 0),
        ("job_cpu_quota", 0),
        ("leads_per_day", 0),
        ("leads_per_request", 0),
        ("leads_per_request", 1_001),
        ("record_engine", "bigquery"),
    ],
)
def test_a_value_that_the_cloud_would_refuse_is_refused_with_its_fields_name(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        changed(**{field: value})
    assert {fault["loc"][0] for fault in refused.value.errors()} == {field}


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="pager"):
        changed(pager=True)


def test_personal_data_must_live_for_a_day_at_least() -> None:
    with pytest.raises(ValidationError, match=stating("personal_data_days:", 30, "noncurrent_days", 23)):
        changed(personal_data_days=30, noncurrent_days=23, soft_delete_days=7)


def test_pods_are_scaled_within_a_range() -> None:
    with pytest.raises(ValidationError, match=stating("scoring_replicas:", "least 3", "most 2")):
        changed(scoring_replicas=(3, 2))


def test_where_somebody_is_paged_there_are_two_ways_to_reach_them() -> None:
    with pytest.raises(ValidationError, match=stating("page_backup_email:", "missing")):
        changed(pages=True, escalate_to="schedule:PACME01")


def paged(**values: Any) -> Environment:
    return Environment(**{**PROD.model_dump(), **values})


def test_where_somebody_is_paged_there_is_somebody_to_escalate_to() -> None:
    with pytest.raises(ValidationError, match=stating("escalate_to:", "missing", "schedule:ID")):
        paged(escalate_to=None)
    assert changed(escalate_to=None).pages is False


def test_pagerduty_is_made_for_pages_and_calls_somebody_else_second() -> None:
    first = {"on_call": "schedule:PFIRST1"}
    assert paged(**first, ticket_owner="user:POWNER1").on_call
    with pytest.raises(ValidationError, match=stating("on_call:", "pages=True")):
        changed(**first)
    with pytest.raises(ValidationError, match=stating("escalate_to:", "nowhere")):
        paged(**first, escalate_to="schedule:PFIRST1")
    with pytest.raises(ValidationError, match=stating("ticket_owner:", "on_call")):
        paged(ticket_owner="user:POWNER1")


def test_a_spent_budget_pages_only_where_pages_go_out() -> None:
    with pytest.raises(ValidationError, match=stating("budget_spent:", "page", "pages")):
        changed(budget_spent="page")
    assert changed(budget_spent="freeze").budget_spent == "freeze"


def test_batch_runs_no_more_tasks_at_once_than_it_has() -> None:
    with pytest.raises(ValidationError, match=stating("batch_parallelism:", 3, "more", "batch_tasks", 2)):
        changed(batch_tasks=2, batch_parallelism=3)


def test_a_volume_that_the_engine_cannot_hold_is_refused_with_the_other_engines_name() -> None:
    large = {"leads_per_day": 3_333_333, "scoring_replicas": (9, 20)}
    wanted = stating("record_engine:", "duckdb", 'record_engine="spark"', "personal_data_days", "retrain", 32)
    with pytest.raises(ValidationError, match=wanted):
        changed(**large, personal_data_days=400)
    assert changed(**large, personal_data_days=60).record_engine == "duckdb"


def test_the_largest_job_fits_the_regions_quota() -> None:
    large = {"leads_per_day": 300_000, "personal_data_days": 400}
    with pytest.raises(ValidationError, match=stating("leads_per_day:", "6 CPUs", "retrain", "job_cpu_quota", 5)):
        changed(**large, job_cpu_quota=5)
    assert changed(**large, job_cpu_quota=6).job_cpu_quota == 6


def test_the_least_number_of_pods_carries_the_busiest_minute() -> None:
    busy: dict[str, Any] = {
        "leads_per_day": 50_000_000,
        "personal_data_days": 30,
        "noncurrent_days": 20,
        "scoring_millicpus": 250,
    }
    busy |= {"record_engine": "spark", "spark_cidr": "10.11.48.0/22"}
    too_few = stating("scoring_replicas:", "least 1", "2 pods", "leads_per_day", 50_000_000)
    with pytest.raises(ValidationError, match=too_few):
        changed(**busy, scoring_replicas=(1, 9))
    assert changed(**busy, scoring_replicas=(2, 9)).scoring_replicas == (2, 9)


def test_a_pod_gets_no_more_requests_than_it_answers() -> None:
    with pytest.raises(ValidationError, match=stating("pod_requests_per_second:", 500, "1000 leads", "81")):
        changed(leads_per_request=1_000)
    assert changed(leads_per_request=1_000, pod_requests_per_second=80).leads_per_request == 1_000


@pytest.mark.parametrize(
    ("volume", "most"),
    [
        ({}, 1_200),
        ({"leads_per_day": 432_000}, 1_200),
        ({"leads_per_day": 864_000}, 2_400),
        ({"leads_per_day": 864_000, "leads_per_request": 2}, 1_200),
        ({"leads_per_day": 864_000, "requests_per_minute": 50}, 50),
        ({"leads_per_day": 36_000_000, "noncurrent_days": 20, "scoring_replicas": (2, 9)}, 100_000),
    ],
)
def test_one_address_may_send_what_the_declared_volume_has_in_its_busiest_minute(
    volume: dict[str, Any], most: int
) -> None:
    assert changed(**volume, personal_data_days=30).address_requests_per_minute == most


def test_batch_fits_the_regions_quota() -> None:
    with pytest.raises(ValidationError, match=stating("batch_parallelism:", "6 tasks", "2 CPUs", "job_cpu_quota", 11)):
        changed(batch_tasks=10, batch_parallelism=6, job_cpu_quota=11)


def test_spark_needs_a_range_of_its_own() -> None:
    with pytest.raises(ValidationError, match=stating("spark_cidr:", "missing", "record_engine")):
        changed(record_engine="spark")
    with pytest.raises(ValidationError, match=stating("run_cidr:", "overlaps", "spark_cidr")):
        changed(record_engine="spark", spark_cidr=DEV.run_cidr)
    assert changed(record_engine="spark", spark_cidr="10.10.48.0/26").record_engine == "spark"


def test_every_environments_lead_source_exists() -> None:
    for env in ENVIRONMENTS.values():
        assert (Path(__file__).parents[2] / env.lead_source).is_file()


def test_personal_data_is_gone_for_good_after_its_days() -> None:
    assert PROD.personal_data_days == 400
    assert PROD.live_days + PROD.noncurrent_days + PROD.soft_delete_days == 400


def test_a_name_says_company_environment_and_thing() -> None:
    assert DEV.name("models") == "acme-leads-dev-models"


def test_an_environment_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        DEV.pages = True  # type: ignore[misc]


def test_no_two_environments_share_a_project() -> None:
    assert len({env.project for env in ENVIRONMENTS.values()}) == len(ENVIRONMENTS)


@pytest.mark.parametrize(
    ("values", "facts"),
    [
        ({"pods_cidr": DEV.nodes_cidr[:-2] + "20"}, ["nodes_cidr:", "overlaps", "pods_cidr"]),
        ({"peering_cidr": DEV.run_cidr}, ["run_cidr:", "overlaps", "peering_cidr"]),
        ({"pods_cidr": "192.168.0.0/24"}, ["pods_cidr:", "192.168.0.0/24", "smaller", "/20"]),
        ({"internet_cidrs": ("10.0.0.0/8",)}, ["10.0.0.0/8", "public"]),
        ({"internet_cidrs": ("0.0.0.0/0",)}, ["0.0.0.0/0", "public"]),
    ],
)
def test_ranges_are_large_enough_apart_and_where_they_belong(values: dict[str, Any], facts: list[str]) -> None:
    with pytest.raises(ValidationError, match=stating(*facts)):
        changed(**values)
