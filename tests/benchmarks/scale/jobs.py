"""The jobs that are measured, each called as it is in production, over one world."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.scale.places import DAYS, MATURITY, Places
from tests.benchmarks.scale.processes import Measured, run

JOBS = ("compact", "evaluate", "drift", "retrain", "completeness", "forget")
"""In this order: compact makes what the others read. `retrain` is the one that calibration triggers: it reads all leads
with an outcome, finds the scores calibrated, and trains nothing."""

FORGOTTEN = "K-000000042"


def arguments(places: Places, job: str, tracking: str) -> list[str]:
    """What Python is called with to run the job."""
    if job == "completeness":
        return ["-m", "tests.benchmarks.scale.completeness", str(places.folder)]
    stored = ["--predictions", places.url("predictions"), "--leads", places.url("leads")]
    models = ["--models", places.url("models")]
    now = ["--now", places.now.isoformat()]
    source = ["--source", str(places.source)]
    more = {
        "compact": [*models, *now],
        "evaluate": [*models, *source, *now, "--tracking", tracking, "--days", str(DAYS)],
        "drift": [*models, *source, *now, "--tracking", tracking, "--days", str(DAYS + MATURITY + 1)],
        "retrain": [*models, *source, *now, "--tracking", tracking, "--trigger", "calibration"],
        "forget": [*source, "--lead-id", FORGOTTEN],
    }
    return ["-m", f"service.lifecycle.{job}", *stored, *more[job]]


def measure(root: Path, records: int, tracking: str, tell: Callable[[str], None]) -> Iterator[tuple[str, Measured]]:
    """Make a world below `root` and run each job in it. Raises JobEnded."""
    tell(f"{records:,} records: making them")
    folder = root / str(records)
    # In a process of its own: what this one once held counts as the memory of those that it starts.
    run("world", ["-m", "tests.benchmarks.scale.world", str(folder), str(records)], root / "run")
    places = Places.at(folder)
    for job in JOBS:
        tell(f"{records:,} records: {job}")
        yield job, run(job, arguments(places, job, tracking), folder / "run")
        if job == "compact":  # the next run deletes the raw objects
            run("compact-again", arguments(places, job, tracking), folder / "run")


def measure_spark(root: Path, records: int, tracking: str, tell: Callable[[str], None]) -> dict[str, float]:
    """Processor seconds of an evaluation of this world on Spark: those of the `job`, and of `spark` itself."""
    tell(f"{records:,} records: evaluate on Spark")
    folder = root / str(records)
    places = Places.at(folder)
    evaluate = arguments(places, "evaluate", tracking)
    # At another time, for that of the evaluation before is judged already.
    later = places.now.replace(minute=1).isoformat()
    evaluate[evaluate.index("--now") + 1] = later
    result = folder / "run/spark.json"
    program = ["-m", "tests.benchmarks.scale.on_spark", str(folder / "spark"), str(result), sys.executable]
    run("spark", [*program, *evaluate, "--engine", "spark"], folder / "run")
    found: dict[str, float] = json.loads(result.read_text())
    return found
