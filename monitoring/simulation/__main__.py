"""Replays thirty days of each seed: every incident found in time, no page without a cause."""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from monitoring import catalogue
from monitoring.alerts import Alert, Severity
from monitoring.promql.text import metric_names
from monitoring.simulation import firing, tsdb, verdict
from monitoring.simulation.verdict import Found, Uncaused
from monitoring.simulation.world import BEFORE, DAY

FALSE_PAGES_ALLOWED = 1  # in all seeds
CONTROLLED = 2  # seeds for which the controls are run too
SEEDS = range(20)
EPILOG = """examples:
  python -m monitoring.simulation                       seeds 0 to 19, some minutes
  python -m monitoring.simulation --seed 3 --seed 4
  python -m monitoring.simulation --seed 3 --days 10 --json
The controls show that the bars can be missed: limits halved must page without a cause, tenfold must miss incidents.
They are run for the first two seeds and the alerts that page.
exit status: 0 all bars are kept, 1 one is missed, 2 wrong use or no prometheus
"""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What came out of one seed; the controls are None where they were not run."""

    seed: int
    seconds: float
    found: tuple[Found, ...]
    false: tuple[Uncaused, ...]
    without_series: frozenset[str]  # alerts that read what nothing told
    halved: int | None  # false pages
    tenfold: int | None  # incidents that no page found in time

    def missed(self) -> tuple[Found, ...]:
        """Promises that were not kept."""
        return tuple(each for each in self.found if each.told is None)

    def pages(self) -> tuple[Uncaused, ...]:
        """Pages without a cause."""
        return tuple(each for each in self.false if each.alert.severity is Severity.PAGE)


def outcome(seed: int, days: int, alerts: Sequence[Alert], controlled: bool) -> SeedResult:
    """Replay one seed."""
    started = time.monotonic()
    halved = tenfold = None
    with firing.replay(seed, days) as replay:
        fired = replay.firing(alerts)
        if controlled:
            sooner, later = (
                [replace(alert, expr=verdict.scaled(alert.expr, factor)) for alert in verdict.pages(alerts)]
                for factor in (0.5, 10)
            )
            halved = len(tuple(verdict.false_alerts(replay.incidents, sooner, replay.firing(sooner))))
            tenfold = sum(each.told is None for each in verdict.found(replay.incidents, later, replay.firing(later)))
        return SeedResult(
            seed,
            time.monotonic() - started,
            tuple(verdict.found(replay.incidents, alerts, fired)),
            tuple(verdict.false_alerts(replay.incidents, alerts, fired)),
            frozenset(alert.name for alert in alerts if not metric_names(alert.expr) <= replay.metrics),
            halved,
            tenfold,
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
    parser.add_argument("--json", action="store_true", help="print what came out as JSON")
    options = parser.parse_args(arguments)
    if options.days < 3:
        parser.error("--days: at least 3")
    seeds, alerts = options.seed or list(SEEDS), catalogue.alerts()
    if any(seed < 0 for seed in seeds):
        parser.error("--seed: none is below 0")
    try:
        tsdb.find()
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    with ProcessPoolExecutor(min(len(seeds), os.cpu_count() or 1)) as pool:
        waiting = [
            pool.submit(outcome, seed, options.days, alerts, number < CONTROLLED) for number, seed in enumerate(seeds)
        ]
        outcomes = []
        for number, each in enumerate(waiting, 1):
            outcomes.append(each.result())
            if sys.stderr.isatty():
                print(f"\r{number} of {len(seeds)} seeds", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    bars = _bars(outcomes)
    if options.json:
        print(json.dumps(_told(outcomes, bars), indent=1))
    else:
        _show(outcomes, alerts, bars)
    return 0 if all(bars.values()) else 1


def _bars(outcomes: Sequence[SeedResult]) -> dict[str, bool]:
    """Each bar in words, and whether it is kept."""
    promises = sum(len(each.found) for each in outcomes)
    missed = sum(len(each.missed()) for each in outcomes)
    pages = sum(len(each.pages()) for each in outcomes)
    halved = sum(each.halved or 0 for each in outcomes)
    tenfold = sum(each.tenfold or 0 for each in outcomes)
    return {
        f"{promises - missed} of {promises} promises kept (all must be)": not missed,
        f"{pages} false pages (at most {FALSE_PAGES_ALLOWED} in all)": pages <= FALSE_PAGES_ALLOWED,
        f"control, limits halved: {halved} false pages (must be some)": halved > 0,
        f"control, limits tenfold: {tenfold} promises of pages missed (must be some)": tenfold > 0,
    }


def _show(outcomes: Sequence[SeedResult], alerts: Sequence[Alert], bars: dict[str, bool]) -> None:
    asked = [found for each in outcomes for found in each.found]
    print(f"{'alert':<30} {'incidents':>9} {'in time':>8} {'told after':>11} {'at most':>8} {'promised':>9}")
    for alert in alerts:
        of = [found for found in asked if found.alert == alert.name]
        told = [found.told for found in of if found.told is not None]
        if of:
            usual, most = (f"{statistics.median(told):.0f} min", f"{max(told)} min") if told else ("-", "-")
            by = f"{max(found.promised for found in of)} min"
            print(f"{alert.name:<30} {len(of):>9} {len(told):>8} {usual:>11} {most:>8} {by:>9}")
    never = [alert.name for alert in alerts if alert.name not in {found.alert for found in asked}]
    print(f"\nwatched, but no incident is theirs: {', '.join(never) or 'none'}")
    blind = frozenset[str]().union(*(each.without_series for each in outcomes))
    print(f"without a series: {', '.join(sorted(blind)) or 'none'}\n")
    print(
        f"{'seed':>4} {'promises':>9} {'in time':>8} {'false pages':>12} {'false tickets':>14}"
        f" {'halved':>7} {'tenfold':>8}"
    )
    for each in outcomes:
        pages = len(each.pages())
        control = ["" if count is None else str(count) for count in (each.halved, each.tenfold)]
        print(
            f"{each.seed:>4} {len(each.found):>9} {len(each.found) - len(each.missed()):>8} {pages:>12} "
            f"{len(each.false) - pages:>14} {control[0]:>7} {control[1]:>8}"
        )
        for found in each.missed():
            print(
                f"     MISSED {found.incident.story}, {_when(found.incident.first)}: {found.alert} "
                f"promised {found.promised} min"
            )
        for false in each.false:
            print(f"     WITHOUT A CAUSE {_when(false.at)}: {false.alert.name} ({false.alert.severity})")
    print()
    for bar, kept in bars.items():
        print(f"{'kept' if kept else 'MISSED'}: {bar}")


def _when(minute: int) -> str:
    return f"day {minute // DAY} {minute % DAY // 60:02}:{minute % 60:02}"


def _told(outcomes: Sequence[SeedResult], bars: dict[str, bool]) -> dict[str, object]:
    return {
        "bars": bars,
        "begins_at_minute": BEFORE,
        "seeds": [
            {
                "seed": each.seed,
                "seconds": round(each.seconds, 1),
                "promises": [
                    {
                        "incident": found.incident.story,
                        "first": found.incident.first,
                        "last": found.incident.last,
                        "alert": found.alert,
                        "promised": found.promised,
                        "told": found.told,
                    }
                    for found in each.found
                ],
                "false": [
                    {"alert": false.alert.name, "severity": false.alert.severity, "at": false.at}
                    for false in each.false
                ],
                "without_series": sorted(each.without_series),
                "false_pages_halved": each.halved,
                "missed_tenfold": each.tenfold,
            }
            for each in outcomes
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
