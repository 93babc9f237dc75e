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
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from pyarrow import parquet
from rich.console import Console
from rich.table import Table

from service.lifecycle import batch
from service.lifecycle.data.csv_batches import ROWS
from service.lifecycle.data.form import Form
from service.lifecycle.data.lead_file import LeadFile
from service.lifecycle.data.sample import Sample, generate
from service.lifecycle.scoring.batch_scoring import FileJob
from service.lifecycle.scoring.encoder import Encoder
from service.model import bundle
from service.model.bundle import Bundle
from service.model.engine import Engine
from service.model.trees import Matrix
from service.storage import Folder
from tests.benchmarks import spark
from tests.benchmarks.machine import machine
from tests.benchmarks.peers import ProgramMissing
from tests.benchmarks.trained import prepared, train

ONNX_BAR, PYFUNC_BAR, SPARK_BAR, CSV_BAR, MEMORY_BAR, RECORDS_BAR = 0.80, 7.0, 10.0, 0.7, 1.15, 1.3
RECORDED = "ours, Parquet, recorded"
SPARK, SECOND = "Parquet : MLflow spark_udf, second job", "MLflow spark_udf, second job"
PYFUNC_ROWS = 100_000  # of each round; its speed does not depend on their number

DESCRIPTION = f"""Score a file of leads, beside ONNX Runtime alone and MLflow's pyfunc and spark_udf.

Ours, "pyfunc, Parquet" and spark_udf do the same work: read the file, score, write the scores as Parquet. pyfunc takes
the first {PYFUNC_ROWS:,} leads, for its speed does not depend on their number; spark_udf takes all, on local[threads].
Its bar counts the second job of a Spark; the rows below show what it reaches after some more, with the file as it is
(one row group) and with the rows "spread" over Spark's cores. ONNX Runtime alone and "pyfunc, in memory" neither read
nor write. "recorded" writes prediction records too, and so does the job whose memory is measured."""

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
        recorded = self.processor_seconds[RECORDED] / self.processor_seconds["ours, Parquet"]
        most = [
            ("processor time with records : without", recorded, RECORDS_BAR),
            (f"memory, {self.rows:,} : {self.rows // 5:,} rows", self.large_mb / self.small_mb, MEMORY_BAR),
            ("worst difference of a score", self.worst_difference, bundle.TOLERANCE),
        ]
        return [(name, value, "at least", bar, value >= bar) for name, value, bar in least] + [
            (name, value, "at most", bar, value <= bar) for name, value, bar in most
        ]


class _Timings:
    """Of each form and round: rows a second, and processor seconds for a million rows."""

    def __init__(self, forms: Iterable[str]) -> None:
        self.rates: dict[str, list[float]] = {form: [] for form in forms}
        self.processor_seconds: dict[str, list[float]] = {form: [] for form in self.rates}

    def add(self, form: str, rows: int, took_s: float, busy_s: float) -> None:
        self.rates[form].append(rows / took_s)
        self.processor_seconds[form].append(1e6 * busy_s / rows)

    def time(self, form: str, score: Callable[[], int]) -> None:
        start, busy = time.perf_counter(), time.process_time()
        rows = score()
        self.add(form, rows, time.perf_counter() - start, time.process_time() - busy)

    def time_spark(self, form: str, running: spark.Spark, name: str | None) -> None:
        """Run a job in this form of Spark's; it counts under `name`, or not at all."""
        busy = running.processor_s()
        rows, took_s = running.job(form)
        if name:
            self.add(name, rows, took_s, running.processor_s() - busy)

    def medians(self) -> tuple[dict[str, float], dict[str, float]]:
        """Of the forms that ran. ONNX Runtime alone is the fastest of its forms, for that is how it would be used."""
        rates = {form: median(rounds) for form, rounds in self.rates.items() if rounds}
        seconds = {form: median(rounds) for form, rounds in self.processor_seconds.items() if rounds}
        fastest = max((form for form in rates if form.startswith("onnx")), key=lambda form: rates[form])
        shown = {form: form for form in rates if not form.startswith("onnx")} | {"ONNX Runtime alone": fastest}
        medians, processor = ({name: by_form[form] for name, form in shown.items()} for by_form in (rates, seconds))
        return medians, processor


