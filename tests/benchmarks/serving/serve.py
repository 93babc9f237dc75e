"""How fast leads are scored over HTTP, beside others with the same model: `scripts/bench serve`.

Every server has one process on one core; the load comes from another core. All that are compared run at the same time
and are asked in turn, in rounds. Ours runs with validation, metrics, records and authentication.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

from service.lifecycle.data.sample import Sample, generate
from service.local.processes import Processes, ProgramEnded
from service.model.bundle import TOLERANCE, Bundle
from service.model.trees import Matrix
from tests.benchmarks import peers
from tests.benchmarks.machine import machine
from tests.benchmarks.peers import EMPTY, FLOORS, MLFLOW, OTHERS, OURS, Peer, ProgramMissing, Running, ours_at
from tests.benchmarks.serving import load
from tests.benchmarks.serving.callers import Callers, callers
from tests.benchmarks.serving.load import Load, Requests
from tests.benchmarks.trained import prepared, train

LEADS = 1_000
CONNECTIONS = {1: 16, 1_000: 4}
ONNX = "ONNX Runtime alone"
EMPTY_BAR, MLFLOW_BAR, P99_BAR = 1.0, 120.0, 1.5
MANY_MLFLOW_BAR, MANY_ONNX_BAR = 6.0, 0.35
AGAINST_BAR = 0.95

EXAMPLES = """examples:
  scripts/bench serve                      seven rounds with all; ten minutes, and some to install them
  scripts/bench serve --no-others          ours and the floors alone, with nothing to install but FastAPI
  scripts/bench serve --no-others --against main --rounds 10
                                           also the service as a commit has it: what a change costs
  scripts/bench serve --json serve.json --plot serve.png

exit status: 0 done, 1 a bar was missed, 2 wrong use
"""


@dataclass(frozen=True)
class Row:
    """One server with one number of leads a request: medians over the rounds, and all errors."""

    name: str
    leads: int
    rows_per_second: float
    p50_ms: float
    p99_ms: float
    processor_us: float  # of the server, a lead: other programs on the machine touch it less
    requests: int
    errors: int


@dataclass(frozen=True)
class Figures:
    """What one run saw. `worst` is each server's largest difference from scikit-learn's scores.

    `against` holds, by leads a request, ours divided by ours at another commit, in rows a second, round by round.
    """

    rows: list[Row]
    worst: dict[str, float]
    not_run: dict[str, str] = field(default_factory=dict)
    against: dict[int, list[float]] = field(default_factory=dict)

    def bars(self) -> list[tuple[str, float, str, float, bool]]:
        """Each bar: what is compared, its value, how it must lie to the limit, the limit, whether it does."""
        of = {(row.name, row.leads): row for row in self.rows}
        ours, many, empty = of[OURS.name, 1], of[OURS.name, LEADS], of[EMPTY.name, 1]
        least = [
            ("one lead : empty FastAPI endpoint", ours.rows_per_second / empty.rows_per_second, EMPTY_BAR),
            ("1,000 leads : ONNX Runtime alone", many.rows_per_second / of[ONNX, LEADS].rows_per_second, MANY_ONNX_BAR),
        ]
        if MLFLOW.name not in self.not_run and (MLFLOW.name, 1) in of:
            least += [
                (f"{size} : mlflow", row.rows_per_second / of[MLFLOW.name, row.leads].rows_per_second, bar)
                for size, row, bar in (("one lead", ours, MLFLOW_BAR), ("1,000 leads", many, MANY_MLFLOW_BAR))
            ]
        least += [
            (f"{size:,} a request : the other commit, lower 95 % bound", lower_bound(ratios), AGAINST_BAR)
            for size, ratios in self.against.items()
        ]
        most = [
            ("p99, one lead : empty FastAPI endpoint", ours.p99_ms / empty.p99_ms, P99_BAR),
            ("worst difference of a score", max(self.worst.values()), TOLERANCE),
            ("errors of ours", float(ours.errors + many.errors), 0.0),
        ]
        return [(name, value, "at least", bar, value >= bar) for name, value, bar in least] + [
            (name, value, "at most", bar, value <= bar) for name, value, bar in most
        ]


def lower_bound(ratios: Sequence[float]) -> float:
    """The lower end of the 95 % confidence interval of the geometric mean, by Student's t; NaN for fewer than two."""
    logs = np.log(ratios)
    half = stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs)
    return float(np.exp(logs.mean() - half))


