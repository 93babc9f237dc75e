"""An outage changes what its words say; what it does not touch stays as it was."""

import pytest

from monitoring import catalogue
from monitoring.review.altered import altered, reading
from monitoring.review.describe import parse
from monitoring.review.outage import EFFECTS, Unclear
from monitoring.review.trial import quiet_days, with_outages
from monitoring.simulation.world import World
from tests.facts import stating

DAYS, PER_DAY = 4, 600_000
DISK = "cloudsql_googleapis_com:database_disk_utilization"
CHANGED = {
    "422 1% 6h": {"requests_total", "https_request_count"},
    "401 60% 6h": {"requests_total", "https_request_count", "callers_refused_total"},
    "front door 403 60% 6h": {"requests_total", "https_request_count"},
    "front door 502 60% 6h": {"requests_total", "https_request_count", "uptime_check_check_passed"},
    "front door 60% 6h": {"requests_total", "uptime_check_check_passed"},
    "pods 75% 6h": {"requests_total", "status_replicas_available", "container_restart_count", "spool_bytes"},
    "cluster 6h": {"requests_total", "spec_replicas", "https_request_count", "uptime_check_check_passed"},
    "restarts 1h": {"container_restart_count"},
    "slow 60% 6h": {"request_duration_seconds_bucket"},
    "slow front door 40% 6h": {"https_total_latencies_bucket"},
    "capacity 60% 6h": {"requests_total", "requests_shed_total"},
    "bucket 6h": {"records_uploaded_total", "spool_bytes", "upload_failures_total"},
    "records 60% 6h": {"records_written_total"},
    "pointer 50% 6h": {"pointer_last_success_timestamp_seconds"},
    "metrics 6h": {"requests_total", "model_info", "spool_bytes"},
    "job evaluate 2d": {"job_last_success_timestamp_seconds"},
    "job fails drift 2d": {"job_last_failure_timestamp_seconds", "job_completed_execution_count"},
    "scheduler 2d": {"job_last_success_timestamp_seconds", "compact_oldest_waiting_seconds"},
    "mlflow 503 60% 6h": {"request_count"},
    "database 6h": {"database_instance_state", "request_count"},
    f"{DISK}=0.95 6h": {"database_disk_utilization"},
    "leadscoring_drift_found=1 2d": {"drift_found"},
}
EXACTLY = [
    text
    for text in CHANGED
    if text.split()[0] in ("422", "restarts", "slow", "bucket", "pointer", "mlflow", "database")
]


@pytest.fixture(scope="module")
def usual() -> World:
    return quiet_days(DAYS, PER_DAY)


def names(usual: World, text: str) -> set[str]:
    outages = parse(text)
    found = altered(usual, with_outages(DAYS, PER_DAY, outages), outages[0].span)
    return {name for name, _ in found}


@pytest.mark.parametrize("text", CHANGED)
def test_it_changes_the_series_that_its_words_are_about(text: str, usual: World) -> None:
    found = names(usual, text)
    missing = {end for end in CHANGED[text] if not any(name.endswith(end) for name in found)}
    assert not missing
    if text in EXACTLY:
        assert len(found) == len(CHANGED[text])


def test_every_way_to_fail_is_among_these() -> None:
    assert {(each.part, bool(each.status)) for text in CHANGED for each in parse(text)} == EFFECTS.keys()


def test_the_same_days_do_not_differ(usual: World) -> None:
    assert altered(usual, quiet_days(DAYS, PER_DAY), slice(0, usual.minutes)) == []


def test_the_share_that_is_said_gets_the_status(usual: World) -> None:
    (outage,) = parse("401 25% 6h")
    told = with_outages(DAYS, PER_DAY, (outage,))
    counts = {
        status: sum(
            track.values[outage.span].sum()
            for track in told.tracks["leadscoring_requests_total"]
            if track.labels["status"] == status
        )
        for status in ("200", "401")
    }
    assert counts["401"] / sum(counts.values()) == pytest.approx(0.25, abs=0.01)


def test_who_reads_a_series_is_found_by_its_labels(usual: World) -> None:
    (outage,) = parse("job batch 2d")
    readers = reading(catalogue.alerts(), altered(usual, with_outages(DAYS, PER_DAY, (outage,)), outage.span))
    named = {alert.name for alert in readers}
    assert {"BatchLate", "BatchFailing"} <= named
    assert not named & {"EvaluateLate", "ScoringAvailabilityBurnFast"}


def test_a_series_that_is_not_there_is_said_with_those_of_similar_names() -> None:
    with pytest.raises(Unclear, match=stating("database_disk_utilization", DISK)):
        with_outages(DAYS, PER_DAY, parse("database_disk_utilization=0.95 3h"))
