"""Figures with the range that each must lie in, shown as a table."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

Progress = Callable[[str], None]


class Limit(NamedTuple):
    """A figure and the range that it must lie in."""

    what: str
    value: float
    least: float
    most: float

    @property
    def met(self) -> bool:
        """Whether it does."""
        return self.least <= self.value <= self.most


def covered(what: str, hits: Sequence[bool], least: float, most: float, quick: bool) -> Limit:
    """The share of hits. A quick look has few: the range is wider by what chance explains in three of 1,000 looks."""
    chance = 3 * (0.25 / 4 / len(hits)) ** 0.5 if quick else 0.0
    return Limit(what, sum(map(bool, hits)) / len(hits), max(0.0, least - chance), min(1.0, most + chance))


def judged(
    name: str, description: str, measure: Callable[[bool], Iterator[Limit]], arguments: Sequence[str] | None
) -> int:
    """The command line around a measurement, which is told whether to be quick; 1 where a limit is missed."""
    parser = argparse.ArgumentParser(
        prog=f"python -m tests.benchmarks.loop.{name}",
        description=description,
        epilog="exit status: 0 all limits are kept, 1 one is missed, 2 wrong use",
    )
    parser.add_argument("--quick", action="store_true", help="few trials: a rough look")
    quick = parser.parse_args(arguments).quick
    began = time.process_time()
    table = Table("", "measured", "limit", "")
    missed = 0
    for limit in measure(quick):
        print(f"{limit.what}: {limit.value:.4f}", file=sys.stderr, flush=True)
        table.add_row(
            limit.what, f"{limit.value:.4f}", f"{limit.least:.3g} to {limit.most:.3g}", "" if limit.met else "MISSED"
        )
        missed += not limit.met
    out = Console(width=140)
    out.print(table, highlight=False)
    out.print(f"{time.process_time() - began:.0f} s of processor time", highlight=False)
    return 1 if missed else 0
