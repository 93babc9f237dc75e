"""How fast files of leads are scored, beside ONNX Runtime alone and MLflow's two ways: `scripts/bench batch`.

All in one run on the same shuffled leads and the same really trained trees, in interleaved rounds, scores compared.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from pyarrow import parquet
from rich.console import Console
from rich.table import Table

from service.lifecycle import batch
from service.lifecycle.data.encoder import Encoder, Form
from service.lifecycle.data.lead_file import ROWS, LeadFile
from service.lifecycle.data.sample import Sample, generate
from service.model import bundle
from service.model.bundle import Bundle
from service.model.engine import Engine, Matrix
from service.storage import Folder
from tests.benchmarks import spark
from tests.benchmarks.machine import machine
from tests.benchmarks.peers import ProgramMissing
from tests.benchmarks.trained import prepared, train

ONNX_BAR, PYFUNC_BAR, SPARK_BAR, CSV_BAR, MEMORY_BAR = 0.80, 7.0, 10.0, 0.7, 1.15
SPARK, SECOND = "Parquet : MLflow spark_udf, second job", "MLflow spark_udf, second job"
PYFUNC_ROWS = 100_000  # of each round; its speed does not depend on their number

DESCRIPTION = f"""Score a file of leads, beside ONNX Runtime alone and MLflow's pyfunc and spark_udf.

Ours, "pyfunc, Parquet" and spark_udf do the same work: read the file, score, write the scores as Parquet. pyfunc takes
the first {PYFUNC_ROWS:,} leads, for its speed does not depend on their number; spark_udf takes all, on local[threads].
Its bar counts the second job of a Spark; the rows below show what it reaches after some more, with the file as it is
(one row group) and with the rows "spread" over Spark's cores. ONNX Runtime alone and "pyfunc, in memory" neither read
nor write."""

EXAMPLES = """examples:
  scripts/bench batch                      1,000,000 leads, five rounds; some minutes
  scripts/bench batch --rows 100000 --rounds 3 --json batch.json