class _Forms:
    """The forms that score in this process. Each returns the number of rows; `scores` are what they gave."""

    def __init__(self, folder: Path, frame: pd.DataFrame, served: Bundle, pyfunc: Any, threads: int) -> None:
        self._folder, self._served, self._pyfunc, self._threads = folder, served, pyfunc, threads
        self._leads, self._schema = Folder(folder / "leads"), served.manifest.lead_schema
        self._matrix = _matrix(self._leads, served)
        raw = Folder(folder / "models").read(f"models/{served.version}/{bundle.MODEL}")
        assert raw is not None
        self._alone = Engine(raw.data, served.manifest.encoding, self._schema, threads)
        self._sample = self._leads.root / "pyfunc.parquet"
        frame.head(PYFUNC_ROWS).to_parquet(self._sample, index=False)
        self._received = prepared(frame.head(PYFUNC_ROWS), self._schema)
        self.scores: dict[str, Matrix] = {}
        self.by_name: dict[str, Callable[[], int]] = {
            "ours, Parquet": lambda: self._ours("parquet"),
            RECORDED: lambda: self._ours("parquet", recorded=True),
            "ours, CSV": lambda: self._ours("csv"),
            "onnx, its own threads": self._onnx_by_its_own_threads,
            "onnx, a thread a part": self._onnx_by_ours,
            "onnx, at once": self._onnx_at_once,
            "MLflow pyfunc, Parquet": self._pyfunc_from_a_file,
            "MLflow pyfunc, in memory": self._pyfunc_in_memory,
        }

    def _ours(self, name: str, recorded: bool = False) -> int:
        out = Folder(self._folder / f"scores-{name}-{time.monotonic_ns()}")
        records = Folder(self._folder / "records") if recorded else None
        job = batch.BatchJob(
            FileJob(self._served, Form(), self._threads), self._leads, out, "parquet", records, say=lambda _: None
        )
        counts = batch.score_object(job, f"large/leads.{name}")
        assert counts is not None
        if name not in self.scores:
            (key,) = out.keys("")
            self.scores[name] = parquet.read_table(out.root / key)["score"].to_numpy()
        shutil.rmtree(out.root)
        if records:
            shutil.rmtree(records.root)
        return counts.scored

    def _parts(self) -> list[Matrix]:
        return [self._matrix[i : i + ROWS] for i in range(0, len(self._matrix), ROWS)]

    def _onnx_by_its_own_threads(self) -> int:
        self.scores["onnx"] = np.concatenate([self._alone.run_graph(part) for part in self._parts()])
        return len(self._matrix)

    def _onnx_by_ours(self) -> int:
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(self._served.engine.run_graph, self._parts()))
        return len(self._matrix)

    def _onnx_at_once(self) -> int:
        self._alone.run_graph(self._matrix)
        return len(self._matrix)

    def _pyfunc_in_memory(self) -> int:
        self.scores["pyfunc"] = np.asarray(self._pyfunc.predict(self._received))[:, 1]
        return len(self._received)

    def _pyfunc_from_a_file(self) -> int:
        """As its users write it, with the columns' types put right as training did."""
        table = pd.read_parquet(self._sample)
        table["score"] = np.asarray(self._pyfunc.predict(prepared(table, self._schema)))[:, 1]
        table[["lead_id", "score"]].to_parquet(self._folder / "pyfunc-scores.parquet", index=False)
        return len(table)