def measure(
    folder: Path,
    rounds: int,
    seconds: float,
    others: Sequence[Peer],
    tell: Callable[[str], None],
    rows: int = 8_000,
    against: Peer | None = None,
) -> Figures:
    """Train, start, check the scores, and measure. `against` is ours at another commit."""
    cores = sorted(os.sched_getaffinity(0))
    load_core, server_core = cores[0], cores[-1]
    tell("training the model")
    bundle, pipeline, _ = train(folder, rows)
    schema = bundle.manifest.lead_schema
    names = [feature.name for feature in schema.features]
    frame = generate(Sample(rows=2 * LEADS, seed=7)).frame.drop_duplicates(names).head(LEADS)
    typed = prepared(frame, schema)
    leads, expected = peers.records(typed, schema), pipeline.predict_proba(typed)[:, 1]
    figures = Figures([], {})
    with Processes(folder / "logs") as processes, callers() as known:
        running = []
        for peer in (OURS, *([against] if against else []), *FLOORS, *others):
            tell(f"starting {peer.name}")
            try:
                running.append(peers.start(peer, processes, folder, known, schema, server_core))
            except (ProgramMissing, ProgramEnded) as error:
                if peer not in others:
                    raise
                figures.not_run[peer.name] = f"not run: {error}"
        for server in running:
            if server.peer.scores:
                tell(f"comparing the scores of {server.peer.name}")
                figures.worst[server.peer.name] = _worst(server, leads, expected, known)
        for size, connections in CONNECTIONS.items():
            servers = [server for server in running if size == 1 or server.peer not in FLOORS]
            asked = [(server, _requests(folder, server, leads, size, known)) for server in servers]
            seen: dict[str, list[tuple[Load, float]]] = {server.peer.name: [] for server in servers}
            alone: list[float] = []
            for number in range(rounds):
                # Every other round backwards: no server is always asked before the one that it is compared with.
                for server, requests in asked[::-1] if number % 2 else asked:
                    tell(f"{size:,} leads a request, round {number + 1} of {rounds}: {server.peer.name}")
                    busy = server.processor_s()
                    sent = requests.send(connections, seconds, load_core)
                    seen[server.peer.name].append((sent, server.processor_s() - busy))
                if size > 1:
                    alone.append(_onnx_alone(bundle, leads[:size], seconds, server_core))
            figures.rows.extend(_row(name, size, loads) for name, loads in seen.items())
            if against:
                ours, theirs = (
                    [sent.requests / sent.seconds for sent, _ in seen[peer.name]] for peer in (OURS, against)
                )
                figures.against[size] = [mine / other for mine, other in zip(ours, theirs, strict=True)]
            if alone:
                figures.rows.append(Row(ONNX, size, median(alone), 0, 0, 1e6 / median(alone), len(alone), 0))
    return figures


def _requests(folder: Path, server: Running, leads: peers.Records, size: int, known: Callers) -> Requests:
    bodies = [server.peer.body(part) for part in peers.chunks(leads, size, LEADS if size == 1 else 10)]
    assertions = known.assertions if server.peer is not MLFLOW else ["-"]
    return Requests(folder, f"{server.port}-{size}", server.port, server.peer.path, bodies, assertions)


def _worst(server: Running, leads: peers.Records, expected: Matrix, known: Callers) -> float:
    """The largest difference from these scores, asked alone (some) and by the hundred (all)."""
    assert server.peer.scores
    worst = 0.0
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60, trust_env=False) as http:
        parts = [range(i, i + 100) for i in range(0, len(leads), 100)] + [range(i, i + 1) for i in range(0, 1_000, 50)]
        if server.peer is OURS and http.post(server.peer.path, content=b"{}").status_code != 401:
            raise ProgramEnded("ours answers callers whom nobody vouches for: that is not what is to be measured")
        for part in parts:
            body = server.peer.body([leads[i] for i in part])
            answer = http.post(server.peer.path, content=body, headers=known.headers())
            if answer.status_code != 200:
                raise ProgramEnded(f"{server.peer.name} answers {answer.status_code}: {answer.text[:500]}")
            worst = max(worst, float(np.abs(np.array(server.peer.scores(answer.json())) - expected[list(part)]).max()))
    return worst


def _onnx_alone(bundle: Bundle, leads: peers.Records, seconds: float, core: int) -> float:
    """Rows a second of one thread on the servers' core, from an encoded matrix."""
    engine, cores = bundle.engine, os.sched_getaffinity(0)
    matrix = engine.encode(engine.parse(json.dumps(leads).encode()))
    os.sched_setaffinity(0, {core})
    try:
        rounds, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            engine.run_graph(matrix)
            rounds += 1
        return rounds * len(leads) / (time.perf_counter() - start)
    finally:
        os.sched_setaffinity(0, cores)