exit status: 0 done, 1 a bar was missed, 2 wrong use
"""


@dataclass(frozen=True)
class Figures:
    """Medians over the rounds of rows a second, and of processor seconds for a million rows, which other programs on
    the machine touch less; megabytes at a fifth of the rows and at all; and the worst score."""

    rows: int
    threads: int
    rates: dict[str, float]
    processor_seconds: dict[str, float]
    small_mb: float
    large_mb: float
    worst_difference: float
    not_run: dict[str, str] = field(default_factory=dict)

    def bars(self) -> list[tuple[str, float, str, float, bool]]:
        """Each bar: what is compared, its value, how it must lie to the limit, the limit, whether it does."""
        ours = self.rates["ours, Parquet"]
        least = [
            ("Parquet : ONNX Runtime alone", ours / self.rates["ONNX Runtime alone"], ONNX_BAR),
            ("Parquet : MLflow pyfunc, Parquet", ours / self.rates["MLflow pyfunc, Parquet"], PYFUNC_BAR),
            *((SPARK, ours / self.rates[name], SPARK_BAR) for name in (SECOND,) if name in self.rates),
            ("CSV : Parquet", self.rates["ours, CSV"] / ours, CSV_BAR),
        ]
        most = [
            (f"memory, {self.rows:,} : {self.rows // 5:,} rows", self.large_mb / self.small_mb, MEMORY_BAR),
            ("worst difference of a score", self.worst_difference, bundle.TOLERANCE),
        ]
        return [(name, value, "at least", bar, value >= bar) for name, value, bar in least] + [
            (name, value, "at most", bar, value <= bar) for name, value, bar in most
        ]


def measure(folder: Path, rows: int, rounds: int, threads: int, tell: Callable[[str], None]) -> Figures:
    """Generate, train and measure in this folder."""
    tell(f"generating {rows:,} shuffled leads")
    frame = generate(Sample(rows=rows, seed=7)).frame.sample(frac=1, random_state=0).reset_index(drop=True)
    leads = Folder(folder / "leads")
    for part in ("large", "small"):
        (leads.root / part).mkdir(parents=True)
    frame.to_parquet(leads.root / "large/leads.parquet", index=False)
    frame.to_csv(leads.root / "large/leads.csv", index=False)
    frame.head(rows // 5).to_parquet(leads.root / "small/leads.parquet", index=False)
    import mlflow.pyfunc  # here, for it takes seconds

    tell("training the trees")
    served, _, saved = train(folder)
    pyfunc = mlflow.pyfunc.load_model(str(saved))
    tell("encoding all leads for ONNX Runtime alone")
    matrix = _matrix(leads, served)
    raw = Folder(folder / "models").read(f"models/{served.version}/{bundle.MODEL}")
    assert raw is not None
    alone = Engine(raw.data, served.manifest.encoding, served.manifest.lead_schema, threads)
    sample, schema = leads.root / "pyfunc.parquet", served.manifest.lead_schema
    frame.head(PYFUNC_ROWS).to_parquet(sample, index=False)
    received = prepared(frame.head(PYFUNC_ROWS), schema)
    scores: dict[str, Matrix] = {}

    def ours(name: str) -> int:
        out = Folder(folder / f"scores-{name}-{time.monotonic_ns()}")
        counts = batch.score_object(
            batch.BatchJob(served, Form(), leads, out, "parquet", threads, say=lambda _: None), f"large/leads.{name}"
        )
        assert counts is not None
        if name not in scores:
            (key,) = out.keys("")
            scores[name] = parquet.read_table(out.root / key)["score"].to_numpy()
        shutil.rmtree(out.root)
        return counts.scored

    def onnx_by_its_own_threads() -> int:
        scores["onnx"] = np.concatenate([alone.run_graph(matrix[i : i + ROWS]) for i in range(0, rows, ROWS)])
        return rows

    def onnx_by_ours() -> int:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda i: served.engine.run_graph(matrix[i : i + ROWS]), range(0, rows, ROWS)))
        return rows

    def onnx_at_once() -> int:
        alone.run_graph(matrix)
        return rows

    def by_pyfunc() -> int:
        scores["pyfunc"] = np.asarray(pyfunc.predict(received))[:, 1]
        return len(received)

    def by_pyfunc_from_a_file() -> int:
        """As its users write it, with the columns' types put right as training did."""
        table = pd.read_parquet(sample)
        table["score"] = np.asarray(pyfunc.predict(prepared(table, schema)))[:, 1]
        table[["lead_id", "score"]].to_parquet(folder / "pyfunc-scores.parquet", index=False)
        return len(table)

    forms: dict[str, Callable[[], int]] = {
        "ours, Parquet": lambda: ours("parquet"),
        "ours, CSV": lambda: ours("csv"),
        "onnx, its own threads": onnx_by_its_own_threads,
        "onnx, a thread a part": onnx_by_ours,
        "onnx, at once": onnx_at_once,
        "MLflow pyfunc, Parquet": by_pyfunc_from_a_file,
        "MLflow pyfunc, in memory": by_pyfunc,
    }
    rates: dict[str, list[float]] = {name: [] for name in (*forms, SECOND, *spark.FORMS)}
    seconds: dict[str, list[float]] = {name: [] for name in rates}
    not_run: dict[str, str] = {}
    with ExitStack() as stack:
        running = None
        try:
            running = stack.enter_context(
                spark.started(saved, leads.root / "large/leads.parquet", folder, schema, threads)
            )
            plain, spread = spark.FORMS
            for name, count in ((plain, None), (plain, SECOND), (spread, None)):
                tell(f"{name}: {count or 'a job that does not count'}")
                busy = running.processor_s()
                done, took = running.job(name)
                if count:
                    rates[count].append(done / took)
                    seconds[count].append(1e6 * (running.processor_s() - busy) / done)
        except ProgramMissing as error:
            running, not_run = None, dict.fromkeys((SECOND, *spark.FORMS), f"not run: {error}")
        for number in range(rounds):
            for name, form in forms.items():
                tell(f"round {number + 1} of {rounds}: {name}")
                start, busy = time.perf_counter(), time.process_time()
                done = form()
                rates[name].append(done / (time.perf_counter() - start))
                seconds[name].append(1e6 * (time.process_time() - busy) / done)
            for name in spark.FORMS if running else ():
                assert running
                tell(f"round {number + 1} of {rounds}: {name}")
                busy = running.processor_s()
                done, took = running.job(name)
                rates[name].append(done / took)
                seconds[name].append(1e6 * (running.processor_s() - busy) / done)
        if running:
            by_id = pd.read_parquet(running.out).set_index("lead_id")["score"]
            scores["spark"] = by_id.reindex(frame["lead_id"]).to_numpy()
    medians = {name: median(each) for name, each in rates.items() if each}
    processor = {name: median(each) for name, each in seconds.items() if each}
    # The fastest way that it can be used is the one to be compared with.
    fastest = max((name for name in forms if name.startswith("onnx")), key=lambda name: medians[name])
    kept = {name: name for name in medians if not name.startswith("onnx")} | {"ONNX Runtime alone": fastest}
    medians, processor = ({name: of[form] for name, form in kept.items()} for of in (medians, processor))
    tell("memory")
    small, large = (_peak_mb(folder, part, threads) for part in ("small", "large"))
    # numpy's, for max() may overlook a NaN.
    worst = float(np.max([np.abs(scores["onnx"][: len(other)] - other).max() for other in scores.values()]))
    return Figures(rows, threads, medians, processor, small, large, worst, not_run)


