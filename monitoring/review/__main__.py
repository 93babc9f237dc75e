"""Shows the alerts: all of them, one with its cases drawn, or what a change does to their thresholds."""

import argparse
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from monitoring import catalogue, limits
from monitoring.alerts import Alert, Severity
from monitoring.dashboards import ELSEWHERE, dashboards
from monitoring.promql.conditions import conditions
from monitoring.promql.text import duration
from monitoring.proof.cases import Case
from monitoring.proof.engine import EngineFailed
from monitoring.proof.scenarios import cases
from monitoring.review import budget, checked, diff, plot, quantity, tried
from monitoring.review.commit import RefError
from monitoring.review.explain import REACHES, sentence
from monitoring.simulation.firing import DAYS

SEEDS, MOST_SEEDS = 3, 20  # of the replay that compares two commits
PICTURES = Path(".platform/alerts")
EPILOG = """examples:
  scripts/alerts                            the catalogue as a table
  scripts/alerts --page                     only what wakes somebody
  scripts/alerts show SpoolFillsUp          one alert explained, its cases drawn in .platform/alerts/
  scripts/alerts show EvaluateLate --plot late.png
  scripts/alerts diff main                  thresholds, false alarms, time to detect and failing cases, at main and here
  scripts/alerts diff HEAD~1 --markdown     the same for a pull request
  scripts/alerts env prod                   shell variables and commands that runbooks use, ready to paste
  scripts/alerts try "401 100% 6h"          which alerts such an outage sets off; scripts/alerts try --help
  scripts/alerts budget prod                what each promise allows to go wrong; what is left: --prometheus google
  scripts/alerts check prod                 whether a living Prometheus has what the alerts read
exit status: 0 done, 1 a case, a commit or a replay could not be evaluated, 2 wrong use, or no promtool or prometheus
"""