def _row(name: str, leads: int, seen: list[tuple[Load, float]]) -> Row:
    loads = [sent for sent, _ in seen]
    return Row(
        name,
        leads,
        median(leads * sent.requests / sent.seconds for sent in loads),
        1e3 * median(sent.p50 for sent in loads),
        1e3 * median(sent.p99 for sent in loads),
        1e6 * median(busy / max(1, sent.requests * leads) for sent, busy in seen),
        sum(sent.requests for sent in loads),
        sum(sent.errors for sent in loads),
    )


def plot(figures: Figures, file: Path) -> None:
    """Rows a second of all, on a scale of powers of ten."""
    import matplotlib as mpl  # here, for it takes half a second

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    figure, axes = plt.subplots(1, len(CONNECTIONS), figsize=(11, 3.2))
    for axis, size in zip(axes, CONNECTIONS, strict=True):
        rows = sorted((r for r in figures.rows if r.leads == size), key=lambda row: row.rows_per_second)
        colours = ["tab:orange" if row.name == OURS.name else "tab:blue" for row in rows]
        bars = axis.barh([row.name for row in rows], [row.rows_per_second for row in rows], color=colours)
        axis.bar_label(bars, [f"{row.rows_per_second:,.0f}" for row in rows], padding=3)
        axis.set(xscale="log", xlabel="leads a second", title=f"{size:,} lead{'s' * (size > 1)} a request, one core")
        axis.xaxis.set_minor_formatter(ticker.NullFormatter())  # they would overlap
        axis.margins(x=0.25)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def report(figures: Figures, out: Console) -> bool:
    """Print the tables; whether all bars are met."""
    for size, connections in CONNECTIONS.items():
        table = Table(
            *("server", "leads a second", "p50 ms", "p99 ms", "CPU µs a lead", "errors"),
            title=f"{size:,} lead{'s' * (size > 1)} a request, {connections} connections",
        )
        for row in sorted((r for r in figures.rows if r.leads == size), key=lambda r: -r.rows_per_second):
            times = [f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}"] if row.p99_ms else ["", ""]
            cells = [f"{row.rows_per_second:,.0f}", *times, f"{row.processor_us:.1f}", str(row.errors)]
            table.add_row(row.name, *cells)
        for name, why in figures.not_run.items():
            table.add_row(name, why)
        out.print(table)
    judged = Table("bar", "value", "limit", "", title="Bars")
    for name, value, how, bar, met in figures.bars():
        judged.add_row(name, f"{value:.3g}", f"{how} {bar:g}", "met" if met else "MISSED")
    for name, why in figures.not_run.items():
        judged.add_row(name, why)
    out.print(judged)
    return all(met for *_, met in figures.bars())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench serve",
        description="Score leads over HTTP, beside MLflow, BentoML, the tutorial's way and servers that do nothing.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=7, help="of all servers in turn (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=4, help="of load, each (default: %(default)s)")
    parser.add_argument("--no-others", action="store_true", help="leave out MLflow, BentoML and the tutorial's way")
    parser.add_argument("--against", metavar="COMMIT", help="measure the service as this commit has it, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw them")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds from 1")
    if options.against and options.rounds < 2:
        parser.error("--against needs at least two rounds")
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("two cores are needed: one for the server, one for the load")
    if why := load.missing():
        parser.error(why)
    console, out = Console(stderr=True), Console(highlight=False)
    others = () if options.no_others else OTHERS
    try:
        with tempfile.TemporaryDirectory() as folder:
            against = ours_at(options.against, Path(folder, "commit")) if options.against else None
            figures = measure(Path(folder), options.rounds, options.seconds, others, console.print, against=against)
    except (ProgramMissing, ProgramEnded) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    passed = report(figures, out)
    environment = machine(("fastapi", "uvicorn", "onnxruntime", "msgspec", "scikit-learn", "mlflow"))
    out.print(environment, soft_wrap=True)
    if options.plot:
        plot(figures, options.plot)
    if options.json:
        bars = {name: {"value": value, how: bar, "met": met} for name, value, how, bar, met in figures.bars()}
        run = {"environment": environment, "rounds": options.rounds, "seconds": options.seconds}
        document = {**run, **asdict(figures), "bars": bars, "passed": passed}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
