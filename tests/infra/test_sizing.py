"""Sizes of jobs and pods that follow from the declared volume."""

import re
from bisect import bisect_left
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml

from infra import sizing
from infra.environment import Environment
from infra.environments import ENVIRONMENTS
from infra.sizing import MOST_GIB, JobSize, RecordEngine, TooLarge, Volume, job_size
from monitoring.platform import Platform
from monitoring.simulation.world import DAY, quiet
from service.lifecycle.relations import spark_batch
from service.rhythm import LOOP
from service.settings import Settings
from tests.facts import states, stating

ROOT = Path(__file__).parents[2]
MONTH_OF_100_MILLION = Volume(3_333_333, 379, "duckdb")


def test_retraining_grows_with_the_records_that_live_and_evaluation_with_four_weeks() -> None:
    sizes = [job_size("retrain", Volume(400_000, days, "duckdb")) for days in (7, 100, 379)]
    assert [size.memory_gib for size in sizes] == sorted({size.memory_gib for size in sizes})
    assert job_size("evaluate", Volume(500_000, 100, "duckdb")) == job_size("evaluate", Volume(500_000, 379, "duckdb"))


@pytest.mark.parametrize("leads_per_day", [1, 10_000, 300_000, 440_000])
def test_every_size_is_one_that_cloud_run_gives(leads_per_day: int) -> None:
    for job in sizing.JOBS:
        size = job_size(job, Volume(leads_per_day, 379, "duckdb"))
        assert 0 < size.memory_gib <= MOST_GIB[size.cpus]
        assert 1 <= size.hours <= 24


def test_without_a_declared_volume_jobs_have_the_time_that_alerts_take_for_granted() -> None:
    default = Volume(Environment.model_fields["leads_per_day"].default, 379, "duckdb")
    assert {job.name: job.timeout.total_seconds() / 3600 for job in Platform().jobs} == {
        job: job_size(job, default).hours for job in sizing.JOBS if job != "train"
    }


def test_a_hundred_million_leads_a_month_kept_for_a_year_need_spark_for_retraining_alone() -> None:
    with pytest.raises(TooLarge, match=stating("duckdb", "retrain", 'record_engine="spark"')):
        job_size("retrain", MONTH_OF_100_MILLION)
    assert job_size("evaluate", MONTH_OF_100_MILLION) == JobSize(cpus=6, memory_gib=18, hours=2)
    assert job_size("retrain", Volume(3_333_333, 379, "spark")).memory_gib <= MOST_GIB[2]


def largest(job: str, engine: RecordEngine) -> int:
    """The most leads a day that the job holds, of records that live 379 days."""
    return bisect_left(range(1, 10**10), True, key=lambda leads: refusal(job, Volume(leads, 379, engine)) is not None)


def refusal(job: str, volume: Volume) -> str | None:
    try:
        job_size(job, volume)
    except TooLarge as error:
        return str(error)
    return None


@pytest.mark.parametrize("job", [job for job, needs in sizing.JOBS.items() if needs.on_engine])
def test_what_duckdb_just_holds_is_taken_and_one_lead_more_is_refused_and_sent_to_spark(job: str) -> None:
    most = largest(job, "duckdb")
    held = job_size(job, Volume(most, 379, "duckdb"))
    assert held.memory_gib == MOST_GIB[8] or held.hours == sizing.MOST_HOURS
    refused = refusal(job, Volume(most + 1, 379, "duckdb"))
    assert refused
    states(refused, "duckdb", job, f"leads_per_day {most + 1}", 'record_engine="spark"')
    assert job_size(job, Volume(most + 1, 379, "spark")).cpus == 2


def test_a_job_that_runs_on_no_engine_has_the_same_limit_with_both_and_names_none() -> None:
    most = largest("compact", "duckdb")
    assert most == largest("compact", "spark")
    for engine in ("duckdb", "spark"):
        assert job_size("compact", Volume(most, 379, engine)).memory_gib == MOST_GIB[8]
        assert "record_engine=" not in str(refusal("compact", Volume(most + 1, 379, engine)))


