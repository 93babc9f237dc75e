"""What the service does with more than it can take: `scripts/bench overload`.

It has one core and the load another, as in `scripts/bench serve`. Its capacity is found first, in each round anew, for
other programs on the machine change it; then requests arrive at a multiple of it, on schedule.
"""

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from service.lifecycle.data.sample import Sample, generate
from service.local.processes import Processes, ProgramEnded
from tests.benchmarks import peers
from tests.benchmarks.machine import machine
from tests.benchmarks.peers import OURS
from tests.benchmarks.serving import load
from tests.benchmarks.serving.arrivals import SHED, Seen, Sender, post
from tests.benchmarks.serving.callers import callers
from tests.benchmarks.serving.load import Requests
from tests.benchmarks.trained import prepared, train

TIMES = (0.5, 1.0, 2.0, 3.0)
LEADS, CONNECTIONS = 100, 16
P99_BAR_S = 0.25
"""What monitoring/catalogue/promises.py promises of 99 in 100 requests."""
ACCEPTED_BAR = 0.8
LATE_BAR_S = 0.1
"""Later than this the load's own core was too slow, and the figures say nothing of the service."""

EXAMPLES = """examples:
  scripts/bench overload                        three rounds: some three minutes
  scripts/bench overload --leads 1000           larger requests: what is refused costs less beside what is scored
  scripts/bench overload --json overload.json --plot overload.png

exit status: 0 done, 1 a bar was missed, 2 wrong use
"""


@dataclass(frozen=True)
class Row:
    """One multiple of the capacity: medians over the rounds, and all outcomes. Rates are requests a second."""

    times: float
    offered: float
    accepted: float
    of_capacity: float  # accepted, beside the capacity of the same round
    p50_s: float
    p99_s: float
    refused_p99_s: float | None  # None where nothing was refused
    late_s: float
    processor: float  # of the server, a second: below 1 beyond capacity, others took its core's time
    connections: int
    outcomes: dict[str, int]
    ready: dict[str, int]


@dataclass(frozen=True)
class Figures:
    """What one run saw. `capacity` is the median over the rounds, in requests a second."""

    leads: int
    capacity: float
    rows: list[Row]

    def bars(self) -> list[tuple[str, float, str, float, bool]]:
        """Each bar: what is measured, its value, how it must lie to the limit, the limit, whether it does."""
        least, most = self.rows[0], self.rows[-1]
        others = sum(n for row in self.rows for outcome, n in row.outcomes.items() if outcome not in ("200", SHED))
        unready = sum(n for row in self.rows for status, n in row.ready.items() if status != "200")
        accepted = (f"accepted at {most.times:g} times : capacity", most.of_capacity)
        bounds = [
            (f"p99 of accepted at {most.times:g} times, s", most.p99_s, P99_BAR_S),
            (f"refused at {least.times:g} times", float(least.outcomes.get(SHED, 0)), 0.0),
            (f"answers other than 200 and {SHED}", float(others), 0.0),
            ("asked whether it is ready, and it was not", float(unready), 0.0),
            ("sent after it was due, s", max(row.late_s for row in self.rows), LATE_BAR_S),
        ]
        return [(*accepted, "at least", ACCEPTED_BAR, most.of_capacity >= ACCEPTED_BAR)] + [
            (name, value, "at most", bar, value <= bar) for name, value, bar in bounds
        ]


def measure(
    folder: Path, rounds: int, seconds: int, leads: int, tell: Callable[[str], None], rows: int = 8_000
) -> Figures:
    """Train, start the service, and in each round find its capacity and offer it multiples of that."""
    cores = sorted(os.sched_getaffinity(0))
    load_core, server_core = cores[0], cores[-1]
    tell("training the model")
    bundle, _, _ = train(folder, rows)
    schema = bundle.manifest.lead_schema
    asked = peers.records(prepared(generate(Sample(rows=1_000, seed=7)).frame, schema), schema)
    bodies = [OURS.body(part) for part in peers.chunks(asked, leads, 50)]
    capacities: list[float] = []
    seen: dict[float, list[tuple[Seen, float]]] = {times: [] for times in TIMES}
    with Processes(folder / "logs") as processes, callers() as known:
        tell("starting the service")
        ours = peers.start(OURS, processes, folder, known, schema, server_core)
        closed = Requests(folder, "capacity", ours.port, OURS.path, bodies, known.assertions)
        sender = Sender(ours.port, [post(OURS.path, body, known.headers()) for body in bodies])
        closed.send(CONNECTIONS, 1, load_core)  # fills the caches
        for number in range(rounds):
            tell(f"round {number + 1} of {rounds}: its capacity")
            found = closed.send(CONNECTIONS, seconds, load_core)
            capacities.append((found.requests - found.errors) / found.seconds)
            for times in TIMES:
                tell(f"round {number + 1} of {rounds}: {times:g} times {capacities[-1]:,.0f} requests a second")
                busy = ours.processor_s()
                each = sender.run(times * capacities[-1], seconds, load_core)
                seen[times].append((each, ours.processor_s() - busy))
    return Figures(leads, median(capacities), [_row(times, seen[times], capacities) for times in TIMES])


