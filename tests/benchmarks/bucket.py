"""How fast files of leads on a bucket that is far away are scored: `scripts/bench bucket`.

The same leads lie in a folder, and on a fake-gcs-server behind a proxy that lets each request wait.
"""

import argparse
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet
from rich.console import Console
from rich.table import Table

from service.lifecycle import batch
from service.lifecycle.data.form import Form
from service.lifecycle.data.sample import Sample, generate
from service.lifecycle.scoring.batch_scoring import FileJob
from service.model.bundle import Bundle
from service.storage import Folder, Storage, open_storage
from tests.benchmarks.machine import machine
from tests.benchmarks.slow_bucket import reached_at, slow_bucket
from tests.benchmarks.trained import train

LEAST = 400_000.0
BARRED = "bucket, row groups of 20,000"

DESCRIPTION = f"""Score a file of leads on a bucket where each request waits, beside the same file in a folder.

The bar: at least {LEAST:,.0f} rows a second of Parquet with row groups of 20,000. The server and the proxy run on the
same processors as the job."""

EXAMPLES = """examples:
  scripts/bench bucket                     2,000,000 leads, 30 ms a request; some minutes
  scripts/bench bucket --delay-ms 5 --rounds 1 --json bucket.json

exit status: 0 done, 1 the bar was missed, 2 wrong use
"""


@dataclass(frozen=True)
class Speed:
    """Medians over the rounds: rows a second, and processor seconds for a million rows."""

    rows_per_second: float
    processor_s_a_million: float


def measure(
    folder: Path, rows: int, rounds: int, threads: int, delay_ms: int, tell: Callable[[str], None]
) -> dict[str, Speed]:
    """Generate, train and measure in this folder."""
    tell("training the trees")
    served, _, _ = train(folder)
    tell(f"generating {rows:,} leads")
    files = _files(pa.Table.from_pandas(generate(Sample(rows=rows, seed=7)).frame, preserve_index=False))
    local, taken = Folder(folder / "leads"), dict[str, list[Speed]]()
    with slow_bucket(delay_ms / 1000) as (server, proxy):
        with reached_at(server):
            direct = open_storage("gs://leads-test")
        with reached_at(proxy):
            afar = open_storage("gs://leads-test")
        for name, data in files.items():
            local.create(name, data)
            with direct.writing(name, None) as file:
                file.write(data)
        for number in range(rounds):
            for name in files:
                for place, storage in (("folder", local), ("bucket", afar)):
                    tell(f"round {number + 1} of {rounds}: {place}, {name}")
                    taken.setdefault(f"{place}, {name}", []).append(_score(served, storage, name, threads))
    return {
        name: Speed(
            median(each.rows_per_second for each in speeds), median(each.processor_s_a_million for each in speeds)
        )
        for name, speeds in taken.items()
    }


def _score(served: Bundle, storage: Storage, name: str, threads: int) -> Speed:
    """Score the file as a whole, into objects beside it."""
    job = batch.BatchJob(FileJob(served, Form(), threads), storage, storage, "parquet", say=lambda _: None)
    start, busy = time.perf_counter(), time.process_time()
    counts = batch.score_object(job, name)
    took, busy = time.perf_counter() - start, time.process_time() - busy
    assert counts is not None
    for key in storage.keys(f"{name}."):
        storage.delete(key, batch.generation_of(storage, key) or "")
    return Speed(counts.scored / took, 1e6 * busy / counts.scored)


def _files(table: pa.Table) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name, size in (("row groups of 20,000", 20_000), ("row groups of 1,000,000", 1_000_000)):
        sink = io.BytesIO()
        parquet.write_table(table, sink, row_group_size=size)
        files[name] = sink.getvalue()
    sink = io.BytesIO()
    arrow_csv.write_csv(table, sink)
    return {**files, "CSV": sink.getvalue()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench bucket",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=2_000_000, help="leads (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of all forms in turn (default: %(default)s)")
    parser.add_argument("--delay-ms", type=int, default=30, help="that each request waits (default: %(default)s)")
    parser.add_argument("--threads", type=batch.threads, default=len(os.sched_getaffinity(0)), help="(default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    options = parser.parse_args(arguments)
    if options.rows < 1_000 or options.rounds < 1:
        parser.error("--rows from 1000, --rounds from 1")
    console, out = Console(stderr=True), Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        speeds = measure(Path(folder), options.rows, options.rounds, options.threads, options.delay_ms, console.print)
    reached = speeds[BARRED].rows_per_second
    table = Table("form", "rows a second", "processor s a million", title=f"{options.rows:,} leads")
    for name, speed in speeds.items():
        table.add_row(name, f"{speed.rows_per_second:,.0f}", f"{speed.processor_s_a_million:.2f}")
    out.print(table)
    out.print(
        f"{BARRED}: {reached:,.0f} rows a second, at least {LEAST:,.0f}: {'met' if reached >= LEAST else 'MISSED'}"
    )
    environment = machine(("onnxruntime", "pyarrow", "numpy"), f"{options.threads} threads, {options.delay_ms} ms")
    out.print(environment, soft_wrap=True)
    if options.json:
        figures = {name: asdict(speed) for name, speed in speeds.items()}
        document = {"environment": environment, "rows": options.rows, "speeds": figures, "passed": reached >= LEAST}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if reached >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
