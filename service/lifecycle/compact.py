"""Compact prediction records: `python -m service.lifecycle.compact`.

Raw objects of finished hours become Parquet tables by day and part of the leads, and each lead's first score is kept.
Raw objects are deleted one run later. A run that is stopped anywhere loses and doubles nothing; start it again.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from service.lifecycle.compaction.days import Compacted, CompactRun, compact_all
from service.lifecycle.compaction.upkeep import delete_orphans, expire, merge_tables
from service.lifecycle.promotion.lease import hold
from service.lifecycle.relations.record_files import LEASE, waiting_hours
from service.lifecycle.runtime import runner
from service.lifecycle.runtime.gauges import Gauge
from service.lifecycle.runtime.runner import Progress
from service.storage import Storage, open_storage

STORAGES = ("models", "predictions", "leads")
HOUR = timedelta(hours=1)
WAIT_HOURS = 1.0
"""Hours after an hour's end until it is compacted: uploads of its last segments arrive meanwhile."""

EXAMPLES = """examples:
  python -m service.lifecycle.compact --models models --predictions predictions --leads leads
  python -m service.lifecycle.compact --models gs://acme-models --predictions gs://acme-predictions \\
      --leads gs://acme-leads --keep-days 365 --metrics projects/acme
"""


def compact(
    predictions: Storage,
    leads: Storage,
    now: datetime,
    wait: timedelta = timedelta(hours=WAIT_HOURS),
    keep_days: int | None = None,
    tell: Progress = lambda _: None,
) -> Compacted:
    """Compact what is due at `now` and delete what is past `keep_days`. Raises StorageError and JobFailed."""
    oldest = _oldest(now, keep_days)
    with hold(predictions, LEASE, tell) as lease:
        run = CompactRun(predictions, leads, lease, tell)
        delete_orphans(run, datetime.now(UTC))
        done = compact_all(run, now - wait, oldest)
        merge_tables(run, now - wait)
        if oldest:
            expire(run, oldest)
    return done


def gauges(
    predictions: Storage, now: datetime, wait: timedelta, done: Compacted, keep_days: int | None = None
) -> list[Gauge]:
    """What the run publishes. Unreadable objects are counted apart, for they wait until somebody looks at them.

    Objects of days past `keep_days` do not wait: they are compacted no more.
    """
    oldest = _oldest(now, keep_days)
    ends = [
        end
        for key, end in waiting_hours(predictions, now - wait).items()
        if key not in done.unreadable and (oldest is None or (end - HOUR).date() >= oldest)
    ]
    return [
        Gauge("leadscoring_compact_waiting_objects", len(ends)),
        Gauge(
            "leadscoring_compact_oldest_waiting_seconds", max(((now - end).total_seconds() for end in ends), default=0)
        ),
        Gauge("leadscoring_compact_records", done.records),
        Gauge("leadscoring_compact_unreadable_objects", len(done.unreadable) + len(done.odd)),
    ]


def _oldest(now: datetime, keep_days: int | None) -> date | None:
    """The first day that is kept; None where all are."""
    return now.date() - timedelta(days=keep_days - 1) if keep_days is not None else None


def main(arguments: Sequence[str] | None = None) -> int:
    """CompactRun the job; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    runner.check_places(parser, options, *STORAGES)
    try:
        models, predictions, leads = (open_storage(getattr(options, name)) for name in STORAGES)
    except ValueError as error:
        parser.error(str(error))
    now, wait = options.now or datetime.now(UTC), timedelta(hours=options.wait_hours)

    def work(tell: Progress) -> Sequence[Gauge]:
        done = compact(predictions, leads, now, wait, options.keep_days, tell)
        print(f"{done.records:,} records of {done.objects:,} raw objects compacted, {done.deleted:,} objects deleted")
        for key, reason in done.unreadable.items():
            print(f"not compacted, for it cannot be read: {predictions.url}/{key}: {reason}")
        for key in done.odd:
            print(f"not read, for its records were compacted with other content: {predictions.url}/{key}")
        return gauges(predictions, now, wait, done, options.keep_days)

    return runner.supervise("compact", options.metrics, models, work)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service.lifecycle.compact",
        description="Turn raw prediction records of finished hours into Parquet tables.",
        epilog=f"{EXAMPLES}\n{runner.EXIT}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    runner.add_places(parser, *STORAGES)
    runner.add_metrics(parser)
    parser.add_argument(
        "--wait-hours",
        type=float,
        default=WAIT_HOURS,
        metavar="HOURS",
        help="compact an hour so long after its end (default: %(default)s)",
    )
    parser.add_argument(
        "--keep-days", type=int, metavar="DAYS", help="days of which compacted records are kept (default: all)"
    )
    runner.add_now(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
