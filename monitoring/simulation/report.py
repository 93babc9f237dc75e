"""What came out of the seeds: each bar in words, the tables that people read, and the same as JSON."""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from monitoring.alerts import Severity
from monitoring.simulation.verdict import Found, Uncaused
from monitoring.simulation.world import BEFORE, DAY

FALSE_PAGES_ALLOWED = 1  # in all seeds
FALSE_TICKETS_ALLOWED = 0.5  # in thirty days, in the mean of all seeds


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResult:
    """What came out of one seed; the controls are None where they were not run."""

    seed: int
    days: int
    per_day: int  # requests
    seconds: float
    found: tuple[Found, ...]
    beyond: tuple[Found, ...]  # what the traffic is too little for
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


def bars(outcomes: Sequence[SeedResult]) -> dict[str, bool]:
    """Each bar in words, and whether it is kept."""
    promises = sum(len(each.found) for each in outcomes)
    missed = sum(len(each.missed()) for each in outcomes)
    pages = sum(len(each.pages()) for each in outcomes)
    tickets = sum(len(each.false) for each in outcomes) - pages
    allowed = math.ceil(FALSE_TICKETS_ALLOWED * sum(each.days for each in outcomes) / 30)
    kept = {
        f"{promises - missed} of {promises} promises kept (all must be)": not missed,
        f"{pages} false pages (at most {FALSE_PAGES_ALLOWED} in all)": pages <= FALSE_PAGES_ALLOWED,
        f"{tickets} false tickets (at most {allowed} in all)": tickets <= allowed,
    }
    if any(each.halved is not None for each in outcomes):
        halved = sum(each.halved or 0 for each in outcomes)
        tenfold = sum(each.tenfold or 0 for each in outcomes)
        kept[f"control, limits halved: {halved} false pages (must be some)"] = halved > 0
        kept[f"control, limits tenfold: {tenfold} promises of pages missed (must be some)"] = tenfold > 0
    return kept


def show(outcomes: Sequence[SeedResult], bars: dict[str, bool]) -> None:
    """Print the tables of each volume, and the bars of all."""
    for per_day, of in groupby(outcomes, key=lambda each: each.per_day):
        print(f"{per_day:,} requests a day\n")
        _of_volume(tuple(of))
    blind = frozenset[str]().union(*(each.without_series for each in outcomes))
    print(f"without a series: {', '.join(sorted(blind)) or 'none'}\n")
    show_bars(bars)


def show_bars(bars: dict[str, bool]) -> bool:
    """Print each bar with what came of it, and say whether all are kept."""
    for bar, kept in bars.items():
        print(f"{'kept' if kept else 'MISSED'}: {bar}")
    return all(bars.values())


def _of_volume(outcomes: Sequence[SeedResult]) -> None:
    asked = [found for each in outcomes for found in each.found]
    print(f"{'alert':<30} {'incidents':>9} {'in time':>8} {'told after':>11} {'at most':>8} {'promised':>9}")
    for alert in dict.fromkeys(found.alert for found in asked):
        of = [found for found in asked if found.alert == alert]
        told = [found.told for found in of if found.told is not None]
        usual, most = (f"{statistics.median(told):.0f} min", f"{max(told)} min") if told else ("-", "-")
        by = f"{max(found.promised for found in of)} min"
        print(f"{alert:<30} {len(of):>9} {len(told):>8} {usual:>11} {most:>8} {by:>9}")
    beyond = [found for each in outcomes for found in each.beyond]
    found = Counter(each.alert for each in beyond if each.told is not None)
    for alert, count in Counter(each.alert for each in beyond).items():
        print(f"beyond this traffic: {alert}, {count} incidents, of which it found {found[alert]}")
    print(
        f"\n{'seed':>4} {'promises':>9} {'in time':>8} {'beyond':>7} {'false pages':>12} {'false tickets':>14}"
        f" {'halved':>7} {'tenfold':>8}"
    )
    for each in outcomes:
        pages = len(each.pages())
        control = ["" if count is None else str(count) for count in (each.halved, each.tenfold)]
        print(
            f"{each.seed:>4} {len(each.found):>9} {len(each.found) - len(each.missed()):>8} {len(each.beyond):>7}"
            f" {pages:>12} {len(each.false) - pages:>14} {control[0]:>7} {control[1]:>8}"
        )
        for missed in each.missed():
            print(
                f"     MISSED {missed.incident.story}, {_when(missed.incident.first)}: {missed.alert} "
                f"promised {missed.promised} min"
            )
        for false in each.false:
            print(f"     WITHOUT A CAUSE {_when(false.at)}: {false.alert.name} ({false.alert.severity})")
    print()


def _when(minute: int) -> str:
    return f"day {minute // DAY} {minute % DAY // 60:02}:{minute % 60:02}"


def as_json(outcomes: Sequence[SeedResult], bars: dict[str, bool]) -> dict[str, object]:
    """The same for programs."""
    return {
        "bars": bars,
        "begins_at_minute": BEFORE,
        "seeds": [
            {
                "seed": each.seed,
                "per_day": each.per_day,
                "seconds": round(each.seconds, 1),
                "promises": [_found(found) for found in each.found],
                "beyond": [_found(found) for found in each.beyond],
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


def _found(found: Found) -> dict[str, object]:
    return {
        "incident": found.incident.story,
        "first": found.incident.first,
        "last": found.incident.last,
        "alert": found.alert,
        "promised": found.promised,
        "told": found.told,
    }
