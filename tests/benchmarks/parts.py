"""One large file scored by many tasks, of which two are killed on the way: `scripts/bench parts`.

The scores must be those of every lead, once each, in the file's order.
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet
from rich.console import Console

from service.lifecycle import batch
from service.lifecycle.data.form import Form
from service.lifecycle.data.sample import Sample, generate
from service.lifecycle.scoring.batch_scoring import FileJob
from service.model.bundle import Bundle
from service.storage import Folder
from tests.benchmarks.machine import machine
from tests.benchmarks.trained import train

BLOCK = 1_000_000
"""Leads that are generated; the file holds them again and again, each time with other ids."""

EXAMPLES = """examples:
  scripts/bench parts                      20,000,000 leads over 8 tasks; some minutes
  scripts/bench parts --rows 2000000 --tasks 3

exit status: 0 the scores are exact, 1 they are not, 2 wrong use
"""


def ids(block: int, rows: int) -> pa.Array:
    """The ids of this block's leads."""
    numbers = pc.cast(pa.array(np.arange(block * BLOCK, block * BLOCK + rows)), pa.string())
    return pc.binary_join_element_wise("L", numbers, "-")


def write_leads(folder: Folder, rows: int, group: int) -> pa.Table:
    """Write the file; return the leads of a block."""
    leads = pa.Table.from_pandas(generate(Sample(rows=min(rows, BLOCK), seed=7)).frame, preserve_index=False)
    place = leads.schema.get_field_index("lead_id")
    with folder.writing("leads.parquet", None) as file, parquet.ParquetWriter(file, leads.schema) as writer:
        for block in range(-(-rows // BLOCK)):
            part = leads.slice(0, rows - block * BLOCK)
            writer.write_table(part.set_column(place, "lead_id", ids(block, len(part))), row_group_size=group)
    return leads


def run_tasks(command: list[str], out: Folder, tasks: int, at_once: int, tell: Callable[[str], None]) -> None:
    """Run all tasks; two of them are killed as soon as one more part than before is done, and started again."""
    kills = {0, tasks - 1}

    def run(task: int) -> None:
        environment = os.environ | {"CLOUD_RUN_TASK_INDEX": str(task), "CLOUD_RUN_TASK_COUNT": str(tasks)}
        while True:
            with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as job:
                before = len(list(out.keys("leads")))
                while task in kills and job.poll() is None:
                    if len(list(out.keys("leads"))) > before:
                        time.sleep(0.3)
                        job.send_signal(signal.SIGKILL)
                        kills.discard(task)
                    time.sleep(0.05)
                if job.wait() == 0:
                    tell(f"task {task} is done")
                    return
                if job.returncode != -signal.SIGKILL:
                    raise SystemExit(f"task {task} ended with {job.returncode}")
                tell(f"task {task} was killed, and is started again")

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(run, range(tasks)))
    if kills:
        raise SystemExit(f"tasks {kills} ended before they were killed; take more rows")


def exact(out: Folder, expected: pa.Table, rows: int) -> int:
    """The number of objects, of which together each row holds the id and score of its lead. Raises SystemExit."""
    names = sorted(key for key in out.keys("leads"))
    done = 0
    for name in names:
        found = parquet.read_table(out.root / name, columns=["lead_id", "score"])
        while len(found):
            block, place = divmod(done, BLOCK)
            here = found.slice(0, BLOCK - place)
            same = ids(block, BLOCK).slice(place, len(here)).equals(here["lead_id"].combine_chunks())
            if not same or not here["score"].combine_chunks().equals(
                expected["score"].slice(place, len(here)).combine_chunks()
            ):
                raise SystemExit(f"{name}: holds other rows than the leads from {done:,} on")
            done, found = done + len(here), found.slice(len(here))
    if done != rows:
        raise SystemExit(f"{done:,} rows are there of {rows:,}")
    return len(names)


def block_scores(served: Bundle, folder: Path, leads: pa.Table) -> pa.Table:
    """The scores of a block's leads, scored as one file."""
    place, out = Folder(folder / "block"), Folder(folder / "block-scores")
    place.root.mkdir()
    parquet.write_table(leads, place.root / "leads.parquet", row_group_size=BLOCK)
    job = batch.BatchJob(FileJob(served, Form(), len(os.sched_getaffinity(0))), place, out, say=lambda _: None)
    assert batch.score_object(job, "leads.parquet") is not None
    (name,) = out.keys("")
    return parquet.read_table(out.root / name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench parts",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=20_000_000, help="leads (default: %(default)s)")
    parser.add_argument("--row-group", type=int, default=20_000, help="rows of a row group (default: %(default)s)")
    parser.add_argument("--tasks", type=int, default=8, help="(default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=2, help="tasks that run at a time (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.rows < BLOCK or options.rows % BLOCK or options.tasks < 2 or options.at_once < 1:
        parser.error(f"--rows a multiple of {BLOCK:,}, --tasks from 2, --at-once from 1")
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        console.print("training the trees, writing the leads")
        served, _, _ = train(folder)
        leads, out = Folder(folder / "leads"), Folder(folder / "out")
        expected = block_scores(served, folder, write_leads(leads, options.rows, options.row_group))
        command = [sys.executable, "-m", "service.lifecycle.batch", "--models", str(folder / "models")]
        command += ["--input", leads.url, "--out", out.url, "--threads", "1"]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        run_tasks(command, out, options.tasks, options.at_once, console.print)
        took, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        objects = exact(out, expected, options.rows)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{options.rows:,} rows over {options.tasks} tasks, two killed: exact, in {objects} objects; {took:.0f} s, "
        f"{busy:.0f} s of the processor"
    )
    print(machine(("onnxruntime", "pyarrow", "numpy"), f"{options.at_once} tasks at once"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