def _matrix(leads: Folder, served: Bundle) -> Matrix:
    encoder, key = Encoder(served, Form()), "large/leads.parquet"
    opened = leads.open(key)
    assert opened is not None
    with LeadFile(key, opened.file, opened.size) as file:
        parts = file.batches({"lead_id", *encoder.kinds}, {n for n, k in encoder.kinds.items() if k == "category"})
        return np.concatenate([encoder.encode(part.cells).matrix for part in parts])


def _peak_mb(folder: Path, part: str, threads: int) -> float:
    """Peak resident memory of the job in a process of its own. https://man7.org/linux/man-pages/man5/proc.5.html"""
    leads, out = folder / "leads" / part, folder / f"scores-{part}"
    (leads / "leads.csv").unlink(missing_ok=True)
    command = [sys.executable, "-m", "service.lifecycle.batch", "--models", str(folder / "models")]
    options = ["--input", str(leads), "--out", str(out), "--threads", str(threads)]
    status, peak = "", 0
    with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
            time.sleep(0.01)
        if process.returncode:
            raise SystemExit(f"the job failed: {process.stderr.read().decode() if process.stderr else ''}")
    return peak / 1e3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench batch",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="leads (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of all forms in turn (default: %(default)s)")
    parser.add_argument("--threads", type=batch.threads, default=len(os.sched_getaffinity(0)), help="(default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    given = parser.parse_args(arguments)
    if given.rows < 1_000 or given.rounds < 1:
        parser.error("--rows from 1000, --rounds from 1")
    console, out = Console(stderr=True), Console(highlight=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(Path(folder), given.rows, given.rounds, given.threads, lambda doing: console.print(doing))
    except spark.SparkFailed as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    packages = ("onnxruntime", "pyarrow", "numpy", "scikit-learn", "mlflow")
    environment = machine(packages, f"{given.threads} threads")
    bars, missing = figures.bars(), figures.not_run
    passed = all(met for *_, met in bars)
    table = Table(
        "form",
        "rows a second",
        "processor s a million",
        title=f"{given.rows:,} shuffled leads, median of {given.rounds} rounds",
    )
    for name, rate in sorted(figures.rates.items(), key=lambda each: -each[1]):
        table.add_row(name, f"{rate:,.0f}", f"{figures.processor_seconds[name]:.2f}")
    for name, why in missing.items():
        table.add_row(name, why)
    judged = Table("bar", "value", "limit", "", title="Bars")
    for name, value, how, bar, met in bars:
        judged.add_row(name, f"{value:.3g}", f"{how} {bar:g}", "met" if met else "MISSED")
    if missing:
        judged.add_row(SPARK, "", f"at least {SPARK_BAR:g}", "not run")
    out.print(table)
    out.print(judged)
    out.print(f"memory: {figures.small_mb:.0f} MB for {given.rows // 5:,} rows, {figures.large_mb:.0f} MB for all")
    out.print(environment, soft_wrap=True)
    if given.json:
        document = {
            "environment": environment,
            "rows": figures.rows,
            "rounds": given.rounds,
            "threads": figures.threads,
            "rows_per_second": figures.rates | missing,
            "processor_seconds_a_million": figures.processor_seconds,
            "memory_mb": {str(given.rows // 5): figures.small_mb, str(given.rows): figures.large_mb},
            "bars": {name: {"value": value, how: bar, "met": met} for name, value, how, bar, met in bars},
            "bars_not_run": {SPARK: next(iter(missing.values()))} if missing else {},
            "passed": passed,
        }
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
