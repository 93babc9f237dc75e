"""`scripts/alerts budget`: what each promise of an environment allows to go wrong, and what is left of that."""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from monitoring.alerts import Severity
from monitoring.budgets import SAMPLED, ErrorBudget
from monitoring.catalogue import promises
from monitoring.platform import Platform
from monitoring.promql.text import duration, number
from monitoring.review import checked, living
from monitoring.review.living import CannotAskError, Living, RefusedError
from monitoring.slos import Slo

OURS = (promises.AVAILABILITY, promises.LATENCY)  # of them the environment declares how many events there are
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ABOUT = """Show what each promise of an environment allows to go wrong in its period: in bad events at the declared
traffic, in minutes in which everything goes wrong, and how long it lasts while each alert only just fires. With
--prometheus also what is left of it now. It only reads."""
EPILOG = f"""examples:
  scripts/alerts budget prod
  scripts/alerts budget prod --prometheus google
  scripts/alerts budget dev --prometheus http://localhost:9090
"google" is Cloud Monitoring of the environment's project. Credentials are those of scripts/alerts check: the default
ones (gcloud auth application-default login; roles/monitoring.viewer), or the token in the variable {living.TOKEN}.
exit status: 0 nothing is spent, or nobody was asked, 1 a budget is spent, 2 wrong use, or it cannot be asked
"""


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a budget, as a share; None where nothing went wrong, or nothing is known."""

    budget: ErrorBudget
    share: float | None

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.share is not None and self.share < 0


def add_to(commands: Any) -> None:
    """Add the command to a parser's commands."""
    parser = commands.add_parser(
        "budget",
        help="what each promise allows to go wrong, and what is left of it",
        description=ABOUT,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("env", metavar="ENV", help="an environment of infra/environments.py")
    parser.add_argument("--callers", action="store_true", help="only promises to callers: those whose alerts page")
    parser.add_argument("--prometheus", metavar="URL", help='address without /api/v1, or "google"')


def main(env: str, url: str | None, callers: bool = False, now: int | None = None) -> int:
    """Show the budgets of an environment; `now` in seconds since 1970."""
    try:
        project, platform = checked.environment(env)
        slos = [slo for slo in promises.slos(platform) if not callers or pages(slo)]
        budgets = tuple(ErrorBudget(slo) for slo in slos)
        found: tuple[Left, ...] | None = None
        if url:
            api = living.connect(living.GOOGLE.format(project=project) if url == "google" else url)
            found = left(api, budgets, int(time.time()) if now is None else now)
    except (CannotAskError, RefusedError, subprocess.TimeoutExpired) as error:
        print(f"scripts/alerts budget: {error}", file=sys.stderr)
        return 2
    _show(budgets, platform, found)
    spent = [each.budget.slo.name for each in found or () if each.spent]
    if spent:
        print(f"spent: {', '.join(spent)}", file=sys.stderr)
    return 1 if spent else 0


def pages(slo: Slo) -> bool:
    """Whether a promise is one to callers: somebody is paged for it."""
    return any(window.severity is Severity.PAGE for window in slo.windows)


def left(api: Living, budgets: Sequence[ErrorBudget], now: int) -> tuple[Left, ...]:
    """What is left of each budget at a moment. Raises CannotAskError, RefusedError."""
    found = []
    for budget in budgets:
        shares = [value for _, value in api.now(budget.left, now) if value == value]  # NaN: there was no event
        found.append(Left(budget, shares[0] if shares else None))
    return tuple(found)


def _show(budgets: Sequence[ErrorBudget], platform: Platform, found: Sequence[Left] | None) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("promise", "objective", "in", "bad events allowed", "or all bad for", "lasts, at its alerts' limits"):
        table.add_column(name, overflow="fold")
    if found is not None:
        table.add_column("left", justify="right")
    for place, budget in enumerate(budgets):
        slo = budget.slo
        row = [
            slo.name,
            f"{number(slo.objective * 100)} %",
            duration(slo.period),
            allowed(budget, platform),
            _words(budget.outage()),
            ", ".join(f"{w.name} {_words(slo.period / float(slo.factor(w)))}" for w in slo.windows),
        ]
        if found is not None:
            share = found[place].share
            row.append("all, or unknown" if share is None else f"{share:.1%}")
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 150, highlight=False).print(table)


def allowed(budget: ErrorBudget, platform: Platform) -> str:
    """How many bad events spend the budget, in words."""
    share = 1 - budget.slo.objective
    if budget.counts_time:
        return f"{number(share * (budget.slo.period // SAMPLED))} hours"
    if budget.slo in OURS:
        return f"{platform.requests_per_day * (budget.slo.period / DAY) * float(share):,.0f} requests"
    return f"{number(share * 100)} % of the requests"


def _words(span: timedelta) -> str:
    for size, unit in ((DAY, "d"), (HOUR, "h")):
        if span >= 2 * size:
            return f"{span / size:.3g} {unit}"
    return f"{span / MINUTE:.3g} min"