def measure(folder: Path, rows: int, rounds: int, threads: int, tell: Callable[[str], None]) -> Figures:
    """Generate, train and measure in this folder."""
    tell(f"generating {rows:,} shuffled leads")
    frame = generate(Sample(rows=rows, seed=7)).frame.sample(frac=1, random_state=0).reset_index(drop=True)
    _write_leads(folder / "leads", frame)
    import mlflow.pyfunc  # here, for it takes seconds

    tell("training the trees")
    served, _, saved = train(folder)
    pyfunc = mlflow.pyfunc.load_model(str(saved))
    tell("encoding all leads for ONNX Runtime alone")
    forms = _Forms(folder, frame, served, pyfunc, threads)
    timings = _Timings((*forms.by_name, SECOND, *spark.FORMS))
    running, not_run = None, dict[str, str]()
    with ExitStack() as stack:
        try:
            file, schema = folder / "leads/large/leads.parquet", served.manifest.lead_schema
            running = stack.enter_context(spark.started(saved, file, folder, schema, threads))
        except ProgramMissing as error:
            not_run = dict.fromkeys((SECOND, *spark.FORMS), f"not run: {error}")
        if running:
            plain, spread = spark.FORMS
            for form, name in ((plain, None), (plain, SECOND), (spread, None)):
                tell(f"{form}: {name or 'a job that does not count'}")
                timings.time_spark(form, running, name)
        for number in range(rounds):
            for form, score in forms.by_name.items():
                tell(f"round {number + 1} of {rounds}: {form}")
                timings.time(form, score)
            for form in spark.FORMS if running else ():
                assert running
                tell(f"round {number + 1} of {rounds}: {form}")
                timings.time_spark(form, running, form)
        if running:
            by_id = pd.read_parquet(running.out).set_index("lead_id")["score"]
            forms.scores["spark"] = by_id.reindex(frame["lead_id"]).to_numpy()
    rates, seconds = timings.medians()
    tell("memory")
    small, large = (_peak_mb(folder, part, threads) for part in ("small", "large"))
    # numpy's, for max() may overlook a NaN.
    onnx = forms.scores["onnx"]
    worst = float(np.max([np.abs(onnx[: len(scores)] - scores).max() for scores in forms.scores.values()]))
    return Figures(rows, threads, rates, seconds, small, large, worst, not_run)


def _write_leads(folder: Path, frame: pd.DataFrame) -> None:
    for part in ("large", "small"):
        (folder / part).mkdir(parents=True)
    frame.to_parquet(folder / "large/leads.parquet", index=False)
    frame.to_csv(folder / "large/leads.csv", index=False)
    frame.head(len(frame) // 5).to_parquet(folder / "small/leads.parquet", index=False)


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
    options = ["--input", str(leads), "--out", str(out), "--threads", str(threads), "--records", f"{out}-records"]
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
    options = parser.parse_args(arguments)
    if options.rows < 1_000 or options.rounds < 1:
        parser.error("--rows from 1000, --rounds from 1")
    console, out = Console(stderr=True), Console(highlight=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(Path(folder), options.rows, options.rounds, options.threads, console.print)
    except spark.SparkFailed as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    packages = ("onnxruntime", "pyarrow", "numpy", "scikit-learn", "mlflow")
    environment = machine(packages, f"{options.threads} threads")
    bars, missing = figures.bars(), figures.not_run
    passed = all(met for *_, met in bars)
    table = Table(
        "form",
        "rows a second",
        "processor s a million",
        title=f"{options.rows:,} shuffled leads, median of {options.rounds} rounds",
    )
    for name, rate in sorted(figures.rates.items(), key=lambda item: -item[1]):
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
    out.print(f"memory: {figures.small_mb:.0f} MB for {options.rows // 5:,} rows, {figures.large_mb:.0f} MB for all")
    out.print(environment, soft_wrap=True)
    if options.json:
        document = {
            "environment": environment,
            "rows": figures.rows,
            "rounds": options.rounds,
            "threads": figures.threads,
            "rows_per_second": figures.rates | missing,
            "processor_seconds_a_million": figures.processor_seconds,
            "memory_mb": {str(options.rows // 5): figures.small_mb, str(options.rows): figures.large_mb},
            "bars": {name: {"value": value, how: bar, "met": met} for name, value, how, bar, met in bars},
            "bars_not_run": {SPARK: next(iter(missing.values()))} if missing else {},
            "passed": passed,
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
