"""The figures of `scripts/bench scale`: their limits, table, plot, and what they say of 100,000,000 leads a month."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from infra.sizing import ENGINE_BYTES, JOBS, PROCESS_BYTES, TooLarge, Volume, job_size
from tests.benchmarks.scale.processes import Measured

MEMORY = ENGINE_BYTES + PROCESS_BYTES
SECONDS = {100_000: 20.6, 10_000_000: 180.0}
"""Processor time of an evaluation. For 100,000 records it is a fifth of what it was with an object for each record."""

A_MONTH, LIVE_DAYS = 100_000_000, 379


class Bar(NamedTuple):
    """A limit and what was measured."""

    name: str
    value: float
    most: float

    @property
    def met(self) -> bool:
        """Whether it is held."""
        return self.value <= self.most


class Line(NamedTuple):
    """`fixed` + `each` for each record; `off` is the largest error beside what was measured, as a share of that."""

    fixed: float
    each: float
    off: float

    def at(self, records: float) -> float:
        """The value for so many records."""
        return self.fixed + self.each * records

    @classmethod
    def through(cls, points: Mapping[int, float]) -> "Line":
        """The line with the least squares of relative errors, none of its two numbers negative."""
        records, values = np.array(list(points), float), np.array(list(points.values()))
        weights = 1 / np.maximum(values, 1e-9)
        columns = np.column_stack([np.ones(len(records)), records]) * weights[:, None]
        fixed, each = np.linalg.lstsq(columns, values * weights, rcond=None)[0]
        if fixed < 0:
            fixed, each = 0.0, float((records * weights).sum() / ((records * weights) ** 2).sum())
        if each < 0:
            fixed, each = float(weights.sum() / (weights**2).sum()), 0.0
        return cls(float(fixed), float(each), float(np.abs((fixed + each * records) * weights - 1).max()))


@dataclass
class Figures:
    """What was measured, by records and job; `spark` has the processor seconds of job and Spark by records."""

    measured: dict[int, dict[str, Measured]] = field(default_factory=dict)
    spark: dict[int, dict[str, float]] = field(default_factory=dict)
    not_run: str = ""

    def bars(self) -> Iterator[Bar]:
        """All limits that these figures can be held against."""
        for records, most in SECONDS.items():
            if found := self.measured.get(records, {}).get("evaluate"):
                yield Bar(f"evaluate, {records:,} records, processor s", found.seconds, most)
        for records, jobs in self.measured.items():
            for job, found in jobs.items():
                yield Bar(f"{job}, {records:,} records, MB", found.memory / 1e6, MEMORY / 1e6)

    def line(self, job: str, what: str) -> Line:
        """How `seconds` or `files` of a job grow with the records.

        Files by the two largest sizes alone: what is small stays in memory.
        """
        points = {n: float(getattr(self.measured[n][job], what)) for n in sorted(self.measured)}
        if what != "files" or len(points) < 2:
            return Line.through(points)
        (fewer, little), (more, much) = list(points.items())[-2:]
        each = (much - little) / (more - fewer)
        return Line(little - each * fewer, each, 0.0)

    def on_paper(self) -> Iterator[str]:
        """What 100,000,000 leads a month would take in DuckDB, and from which volume on it takes Spark."""
        a_day = A_MONTH // 30
        for job in ("evaluate", "drift", "retrain", "compact"):
            days = JOBS[job].days or LIVE_DAYS
            records = days * a_day
            seconds, files = self.line(job, "seconds"), self.line(job, "files")
            memory = max(jobs[job].memory for jobs in self.measured.values())
            yield (
                f"{job}, {days} days, {records:,} records: {seconds.at(records):,.0f} s "
                f"({seconds.fixed:.1f} s + {1e6 * seconds.each:.1f} µs a record, off by at most {seconds.off:.0%}), "
                f"temporary files {files.at(records) / 1e9:.1f} GB ({files.each:.0f} bytes a record, by the two "
                f"largest sizes), memory {memory / 1e9:.2f} GB as measured: the engine's limit bounds it"
            )
        for job in ("evaluate", "drift", "retrain"):
            yield f"{job}: DuckDB holds up to {largest(job):,} leads a day by infra/sizing.py; from there on Spark"


def largest(job: str, live_days: int = LIVE_DAYS) -> int:
    """The most leads a day, to 1,000, of which this job fits into one task with DuckDB."""
    low, high = 0, 1_000_000
    while high - low > 1:
        middle = (low + high) // 2
        try:
            job_size(job, Volume(1_000 * middle, live_days, "duckdb"))
            low = middle
        except TooLarge:
            high = middle
    return 1_000 * low


def plot(figures: Figures, file: Path) -> None:
    """Processor time and peak memory of all jobs, on scales of powers of ten."""
    import matplotlib as mpl  # here, for it takes half a second, and memory

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (times, memory) = plt.subplots(1, 2, figsize=(11, 4))
    sizes = sorted(figures.measured)
    for job in figures.measured[sizes[0]]:
        found = [figures.measured[size][job] for size in sizes]
        times.plot(sizes, [each.seconds for each in found], "o-", label=job)
        memory.plot(sizes, [each.memory / 1e6 for each in found], "o-", label=job)
    if on_spark := sorted(figures.spark):
        times.plot(on_spark, [sum(figures.spark[n].values()) for n in on_spark], "x:", label="evaluate on Spark")
    limits = [(size, most) for size, most in SECONDS.items() if size in sizes]
    times.plot(*zip(*limits, strict=True), "v", color="tab:red", label="limits of evaluate") if limits else None
    memory.axhline(MEMORY / 1e6, color="tab:red", linewidth=1, label="limit")
    times.set(xscale="log", yscale="log", xlabel="records", ylabel="processor seconds")
    memory.set(xscale="log", xlabel="records", ylabel="peak memory, MB", ylim=(0, None))
    for axis in (times, memory):
        axis.legend(loc="upper left", fontsize="small")
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)
