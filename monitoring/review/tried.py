"""`scripts/alerts try`: shows what comes of an outage, as a table or as JSON."""

import argparse
import json
import sys
from datetime import timedelta
from textwrap import shorten
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from monitoring.catalogue import DEFAULT
from monitoring.review import describe, trial
from monitoring.review.explain import REACHES
from monitoring.review.outage import Unclear
from monitoring.review.quantity import quantities
from monitoring.review.trial import Fired, OutageTrial, Silent
from monitoring.simulation.world import START

MOST = 100_000_000  # requests a day
WIDEST = 60  # characters of a limit that is an expression
ABOUT = """Describe an outage and see which alerts fire, when they fire and end, whom they reach, and which alerts stay
silent although they read the same metrics. A real Prometheus evaluates the catalogue over simulated quiet days in which
the outage happens."""
EPILOG = f"""describe it by, in any order:
  status    401, 503, 5xx: what callers get instead of an answer
  share     5%: of the requests, pods or places; 100% where it is left out
  duration  30m, 6h, 2d
  part      {", ".join(describe.parts())}
            without a part, 403, 502 and 504 come from the front door, other statuses from the pods
  begin     at 03:00 (UTC); at 10:00 where it is left out. The day is a Tuesday
Several outages are joined by ';'.
examples:
  scripts/alerts try "401 100% 6h"
  scripts/alerts try "500 5% 2h at 03:00" --per-day 2000
  scripts/alerts try "front door 502 30% 1h"
  scripts/alerts try "pods 75% 1h; bucket 3h"
  scripts/alerts try "job batch 2d"
  scripts/alerts try "cloudsql_googleapis_com:database_disk_utilization=0.95 3h" --json
exit status: 0 evaluated, 1 prometheus could not evaluate it, 2 not understood, or no prometheus
"""


def add_to(commands: Any) -> None:
    """Add the command to a parser's commands."""
    parser = commands.add_parser(
        "try",
        help="describe an outage, see which alerts fire",
        description=ABOUT,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("outage", metavar="OUTAGE", help="what fails, how much of it, how long")
    parser.add_argument(
        "--per-day",
        metavar="N",
        type=_per_day,
        default=round(DEFAULT.requests_per_day),
        help="requests for scores on that day, of one lead each (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def _per_day(text: str) -> int:
    count = int(text.replace(",", "")) if text.replace(",", "").isdecimal() else 0
    if not 1 <= count <= MOST:
        raise argparse.ArgumentTypeError(f"takes 1 to {MOST}: {text}")
    return count


def main(text: str, per_day: int, as_json: bool) -> int:
    """Try the outages of a text."""
    try:
        found = trial.run(describe.parse(text), per_day)
    except (Unclear, FileNotFoundError) as error:
        print(f"scripts/alerts try: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError, RuntimeError) as error:
        print(f"scripts/alerts try: it could not be evaluated: {error}", file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(_facts(found), indent=1))
    else:
        _show(found)
    return 0


def _show(found: OutageTrial) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140)
    for each in found.outages:
        begins, ends = (START + timedelta(minutes=minute) for minute in (each.first, each.last))
        console.print(escape(f"{each.story}: {begins:%A %H:%M} to {ends:%A %H:%M}"), highlight=False)
    console.print(f"on a day of {found.per_day:,} requests for scores; minutes are from the begin\n", highlight=False)
    if found.fired:
        table = Table(box=box.SIMPLE_HEAD, title="fires", title_justify="left")
        for name in ("alert", "severity", "fires after", "ends after", "times", "reaches"):
            table.add_column(name, no_wrap=name == "alert", justify="right" if name == "times" else "left")
        for alert in found.fired:
            table.add_row(*_fired(found, alert))
        console.print(table)
    else:
        console.print("No alert fires: nobody is told.\n")
    if found.silent:
        table = Table(box=box.SIMPLE_HEAD, title="stays silent, and reads the same metrics", title_justify="left")
        for name in ("alert", "severity", "each condition at its nearest, and its limit"):
            table.add_column(name, no_wrap=name == "alert", overflow="fold")
        for quiet in found.silent:
            table.add_row(quiet.alert.name, quiet.alert.severity.value, escape(_near(quiet)))
        console.print(table)
    elif not found.fired:
        console.print("It changes no series by more than chance does: too few requests are hit.")


def _fired(found: OutageTrial, fired: Fired) -> tuple[str, ...]:
    ends = "it still fires" if fired.until is None else f"{fired.until} min ({_beyond(found, fired.until)})"
    whom = REACHES[fired.alert.severity] + ("; it fires without the outage too" if fired.anyway else "")
    return fired.alert.name, fired.alert.severity.value, f"{fired.after} min", ends, str(fired.times), whom


def _beyond(found: OutageTrial, until: int) -> str:
    late = until - found.lasts
    return "with it" if not late else f"{abs(late)} min {'after' if late > 0 else 'before'} its end"


def _near(silent: Silent) -> str:
    said = []
    for near, known in zip(silent.nearest, quantities(silent.alert), strict=True):
        value = "nothing" if near.value is None else known.told(float(f"{near.value:.3g}"))
        said.append(f"{known.measured} {value}, limit {shorten(known.limit, WIDEST, placeholder=' ...')}")
    return "\n".join(said)


def _facts(found: OutageTrial) -> dict[str, object]:
    return {
        "outages": [
            {
                "text": each.text,
                "story": each.story,
                "begins": (START + timedelta(minutes=each.first)).isoformat(),
                "minutes": each.last - each.first,
            }
            for each in found.outages
        ],
        "requests_per_day": found.per_day,
        "fires": [
            {
                "alert": each.alert.name,
                "severity": each.alert.severity,
                "after_minutes": each.after,
                "until_minutes": each.until,
                "times": each.times,
                "reaches": REACHES[each.alert.severity],
                "without_the_outage_too": each.anyway,
            }
            for each in found.fired
        ],
        "silent": [
            {
                "alert": each.alert.name,
                "severity": each.alert.severity,
                "conditions": [
                    {
                        "measured": near.condition.measured,
                        "op": near.condition.op,
                        "limit": near.condition.limit,
                        "nearest": near.value,
                    }
                    for near in each.nearest
                ],
            }
            for each in found.silent
        ],
    }