@pytest.mark.parametrize("job", sizing.BATCHES)
def test_a_job_outlives_the_batches_that_it_waits_for(job: str) -> None:
    assert sizing.BATCH_SECONDS == spark_batch.LIMIT_S + spark_batch.QUEUE_S
    here, there = (job_size(job, Volume(400_000, 379, engine)) for engine in get_args(sizing.RecordEngine))
    assert there.hours * 3600 >= sizing.BATCHES[job] * sizing.BATCH_SECONDS + sizing.JOBS[job].least_hours * 3600
    assert (here.hours, there.hours <= sizing.MOST_HOURS) == (sizing.JOBS[job].least_hours, True)


def test_the_readme_states_how_long_jobs_with_batches_may_take() -> None:
    stated = re.search(r"with DuckDB: (\d+), (\d+) and (\d+) hours", (ROOT / "infra/README.md").read_text())
    assert stated
    hours = [job_size(job, Volume(600_000, 379, "spark")).hours for job in sizing.BATCHES]
    assert [*map(int, stated.groups())] == hours


def test_jobs_on_the_chosen_engine_are_those_with_an_option_for_it() -> None:
    with_option = {
        job for job in sizing.JOBS if "add_engine(" in (ROOT / "service/lifecycle" / f"{job}.py").read_text()
    }
    assert with_option == sizing.BATCHES.keys() == {job for job, needs in sizing.JOBS.items() if needs.on_engine}


def test_the_sizes_that_the_readme_states_are_those_that_jobs_get() -> None:
    text = (ROOT / "infra" / "README.md").read_text()
    size = r"(\d) CPUs, (\d+) GiB, (\d+) h"
    rows = re.findall(rf"\| ([\d,]+) \| {size} \| (?:{size}|refused.*) \| {size} \|", text)
    assert len(rows) == 5
    for leads, *figures in rows:
        volume = Volume(int(leads.replace(",", "")), 379, "duckdb")
        for place, job in enumerate(("evaluate", "retrain", "compact")):
            if any(stated := figures[3 * place : 3 * place + 3]):
                assert job_size(job, volume) == JobSize(*map(int, stated))
            else:
                with pytest.raises(TooLarge):
                    job_size(job, volume)


def test_what_no_engine_takes_over_is_refused_without_naming_one() -> None:
    with pytest.raises(TooLarge, match=stating("compact", "personal_data_days")) as refused:
        job_size("compact", Volume(20_000_000, 379, "spark"))
    assert "record_engine=" not in str(refused.value)


def test_windows_are_those_that_the_jobs_read_by_themselves() -> None:
    read = {"evaluate": LOOP.evaluated_days, "drift": LOOP.drift_days}
    assert {job: sizing.JOBS[job].days for job in read} == read


def test_capacity_is_what_the_benchmark_measured() -> None:
    (row,) = re.findall(
        r"\| \*\*ours\*\*.*\| ([\d,]+) \| [\d.]+ \| ([\d,]+) \|", (ROOT / "service/README.md").read_text()
    )
    one, thousand = (int(text.replace(",", "")) for text in row)
    assert sizing.pod_requests_per_second(1_000, 1) == pytest.approx(one, rel=0.01)
    assert sizing.pod_requests_per_second(1_000, 1_000) * 1_000 == pytest.approx(thousand, rel=0.01)


def test_pods_are_counted_at_the_load_that_the_autoscaler_aims_at() -> None:
    scaler = yaml.safe_load((ROOT / "service/deploy/horizontalpodautoscaler.yaml").read_text())
    (metric,) = scaler["spec"]["metrics"]
    assert metric["resource"]["target"]["averageUtilization"] == 100 * sizing.AUTOSCALER_TARGET


def test_the_simulated_days_have_the_declared_traffic_and_no_higher_peak() -> None:
    rate = np.mean([quiet(seed, 30).rate[DAY : 29 * DAY] for seed in range(20)], axis=0).reshape(-1, DAY)
    of_work = rate[[day for day in range(28) if (day + 1) % 7 % 6]]
    assert of_work.sum(axis=1).mean() == pytest.approx(Platform().requests_per_day, rel=0.1)
    assert 2 < (of_work.max(axis=1) / of_work.mean(axis=1)).max() < sizing.PEAK


def test_requests_hold_as_many_leads_as_the_service_takes() -> None:
    env = next(iter(ENVIRONMENTS.values()))
    (most,) = (each.le for each in type(env).model_fields["leads_per_request"].metadata if hasattr(each, "le"))
    assert most == Settings.model_fields["max_leads"].default
