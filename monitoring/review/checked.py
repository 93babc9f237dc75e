"""`scripts/alerts check`: shows what a living Prometheus has of what the alerts read."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from monitoring.platform import Job, Platform
from monitoring.review import living
from monitoring.review.inspection import Inspection, inspect
from monitoring.review.living import CannotAskError, RefusedError

ROOT = Path(__file__).parents[2]
DAYS, MOST_DAYS = 30, 42
_LONGEST = 300  # seconds in which the environment is read
ABOUT = """Ask a living Prometheus, read-only: whether each series that the alerts read is there with the labels that
they select, how often each alert would have fired, and what is left of each SLO's error budget. Metrics of Google whose
labels nobody has verified are named until `monitoring/google.py` says that they were read in Google's list."""
EPILOG = f"""examples:
  scripts/alerts check prod
  scripts/alerts check prod --days 7 --json
  scripts/alerts check dev --prometheus http://localhost:9090
Google is asked with the default credentials (gcloud auth application-default login; roles/monitoring.viewer), any
address with the token in the variable {living.TOKEN} where there is one.
exit status: 0 every series is there, 1 some are missing or an expression is refused, 2 wrong use, or it cannot be asked
"""


def add_to(commands: Any) -> None:
    """Add the command to a parser's commands."""
    parser = commands.add_parser(
        "check",
        help="ask a living Prometheus whether the alerts read something",
        description=ABOUT,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("env", metavar="ENV", help="an environment of infra/environments.py")
    parser.add_argument(
        "--prometheus", metavar="URL", help="address without /api/v1 (default: Google's, of ENV's project)"
    )
    parser.add_argument("--days", metavar="N", type=_days, default=DAYS, help="days looked back (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def _days(text: str) -> int:
    count = int(text) if text.isdecimal() else 0
    if not 1 <= count <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"takes 1 to {MOST_DAYS}: {text}")
    return count


def main(env: str, url: str | None, days: int, as_json: bool, now: int | None = None) -> int:
    """Check an environment; `now` in seconds since 1970."""
    try:
        project, platform = environment(env)
        api = living.connect(url or living.GOOGLE.format(project=project))
        found = inspect(api, platform, days, int(time.time()) if now is None else now)
    except (CannotAskError, RefusedError, subprocess.TimeoutExpired) as error:
        print(f"scripts/alerts check: {error}", file=sys.stderr)
        return 2
    if as_json:
        print(json.dumps(_facts(found), indent=1))
    else:
        _show(found)
    return 0 if found.well else 1


def environment(env: str) -> tuple[str, Platform]:
    """Project and platform of an environment. Raises CannotAskError for one that is not there."""
    command = [sys.executable, "-m", "infra.operations.watched", "--", env]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_LONGEST)
    if done.returncode:
        raise CannotAskError(f"the environment {env!r} cannot be read: {done.stderr.strip().splitlines()[-1]}")
    said = json.loads(done.stdout.splitlines()[-1])
    jobs = tuple(Job(j["name"], j["schedule"], timedelta(seconds=j["timeout"])) for j in said.pop("jobs"))
    return said.pop("project"), Platform(jobs=jobs, **said)


def _show(found: Inspection) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140)
    if found.missing:
        rows = [(escape(each.selector), escape(each.why), ", ".join(each.alerts)) for each in found.missing]
        console.print(_table("missing", ("series", "why", "alerts that it blinds"), rows))
    there = found.selectors - len(found.missing)
    console.print(f"{there} of {found.selectors} series that alerts read are there.\n", highlight=False)
    counts = [
        (
            each.alert.name,
            each.alert.severity.value,
            f"refused: {escape(each.refused)}" if each.refused else f"{each.times}",
        )
        for each in found.counts
        if each.times or each.refused
    ]
    title = f"would have fired in {found.days} days"
    console.print(_table(title, ("alert", "severity", "times"), counts) if counts else f"No alert {title}.")
    console.print(f"{len(found.counts) - len(counts)} alerts would not have fired.\n", highlight=False)
    console.print(_table("error budgets", ("SLO", "objective", "over", "left"), list(_budgets(found))))
    if found.unverified:
        rows = [(each.metric.name, _state(each.there, each.lacks), each.metric.source) for each in found.unverified]
        console.print(_table("metrics of Google that nobody has verified", ("metric", "found", "source"), rows))
        console.print("Compare kind, labels and delay with the source; then set Read.LIST in monitoring/google.py.")


def _table(title: str, names: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _budgets(found: Inspection) -> Iterator[tuple[str, ...]]:
    for each in found.budgets:
        left = "no event yet" if each.left is None else f"{100 * each.left:.1f} %"
        left = f"refused: {escape(each.refused)}" if each.refused else left
        yield (
            each.slo.name,
            f"{float(100 * each.slo.objective):g} %",
            f"{each.over / timedelta(days=1):.3g} of {each.slo.period.days} days",
            left,
        )


def _state(there: bool, lacks: Sequence[str]) -> str:
    if not there:
        return "not there"
    return f"there, without {', '.join(lacks)}" if lacks else "there, with all labels"


def _facts(found: Inspection) -> dict[str, object]:
    return {
        "days": found.days,
        "series": found.selectors,
        "missing": [{"series": m.selector, "why": m.why, "alerts": m.alerts} for m in found.missing],
        "alerts": [
            {"alert": c.alert.name, "severity": c.alert.severity, "times": c.times, "refused": c.refused}
            for c in found.counts
        ],
        "budgets": [
            {"slo": b.slo.name, "left": b.left, "over_hours": b.over / timedelta(hours=1), "refused": b.refused}
            for b in found.budgets
        ],
        "unverified": [
            {"metric": u.metric.name, "there": u.there, "lacks": u.lacks, "source": u.metric.source}
            for u in found.unverified
        ],
    }
