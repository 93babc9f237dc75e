"""How soon a started service scores, and how much memory a worker takes: `scripts/bench start`."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import httpx
from rich.console import Console

from service.lifecycle.data.sample import Sample, generate
from service.local.processes import START_S, Processes, ProgramEnded
from tests.benchmarks import peers
from tests.benchmarks.machine import machine
from tests.benchmarks.serving.callers import callers
from tests.benchmarks.trained import prepared, train

SECONDS_BAR, MEMORY_BAR = 1.0, 110.0
LEADS = 1_000
LIBRARIES = "import fastapi, jwt.algorithms, numpy, onnxruntime, pydantic_settings, uvicorn"
"""What a start cannot do without: how long Python takes for that alone tells what a slow machine adds."""

EXAMPLES = """examples:
  scripts/bench start                 five starts, after one that does not count
  scripts/bench start --starts 15 --json start.json

exit status: 0 done, 1 a bar was missed, 2 wrong use
"""


@dataclass(frozen=True)
class Figures:
    """Seconds from the start of the process to its first score, of each start; and the memory of a worker that has
    scored 1,000 leads one by one and all at once: PSS in MB, the share of pages that others hold too divided."""

    seconds: list[float]
    megabytes: float
    libraries: list[float]  # seconds that a process takes which only imports these

    def bars(self) -> list[tuple[str, float, float, bool]]:
        """Each bar: what is measured, its value, the most that it may be, whether it is that."""
        took = median(self.seconds)
        return [
            ("start to first score, s", took, SECONDS_BAR, took <= SECONDS_BAR),
            ("PSS, MB", self.megabytes, MEMORY_BAR, self.megabytes <= MEMORY_BAR),
        ]


def measure(folder: Path, starts: int, tell: Callable[[str], None], rows: int = 8_000) -> Figures:
    """Train, start so often and once before, and use the last one for its memory."""
    tell("training the model")
    bundle, _, _ = train(folder, rows)
    schema = bundle.manifest.lead_schema
    leads = peers.records(prepared(generate(Sample(rows=LEADS, seed=7)).frame, schema), schema)
    seconds: list[float] = []
    libraries: list[float] = []
    with callers(1) as known:
        for number in range(starts + 1):
            tell(f"start {number} of {starts}" if number else "a start that fills the caches")
            with Processes(folder / "logs") as processes, httpx.Client(trust_env=False, timeout=60) as http:
                begun = time.perf_counter()
                running = peers.launch(peers.OURS, processes, folder, known, schema)
                http.base_url, http.headers = f"http://127.0.0.1:{running.port}", known.headers()
                _first_score(running, http, leads[:1])
                seconds.append(time.perf_counter() - begun)
                if number == starts:
                    megabytes = _memory_mb(running, http, leads)
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", LIBRARIES], check=True)
            libraries.append(time.perf_counter() - begun)
    return Figures(seconds[1:], megabytes, libraries[1:])


def _first_score(running: peers.Running, http: httpx.Client, leads: peers.Records) -> None:
    deadline, body = time.monotonic() + START_S, peers.OURS.body(leads)
    while time.monotonic() < deadline:
        running.program.check()
        try:
            if http.post("/v1/score", content=body).status_code == 200:
                return
        except httpx.TransportError:  # it does not listen yet
            pass
        time.sleep(0.005)
    raise ProgramEnded(f"no score within {START_S:.0f} s; its log: {running.program.log}")


def _memory_mb(running: peers.Running, http: httpx.Client, leads: peers.Records) -> float:
    """PSS after scoring these leads one by one and all at once."""
    for part in (*([lead] for lead in leads), leads):
        http.post("/v1/score", content=peers.OURS.body(part)).raise_for_status()
    return _pss_mb(running.program.pid)


def _pss_mb(pid: int) -> float:
    """https://docs.kernel.org/filesystems/proc.html (smaps_rollup)"""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench start",
        description="Measure the time from start to first score, and the memory of a worker.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--starts", type=int, default=5, help="that are measured (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    options = parser.parse_args(arguments)
    if options.starts < 1:
        parser.error("--starts from 1")
    console, out = Console(stderr=True), Console(highlight=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(Path(folder), options.starts, lambda doing: console.print(doing))
    except ProgramEnded as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    environment, bars = machine(("fastapi", "uvicorn", "onnxruntime", "numpy")), figures.bars()
    for name, value, bar, met in bars:
        out.print(f"{name}: {value:.2f}, at most {bar:g}: {'met' if met else 'MISSED'}")
    out.print(f"importing its libraries alone: {median(figures.libraries):.2f} s")
    out.print("each start: " + ", ".join(f"{seconds:.2f} s" for seconds in figures.seconds), soft_wrap=True)
    out.print(environment, soft_wrap=True)
    passed = all(met for *_, met in bars)
    if options.json:
        judged = {name: {"value": value, "at most": bar, "met": met} for name, value, bar, met in bars}
        document = {"environment": environment, **asdict(figures), "bars": judged, "passed": passed}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
