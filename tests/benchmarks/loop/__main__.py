"""What the closed loop promises, on worlds whose truth is known: `scripts/bench loop`; 1 if a limit is missed."""

import argparse
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from service.lifecycle.runtime.runner import shown_progress
from tests.benchmarks.loop import gate_years, late, quiet, replays, rescoring, segment
from tests.benchmarks.loop.estimators import PRODUCT, REFERENCE, Estimators
from tests.benchmarks.loop.limits import Limit, Progress

Measured = Iterator[Limit]
EXAMPLES = """parts:
  a  a quiet world, outcomes of contacted leads alone: bias and coverage
  b  a segment that becomes good: what exploring finds, and what it costs
  c  nightly re-scoring, and late conversions
  d  estimates without outcomes after a promotion
  e  "beyond noise" where nothing changed, and the calibration error's interval
  f  years of weekly looks of the gate
  g  replays of histories that nothing was tuned on; needs BANK_MARKETING_CSV unless --quick

examples:
  scripts/bench loop                     all parts
  scripts/bench loop --quick             few trials of each
  scripts/bench loop --only a,f
  scripts/bench loop --only a,b --estimators reference    shows that the worlds can be solved; judges no product

exit status: 0 all limits are kept, 1 one is missed or a part is not there, 2 wrong use
"""


def _judged(found: Mapping[str, float], limits: Mapping[str, tuple[float, float]]) -> Measured:
    """A figure for each limit."""
    return (Limit(name, found[name], *limits[name]) for name in limits)


def _a(quick: bool, by: Estimators, tell: Progress) -> Measured:
    return _judged(quiet.measure(quiet.QUICK if quick else quiet.SEEDS, by, tell), quiet.limits(quick))


def _b(quick: bool, by: Estimators, tell: Progress) -> Measured:
    return _judged(segment.measure(segment.QUICK if quick else segment.SEEDS, by, tell), segment.limits(quick))


def _c(quick: bool, by: Estimators, tell: Progress) -> Measured:
    seeds, years = (rescoring.QUICK, late.QUICK) if quick else (rescoring.SEEDS, late.YEARS)
    yield from _judged(rescoring.measure(seeds, tell), rescoring.limits(quick))
    yield from _judged(late.measure(years, tell), late.limits(quick))


def _f(quick: bool, by: Estimators, tell: Progress) -> Measured:
    found = gate_years.measure(gate_years.QUICK if quick else gate_years.YEARS, by, tell)
    return _judged(found, gate_years.limits(quick))


def _g(quick: bool, by: Estimators, tell: Progress) -> Measured:
    return _judged(replays.measure(replays.QUICK if quick else replays.HISTORIES, tell), replays.limits(quick))


def _module(*names: str) -> Callable[[bool, Estimators, Progress], Measured]:
    """The limits of modules of this package that judge themselves; one that is not there misses its limit."""

    def measure(quick: bool, by: Estimators, tell: Progress) -> Measured:
        for name in names:
            try:
                module = importlib.import_module(f"tests.benchmarks.loop.{name}")
            except ModuleNotFoundError:
                yield Limit(f"the module {name} is not there", 0, 1, 1)
                continue
            tell(name)
            yield from module.measure(quick)

    return measure


PARTS = {"a": _a, "b": _b, "c": _c, "d": _module("label_free"), "e": _module("noise", "calibration"), "f": _f, "g": _g}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench loop",
        description="Measure what the closed loop promises on worlds whose truth is known.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="few trials: a rough look, at most 3 minutes")
    parser.add_argument("--only", default=",".join(PARTS), metavar="a,b,...", help="these parts (default: all)")
    parser.add_argument("--estimators", choices=("product", "reference"), default="product", help="for a, b and f")
    options = parser.parse_args(arguments)
    chosen = options.only.split(",")
    if unknown := [part for part in chosen if part not in PARTS]:
        parser.error(f"--only {','.join(unknown)}: there are {', '.join(PARTS)}")
    if "g" in chosen and not options.quick and "BANK_MARKETING_CSV" not in os.environ:
        parser.error(
            "part g replays the bank's contacts: set BANK_MARKETING_CSV (service/examples/bank_marketing.toml)"
        )
    by = PRODUCT if options.estimators == "product" else REFERENCE
    table, missed = Table("", "", "measured", "limit", ""), 0
    with shown_progress(Console(stderr=True)) as tell:
        for part in chosen:
            began = time.monotonic()
            for limit in PARTS[part](options.quick, by, tell):
                allowed = f"{limit.least:.4g} to {limit.most:.4g}"
                table.add_row(part, limit.what, f"{limit.value:.4f}", allowed, "" if limit.met else "MISSED")
                missed += not limit.met
            table.add_row(part, "seconds", f"{time.monotonic() - began:.0f}", "", "", end_section=True)
    out = Console(width=140)
    out.print(table, highlight=False)
    out.print(f"{missed} limits missed by {by.name}" if missed else f"all limits kept by {by.name}", highlight=False)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