def _row(times: float, seen: Sequence[tuple[Seen, float]], capacities: Sequence[float]) -> Row:
    rounds = [each for each, _ in seen]
    outcomes, ready = Counter[str](), Counter[str]()
    for each in rounds:
        outcomes.update({outcome: each.count(outcome) for outcome in each.took})
        ready.update(each.ready)
    refused = [each.percentile(SHED, 99) for each in rounds if each.count(SHED)]
    return Row(
        times=times,
        offered=median(each.due / each.seconds for each in rounds),
        accepted=median(each.in_time / each.seconds for each in rounds),
        of_capacity=median(each.in_time / each.seconds / one for each, one in zip(rounds, capacities, strict=True)),
        p50_s=median(each.percentile("200", 50) for each in rounds),
        p99_s=median(each.percentile("200", 99) for each in rounds),
        refused_p99_s=median(refused) if refused else None,
        late_s=max(each.late for each in rounds),
        processor=median(busy / each.seconds for each, busy in seen),
        connections=max(each.connections for each in rounds),
        outcomes=dict(outcomes),
        ready=dict(ready),
    )


def plot(figures: Figures, file: Path) -> None:
    """What was accepted of what was offered, and how long the accepted took."""
    import matplotlib as mpl  # here, for it takes half a second

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (rates, times) = plt.subplots(1, 2, figsize=(10, 3.2))
    offered = [row.offered for row in figures.rows]
    rates.plot(offered, offered, ":", color="grey", label="offered")
    rates.plot(offered, [row.accepted for row in figures.rows], "o-", color="tab:orange", label="accepted")
    rates.axhline(figures.capacity, color="tab:blue", linewidth=1, label="capacity")
    rates.set(xlabel="requests offered a second", ylabel="requests a second", ylim=(0, None))
    times.plot(offered, [row.p99_s for row in figures.rows], "o-", color="tab:orange", label="p99 of accepted")
    times.axhline(P99_BAR_S, color="tab:red", linewidth=1, label="promised")
    times.set(xlabel="requests offered a second", ylabel="seconds", ylim=(0, None))
    for axis in (rates, times):
        axis.legend(loc="upper left")
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def report(figures: Figures, out: Console) -> bool:
    """Print the tables; whether all bars are met."""
    table = Table(
        *("times", "offered", "accepted", "share", "p50 ms", "p99 ms", "503 p99", "CPU", "open"),
        title=f"{figures.leads:,} lead{'s' * (figures.leads > 1)} a request, capacity {figures.capacity:,.0f} a second",
    )
    for row in figures.rows:
        cells = [f"{row.times:g}", f"{row.offered:,.0f}", f"{row.accepted:,.0f}", f"{row.of_capacity:.2f}"]
        refused = "" if row.refused_p99_s is None else f"{1e3 * row.refused_p99_s:.0f}"
        cells += [f"{1e3 * row.p50_s:.0f}", f"{1e3 * row.p99_s:.0f}", refused, f"{row.processor:.2f}"]
        table.add_row(*cells, str(row.connections))
    out.print(table)
    for row in figures.rows:
        told = "; ".join(f"{count:,} with {outcome}" for outcome, count in sorted(row.outcomes.items()))
        out.print(f"{row.times:g} times: {told}", soft_wrap=True)
    judged = Table("bar", "value", "limit", "", title="Bars")
    for name, value, how, bar, met in figures.bars():
        judged.add_row(name, f"{value:.3g}", f"{how} {bar:g}", "met" if met else "MISSED")
    out.print(judged)
    return all(met for *_, met in figures.bars())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench overload",
        description="Offer the service up to three times what it can take, on schedule, and see whom it answers when.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3, help="of all multiples in turn (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=10, help="of load, each (default: %(default)s)")
    parser.add_argument("--leads", type=int, default=LEADS, help="a request, 1 to 1,000 (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw them")
    given = parser.parse_args(arguments)
    if given.rounds < 1 or given.seconds < 1 or not 1 <= given.leads <= 1_000:
        parser.error("--rounds and --seconds from 1, --leads from 1 to 1000")
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("two cores are needed: one for the server, one for the load")
    if why := load.missing():
        parser.error(why)
    console, out = Console(stderr=True), Console(highlight=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(
                Path(folder), given.rounds, given.seconds, given.leads, lambda doing: console.print(doing)
            )
    except ProgramEnded as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    passed = report(figures, out)
    environment = machine(("uvicorn", "uvloop", "onnxruntime", "msgspec"))
    out.print(environment, soft_wrap=True)
    if given.plot:
        plot(figures, given.plot)
    if given.json:
        bars = {name: {"value": value, how: bar, "met": met} for name, value, how, bar, met in figures.bars()}
        run = {"environment": environment, "rounds": given.rounds, "seconds": given.seconds}
        document = {**run, **asdict(figures), "bars": bars, "passed": passed}
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
