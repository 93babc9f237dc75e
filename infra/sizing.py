"""What the declared volume of an environment needs: the size of each job, and the capacity of the scoring pods.

The coefficients of JOBS are those that `scripts/bench scale` measured at 100,000, 1,000,000 and 10,000,000 records,
rounded up; 600 MB is its limit for a process beside its engine.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

RecordEngine = Literal["duckdb", "spark"]

# The largest memory of a task for its CPUs, in GiB. Files that a job writes, DuckDB's spilled ones too, count.
# https://cloud.google.com/run/docs/configuring/jobs/memory-limits
# https://cloud.google.com/run/docs/configuring/jobs/cpu
MOST_GIB = {2: 8, 4: 16, 6: 24, 8: 32}
MOST_CPUS, LEAST_GIB = max(MOST_GIB), 4
# A daily job ends before it starts again. Cloud Run would allow 168: https://cloud.google.com/run/docs/configuring/task-timeout
MOST_HOURS = 24
SPARE_MEMORY, SPARE_TIME = 1.25, 4  # how many times what is computed a job is given

ENGINE_BYTES = 1.5e9  # DuckDB's memory limit
PROCESS_BYTES = 600e6  # of a process, beside its engine
RAW_BYTES = 200  # a record in a temporary Parquet file, as long as it is not compacted: a day's at most


class JobNeeds(NamedTuple):
    """What a task of a job needs beside engine and process. `bytes` and `microseconds` are those of one record."""

    days: int | None  # of records that it reads; None: of all that live
    bytes: float
    microseconds: float  # of processor time
    other_bytes: float
    least_hours: int
    on_engine: bool = True  # its reading of records runs on the environment's engine


# The engine writes what does not fit into its memory to temporary files: 127 to 134 bytes for each further record.
# Training holds a sample of 1,000,000 rows, at 2,400 bytes each.
JOBS = {
    "train": JobNeeds(0, 0, 0, 4.5e9, 6, on_engine=False),
    "compact": JobNeeds(1, 400, 40, 0, 1, on_engine=False),
    "evaluate": JobNeeds(28, 135, 18, 0, 1),
    "drift": JobNeeds(7, 135, 18, 0, 1),
    "retrain": JobNeeds(None, 135, 18, 2.4e9, 6),
    "batch": JobNeeds(0, 0, 0, 4.5e9, 2, on_engine=False),
    "report": JobNeeds(0, 0, 0, 0, 1, on_engine=False),
}
BATCHES = {"evaluate": 1, "drift": 2, "retrain": 2}  # of Spark that one run of a job waits for at most
BATCH_SECONDS = 8_100  # LIMIT_S + QUEUE_S in service/lifecycle/relations/spark_batch.py: after them it gives a batch up
DISK_LIMIT_GB = 200  # of MLflow's database: a run-away writer is stopped before the budget is
FIRST_SCORE_BYTES = 7  # of compact, for each lead that lives: 100 bytes of a sixteenth of the table of first scores


@dataclass(frozen=True, slots=True)
class Volume:
    """What an environment declares."""

    leads_per_day: int
    live_days: int  # for which records are kept
    engine: RecordEngine


@dataclass(frozen=True, slots=True)
class JobSize:
    """CPUs and memory of a task, and how long one attempt may take."""

    cpus: int
    memory_gib: int
    hours: int


class TooLarge(ValueError):
    """A job cannot hold the volume; the message says which, and what would."""


def job_size(job: str, volume: Volume) -> JobSize:
    """The size of a task of `job`. Raises TooLarge."""
    needs = JOBS[job]
    days = volume.live_days if needs.days is None else min(needs.days, volume.live_days)
    elsewhere = needs.on_engine and volume.engine == "spark"
    records = 0 if elsewhere else days * volume.leads_per_day
    used = ENGINE_BYTES + PROCESS_BYTES + needs.other_bytes + records * needs.bytes
    if needs.on_engine and not elsewhere:
        used += volume.leads_per_day * RAW_BYTES
    if job == "compact":
        used += volume.leads_per_day * volume.live_days * FIRST_SCORE_BYTES
    memory = max(LEAST_GIB, math.ceil(SPARE_MEMORY * used / 2**30))
    hours = max(needs.least_hours, math.ceil(SPARE_TIME * records * needs.microseconds / 1e6 / 3600))
    if elsewhere:  # a job that ended first would leave a batch that nobody waits for
        hours += math.ceil(BATCHES[job] * BATCH_SECONDS / 3600)
    most = MOST_GIB[MOST_CPUS]
    if memory > most or hours > MOST_HOURS:
        raise TooLarge(
            f"{volume.engine} cannot hold leads_per_day {volume.leads_per_day}: {job} would need {memory} GiB and "
            f"{hours} h for {days} days of records, and a job gets at most {most} GiB and {MOST_HOURS} h; "
            + ('set record_engine="spark", or fewer personal_data_days' if needs.on_engine else _NEITHER)
        )
    cpus = next(cpus for cpus, gib in MOST_GIB.items() if memory <= gib)
    return JobSize(cpus, memory, hours)


_NEITHER = "duckdb and spark need this job alike: set fewer personal_data_days, or divide the leads among environments"

# `scripts/bench serve` (service/README.md#speed): a core answers 13,672 requests of one lead a second, and 163,445
# leads in requests of 1,000.
REQUEST_MICROSECONDS, LEAD_MICROSECONDS = 67.1, 6.1
AUTOSCALER_TARGET = 0.6  # of a pod's CPU: averageUtilization in service/deploy/horizontalpodautoscaler.yaml
PEAK = 4  # how many times the day's mean the busiest minute is; 3.1 in the days of monitoring/simulation/world.py


def peak_requests_per_second(leads_per_day: int, leads_per_request: int) -> float:
    """In the busiest minute of a day."""
    return PEAK * leads_per_day / leads_per_request / 86_400


def pod_requests_per_second(millicpus: int, leads_per_request: int) -> float:
    """What one pod answers with all of its CPU."""
    return millicpus / 1_000 / (REQUEST_MICROSECONDS + LEAD_MICROSECONDS * leads_per_request) * 1e6
