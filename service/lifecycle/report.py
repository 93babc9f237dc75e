"""The weekly report for sales and whoever pays, as HTML and PDF: `python -m service.lifecycle.report`.

It reads the models' history alone, and holds totals: whom sales contacted, what that brought against calling at random,
what changed in the model and why, and how good the data is.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from service import history
from service.history import Decision, DriftCheck, Evaluation
from service.lifecycle.reporting.html import html
from service.lifecycle.reporting.pdf import pdf
from service.lifecycle.reporting.sheet import WEEK, Sheet, WeekHistory, sheet
from service.lifecycle.runtime import runner
from service.lifecycle.runtime.gauges import Gauge
from service.lifecycle.runtime.runner import Progress
from service.storage import Conflict, Storage, open_storage

PREFIX = "reports/"
LOOK_BACK = timedelta(days=60)
"""Older evaluations say nothing of this week."""

MAIL = "weekly report at"
"""How the line starts that Cloud Monitoring mails; infra/stacks/alerting.py looks for it."""

EXAMPLES = """examples:
  python -m service.lifecycle.report --models models
  python -m service.lifecycle.report --models gs://acme-models --metrics projects/acme
"""


def write_report(models: Storage, now: datetime) -> tuple[str, Sheet | None]:
    """Write `reports/DAY.html` and `.pdf`; return the PDF's key and what it says, None where it was there already.

    A file that is there stays as it is. Raises StorageError.
    """
    report = sheet(_week(models, now))
    page, document = html(report).encode(), pdf(report)
    key = f"{PREFIX}{now.astimezone(UTC):%Y-%m-%d}"
    with suppress(Conflict):
        models.create(f"{key}.html", page)
    try:
        models.create(f"{key}.pdf", document)
    except Conflict:
        return f"{key}.pdf", None
    return f"{key}.pdf", report


def _week(models: Storage, now: datetime) -> WeekHistory:
    evaluations = history.between(models, Evaluation, now - LOOK_BACK, now)
    newest = evaluations[-1] if evaluations else None
    before = [entry for entry in evaluations if newest and entry.time <= newest.time - WEEK]
    checks = history.between(models, DriftCheck, now - WEEK, now)
    return WeekHistory(
        now=now,
        evaluation=newest,
        before=before[-1] if before else None,
        decisions=history.between(models, Decision, now - WEEK, now),
        drift=checks[-1] if checks else None,
    )


def address(models: Storage, key: str) -> str:
    """Where people open the object: a bucket's after they have signed in.

    https://cloud.google.com/storage/docs/request-endpoints#cookieauth
    """
    url = f"{models.url}/{key}"
    return url.replace("gs://", "https://storage.cloud.google.com/", 1) if url.startswith("gs://") else url


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m service.lifecycle.report",
        description="Write the weekly report for sales and whoever pays, one page, as HTML and PDF.",
        epilog=f"{EXAMPLES}\n{runner.EXIT}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    runner.add_places(parser, "models")
    runner.add_metrics(parser)
    runner.add_now(parser)
    options = parser.parse_args(arguments)
    runner.check_places(parser, options, "models")
    try:
        models = open_storage(options.models)
    except ValueError as error:
        parser.error(str(error))

    def work(tell: Progress) -> Sequence[Gauge]:
        tell(f"reading the history in {models.url}")
        key, report = write_report(models, options.now or datetime.now(UTC))
        where = address(models, key)
        if report is None:
            print(f"this day's report is already there: {where}; delete it and its .html to have it written anew")
        else:
            print(f"{MAIL} {where} says: {report.headline}")
        return []

    return runner.supervise("report", options.metrics, models, work)


if __name__ == "__main__":
    sys.exit(main())