def main(arguments: list[str] | None = None) -> int:
    """Show what is asked for."""
    parser = argparse.ArgumentParser(
        prog="scripts/alerts",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--page", action="store_true", help="only pages")
    only.add_argument("--ticket", action="store_true", help="only tickets")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    one = commands.add_parser(
        "show", help="one alert: what it says, and its cases as a picture", description=_show.__doc__
    )
    one.add_argument("name", metavar="NAME", help="an alert's name")
    one.add_argument("--plot", type=Path, metavar="FILE", help="where to draw (default: .platform/alerts/NAME.png)")
    two = commands.add_parser("diff", help="what a change does to the alerts", description=_diff.__doc__)
    two.add_argument("ref", metavar="REF", help="the commit to compare with")
    two.add_argument("--markdown", action="store_true", help="as a section of the review sheet")
    two.add_argument("--days", type=int, default=DAYS, help="days of the replay (default: %(default)s)")
    two.add_argument("--seeds", type=int, default=SEEDS, help="of the replay, 1 to 20 (default: %(default)s)")
    tried.add_to(commands)
    checked.add_to(commands)
    budget.add_to(commands)
    options = parser.parse_args(arguments)
    if options.command == "try":
        return tried.main(options.outage, options.per_day, options.json)
    if options.command == "check":
        return checked.main(options.env, options.prometheus, options.days, options.json)
    if options.command == "budget":
        return budget.main(options.env, options.prometheus, options.callers)
    if options.command == "diff":
        if not 1 <= options.days <= DAYS:
            two.error(f"--days takes 1 to {DAYS}: {options.days}")
        if not 1 <= options.seeds <= MOST_SEEDS:
            two.error(f"--seeds takes 1 to {MOST_SEEDS}: {options.seeds}")
        return _diff(options.ref, options.markdown, options.days, options.seeds)
    if options.command == "show":
        return _show(one, options.name, options.plot)
    _table(options.page, options.ticket)
    return 0


def _table(pages: bool, tickets: bool) -> None:
    everything = catalogue.alerts()
    shown = [a for a in everything if not (pages and a.severity is not Severity.PAGE)]
    shown = [a for a in shown if not (tickets and a.severity is not Severity.TICKET)]
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("alert", "severity", "fires when", "holds", "looks back", "runbook"):
        table.add_column(name, no_wrap=name == "alert", overflow="fold")
    for alert in shown:
        table.add_row(
            alert.name,
            alert.severity.value,
            escape(quantity.sentence(alert)),
            duration(alert.hold) if alert.hold else "",
            duration(back) if (back := limits.lookback(alert.expr)) else "",
            alert.runbook,
        )
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    counts = Counter(alert.severity for alert in shown)
    told = len(cases(everything))
    of = f"{counts[Severity.PAGE]} pages, {counts[Severity.TICKET]} tickets"
    console.print(
        f"{len(shown)} alerts: {of}; {told} cases prove all {len(everything)}. scripts/alerts show NAME explains one."
    )


def _show(parser: argparse.ArgumentParser, name: str, file: Path | None) -> int:
    """Explain one alert, and draw its cases with what a real PromQL engine makes of them."""
    everything = catalogue.alerts()
    alert = next((alert for alert in everything if alert.name == name), None)
    if alert is None:
        like = [each.name for each in everything if name.lower() in each.name.lower()]
        parser.error(f"no alert is called {name}" + (f"; is it {' or '.join(like)}?" if like else ""))
    about = plot.told(alert, cases(everything))
    print(_explained(alert, about))
    file = file or PICTURES / f"{alert.name}.png"
    try:
        plot.draw(alert, about, file)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    except (EngineFailed, OSError) as error:
        print(f"{file} was not drawn: {error}", file=sys.stderr)
        return 1
    print(f"\nits cases, drawn: {file}")
    return 0


def _diff(ref: str, as_markdown: bool, days: int, seeds: int) -> int:
    """Show what changed of each alert: thresholds, false alarms and time to detect in replays, cases that fail now."""
    here = catalogue.alerts()
    try:
        changed = diff.changes(diff.at(ref), here)
        if changed:
            print(f"{len(changed)} alerts changed; replaying {seeds} times {days} days", file=sys.stderr)
            changed = diff.replayed(diff.proven(changed, cases(here)), range(seeds), days)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    except (RefError, OSError, ValueError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 1
    about = (
        f"Before and after, in {days} simulated days of each of {seeds} seeds. A false alarm has no cause; incidents "
        "found are those that it finds in time; minutes to detect are the median."
    )
    if as_markdown or not changed:
        print(diff.markdown(changed, about) if as_markdown else "No alert fires otherwise than before.")
        return 0
    table = Table(box=box.SIMPLE_HEAD)
    for name in diff.HEAD:
        table.add_column(name, no_wrap=name == "alert", overflow="fold")
    for row in diff.rows(changed):
        table.add_row(*map(escape, row))
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    console.print(about, highlight=False)
    for line in diff.failing(changed):
        console.print(escape(line), highlight=False)
    return 0


def _explained(alert: Alert, about: list[Case]) -> str:
    panels = {panel.title: board.title for board in dashboards() for panel in board.panels}
    compared = conditions(alert)
    where = dict.fromkeys(ELSEWHERE.get((alert.name, place), alert.panel) for place, _ in enumerate(compared))
    lines = [
        f"{alert.name}: {alert.summary}",
        "",
        f"severity    {alert.severity.value}",
        f"who is told {REACHES[alert.severity]}",
        f"runbook     monitoring/runbooks/{alert.runbook}",
        *(f"panel       {panels[title]} / {title}" for title in where),
        f"holds       {duration(alert.hold) if alert.hold else 'not at all: it fires as soon as it is true'}",
        f"looks back  {duration(limits.lookback(alert.expr))}, over {_spans(alert)}",
        f"evaluated   every {duration(limits.evaluation_interval(alert))}",
        "",
        "fires when" + (" all of these hold" if len(compared) > 1 else ""),
        *(f"  {sentence(condition)}" for condition in compared),
        "",
        "expression",
        *(f"  {line}" for line in alert.expr.splitlines()),
        "",
        "cases",
        *(f"  {_case(alert, case)}" for case in about),
    ]
    return "\n".join(lines)


def _spans(alert: Alert) -> str:
    """The windows that it reads, as they are written."""
    spans = dict.fromkeys(re.findall(r"\[([^\]]+)\]", alert.expr))
    return ", ".join(spans) or "no window: it reads the newest value"


def _case(alert: Alert, case: Case) -> str:
    if not (fires := case.fires.get(alert.name)):
        return f"stays silent       {case.story}"
    return f"fires {fires.after:>5} min after the fault, to {fires.until:>5} min: {case.story}"


if __name__ == "__main__":
    sys.exit(main())
