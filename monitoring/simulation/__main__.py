"""Replays thirty days of each seed: every incident found in time, no page and few tickets without a cause."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

from monitoring import catalogue
from monitoring.alerts import Alert
from monitoring.platform import Platform
from monitoring.promql.text import metric_names
from monitoring.simulation import firing, report, storms, tsdb, verdict
from monitoring.simulation.report import SeedResult
from monitoring.simulation.world import PER_DAY

CONTROLLED = 2  # seeds for which the controls are run too
CONTROLLED_FROM = 100_000  # requests a day: with fewer, few pages can be reached, and the controls show nothing
SEEDS = range(20)
EPILOG = """examples:
  python -m monitoring.simulation                       seeds 0 to 19, some minutes
  python -m monitoring.simulation --seed 3 --seed 4
  python -m monitoring.simulation --seed 3 --days 10 --json
  python -m monitoring.simulation --seed 0 --per-day 50 --per-day 2000
  python -m monitoring.simulation --storms              one cause, at most two pages
With little traffic some promises cannot be kept: an alert on a share waits for events that do not come. These are
listed as beyond the traffic, with how many were found nevertheless.
The controls show that the bars can be missed: limits halved must page without a cause, tenfold must miss incidents.
They are run for the first two seeds and the alerts that page, at 100,000 requests a day or more.
exit status: 0 all bars are kept, 1 one is missed, 2 wrong use or no prometheus
"""


def outcome(seed: int, days: int, per_day: int, alerts: Sequence[Alert], controlled: bool) -> SeedResult:
    """Replay one seed."""
    started = time.monotonic()
    halved = tenfold = None
    with firing.replay(seed, days, per_day) as replay:
        fired = replay.incidents_of(alerts)
        if controlled:
            sooner, later = (
                [replace(alert, expr=verdict.scaled(alert.expr, factor)) for alert in verdict.pages(alerts)]
                for factor in (0.5, 10)
            )
            halved = len(tuple(verdict.false_alerts(replay.incidents, sooner, replay.incidents_of(sooner))))
            tenfold = sum(each.told is None for each in verdict.found(replay.incidents, later, replay.firing(later)))
        spans = {name: firing.merged(series) for name, series in fired.items()}
        return SeedResult(
            seed=seed,
            days=days,
            per_day=per_day,
            seconds=time.monotonic() - started,
            found=tuple(verdict.found(replay.incidents, alerts, spans)),
            beyond=tuple(verdict.beyond(replay.incidents, alerts, spans)),
            false=tuple(verdict.false_alerts(replay.incidents, alerts, fired)),
            without_series=frozenset(alert.name for alert in alerts if not metric_names(alert.expr) <= replay.metrics),
            halved=halved,
            tenfold=tenfold,
        )


def main(arguments: list[str] | None = None) -> int:
    """Replay what is asked for and say what came out."""
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.simulation",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", metavar="N", type=int, action="append", help="only this seed; may be given again")
    parser.add_argument("--days", type=int, default=firing.DAYS, help="how many are watched, at least 3 (default: 30)")
    parser.add_argument(
        "--per-day",
        metavar="N",
        type=int,
        action="append",
        help=f"requests a day, declared and in the mean; may be given again (default: {PER_DAY})",
    )
    parser.add_argument("--storms", action="store_true", help="count what each of the causes that break much opens")
    parser.add_argument("--json", action="store_true", help="print what came out as JSON")
    options = parser.parse_args(arguments)
    if options.days < 3:
        parser.error("--days: at least 3")
    seeds, volumes = options.seed or list(SEEDS), options.per_day or [PER_DAY]
    if any(seed < 0 for seed in seeds):
        parser.error("--seed: none is below 0")
    if any(per_day < 1 for per_day in volumes):
        parser.error("--per-day: at least 1")
    try:
        tsdb.find()
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    if options.storms:
        return _storms(options.seed or [0], volumes)
    outcomes = replayed(seeds, options.days, volumes)
    bars = report.bars(outcomes)
    if options.json:
        print(json.dumps(report.as_json(outcomes, bars), indent=1))
    else:
        report.show(outcomes, bars)
    return 0 if all(bars.values()) else 1


def _storms(seeds: Iterable[int], volumes: Iterable[int]) -> int:
    kept = True
    for per_day in volumes:
        alerts = catalogue.alerts(Platform(leads_per_day=per_day))
        for seed in seeds:
            outcomes = stormed(seed, per_day, alerts)
            print(f"{per_day:,} requests a day, seed {seed}\n")
            storms.show(outcomes)
            kept &= report.show_bars(storms.bars(outcomes))
    return 0 if kept else 1


def stormed(seed: int, per_day: int, alerts: Sequence[Alert]) -> list[storms.Outcome]:
    """Let each of the storms happen, side by side."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(partial(storms.run, seed=seed, per_day=per_day, alerts=alerts), storms.STORMS))


def replayed(seeds: Sequence[int], days: int, volumes: Iterable[int]) -> list[SeedResult]:
    """Replay each seed at each volume, side by side."""
    asked = [(number, seed, per_day) for per_day in volumes for number, seed in enumerate(seeds)]
    with ProcessPoolExecutor(min(len(asked), os.cpu_count() or 1)) as pool:
        waiting = [
            pool.submit(
                outcome,
                seed,
                days,
                per_day,
                catalogue.alerts(Platform(leads_per_day=per_day)),
                number < CONTROLLED and per_day >= CONTROLLED_FROM,
            )
            for number, seed, per_day in asked
        ]
        outcomes = []
        for number, each in enumerate(waiting, 1):
            outcomes.append(each.result())
            if sys.stderr.isatty():
                print(f"\r{number} of {len(asked)} replays", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
