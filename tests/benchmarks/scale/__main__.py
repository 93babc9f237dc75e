"""Measures the jobs that judge at growing numbers of records: `scripts/bench scale`."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from service.local.processes import Processes, ProgramEnded, free
from tests.benchmarks.machine import machine
from tests.benchmarks.scale.figures import Figures, plot
from tests.benchmarks.scale.jobs import measure, measure_spark
from tests.benchmarks.scale.processes import JobEnded

SIZES = (100_000, 1_000_000, 10_000_000)

DESCRIPTION = """Run compact, evaluate, drift, retrain (its reading), completeness and forget as processes of their own
over so many generated records, and hold their processor time and peak memory against the limits. What they would take
of 100,000,000 leads a month follows from the sizes that were measured."""

EXAMPLES = """examples:
  scripts/bench scale --plot scale.png --json scale.json     all sizes: half an hour of processor time, 8 GB of disk
  scripts/bench scale --records 100000,1000000 --spark       small ones, and evaluate on Spark beside them

exit status: 0 done, 1 a limit was missed or a job failed, 2 wrong use
"""


def measured(
    root: Path, sizes: Sequence[int], spark: bool, keep: bool, tell: Callable[[str], None], show: Callable[[str], None]
) -> Figures:
    """Measure all sizes in this folder, the smallest first. Raises JobEnded, ProgramEnded."""
    # Imported here, for MLflow's command line is asked for alone.
    from service.local.up import MLFLOW_ENVIRONMENT, Folders, mlflow_command

    figures = Figures()
    with Processes(root / "logs") as processes:
        port = free()
        tracking = f"http://127.0.0.1:{port}"
        mlflow = processes.start("mlflow", mlflow_command(Folders(root), port), MLFLOW_ENVIRONMENT)
        mlflow.wait_until_answers(f"{tracking}/health")
        for size in sorted(sizes):
            for job, found in measure(root, size, tracking, tell):
                figures.measured.setdefault(size, {})[job] = found
                show(f"{size:,} records, {job}: {found.seconds:.1f} s, {found.memory / 1e6:,.0f} MB")
            if spark and not figures.not_run:
                try:
                    figures.spark[size] = measure_spark(root, size, tracking, tell)
                except JobEnded as error:
                    figures.not_run = str(error)
            if not keep:
                shutil.rmtree(root / str(size))
    return figures


def report(figures: Figures, out: Console) -> bool:
    """Print the tables; whether all limits are held."""
    jobs = list(next(iter(figures.measured.values())))
    for what, title in (("seconds", "processor seconds"), ("memory", "peak memory, MB"), ("files", "files, MB")):
        table = Table("records", *jobs, *(["evaluate on Spark"] if what == "seconds" and figures.spark else []))
        table.title = f"{title}, of all threads and children" if what == "seconds" else title
        for size, found in figures.measured.items():
            cells = [getattr(found[job], what) for job in jobs]
            shown = [f"{cell:.1f}" if what == "seconds" else f"{cell / 1e6:,.0f}" for cell in cells]
            if what == "seconds" and size in figures.spark:
                shown.append("{spark:.1f} + {job:.1f}".format(**figures.spark[size]))
            table.add_row(f"{size:,}", *shown)
        out.print(table)
    bars = list(figures.bars())
    missed = [bar for bar in bars if not bar.met]
    tightest = max((bar for bar in bars if "processor" not in bar.name), key=lambda bar: bar.value / bar.most)
    for bar in bars:
        if "processor" in bar.name or bar is tightest or not bar.met:
            out.print(f"{bar.name}: {bar.value:,.1f}, at most {bar.most:,.1f}: {'met' if bar.met else 'MISSED'}")
    if figures.not_run:
        out.print(f"Spark was not measured: {figures.not_run}", soft_wrap=True, markup=False)
    if len(figures.measured) > 2:
        out.print("100,000,000 leads a month on paper:")
        for line in figures.on_paper():
            out.print(f"  {line}", soft_wrap=True)
    return not missed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench scale",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--records", type=_sizes, default=SIZES, metavar="N,N,N", help=f"(default: {SIZES})")
    parser.add_argument("--spark", action="store_true", help="evaluate on Spark too, with two threads")
    parser.add_argument("--folder", type=Path, help="where to work; what is made stays there (default: temporary)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw them")
    options = parser.parse_args(arguments)
    console, out = Console(stderr=True), Console(highlight=False, width=140)
    try:
        with tempfile.TemporaryDirectory() as name:
            root = options.folder or Path(name)
            figures = measured(
                root, options.records, options.spark, options.folder is not None, console.print, console.print
            )
    except (JobEnded, ProgramEnded) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    passed = report(figures, out)
    environment = machine(("duckdb", "pyarrow", "numpy"))
    out.print(environment, soft_wrap=True)
    if options.json:
        by_size = {
            size: {job: found._asdict() for job, found in jobs.items()} for size, jobs in figures.measured.items()
        }
        document = {"environment": environment, "measured": by_size, "spark": figures.spark, "passed": passed}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.plot:
        plot(figures, options.plot)
    return 0 if passed else 1


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(part.replace("_", "")) for part in text.split(","))
    if min(sizes) < 1_000:
        raise argparse.ArgumentTypeError(f"{text}: from 1000")
    return sizes


if __name__ == "__main__":
    sys.exit(main())
