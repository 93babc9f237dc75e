"""Forget leads, for leads are personal data: `python -m service.lifecycle.forget --lead-id ID`.

Every object that holds such a lead is rewritten without it, by compare-and-swap: outcomes, files to be scored,
prediction records, scores, rows that were set aside, and records in this machine's spool; CSV, Parquet, JSON lines and
workbooks are told by their content. Trials on the page, whose ids the page makes, are told by their values. An object
that cannot be searched is named, and all others are searched. What no command can reach yet is printed with how long it
stays there. `service.lifecycle.forgetting.places` lists all places.

Ids are compared as text, without blanks around them. A whole number is the same id however it is stored: 1007, 1007.0
and 1007.00, as number or as text. 01007 is another id. Salesforce's ids of 15 and 18 characters are one. Files are read
as training reads them: their encoding, delimiter, and titles above the header are told by their content.

It has no --engine: it rewrites files one at a time, of compacted records only those of the lead's part, and Spark would
rewrite no fewer.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from service.lifecycle.compaction.days import Compacted, CompactRun, delete_compacted
from service.lifecycle.data.source import ID_COLUMN, Source, SourceError, load_source
from service.lifecycle.forgetting import folders
from service.lifecycle.forgetting.places import Target, outside, remains, targets
from service.lifecycle.forgetting.search import Search
from service.lifecycle.forgetting.sweep import Swept, survey, sweep
from service.lifecycle.forgetting.tables import settle
from service.lifecycle.forgetting.trials import Trials
from service.lifecycle.promotion.lease import hold
from service.lifecycle.relations.record_files import LEASE, raw_by_day
from service.lifecycle.runtime import runner
from service.lifecycle.runtime.gauges import Gauge
from service.lifecycle.runtime.runner import JobFailed, Progress
from service.storage import Folder, Storage, open_storage

STORAGES = ("leads", "predictions")
NAMED = 5
"""Objects outside of the known places that are named at most."""

EXAMPLES = """examples:
  python -m service.lifecycle.forget --lead-id L-0000042 --platform .platform/sample --dry-run
  python -m service.lifecycle.forget --ids-from ids.txt --platform .platform/crm --source crm.toml --also scores.csv
  python -m service.lifecycle.forget --lead-id L-0000042 --lead-id L-0000043 --source crm.toml \\
      --leads gs://acme-leads --predictions gs://acme-predictions --noncurrent-days 14 --soft-delete-days 7
  python -m service.lifecycle.forget --page-trials-older-than 30 --platform .platform/sample

1007 also finds 1007.0 and 1007.00, in text and in columns of numbers; 01007 is another lead.
A trial on the page is found where all its fields hold the lead's values; --source helps to know these.

exit status: 0 done, 1 an object or a folder could not be searched (all others are done; correct it, start again), 2
wrong use, 130 stopped by Ctrl-C (no object is half-written; start again)
"""


@dataclass(frozen=True)
class Task:
    """What to forget, and where. `own` are the files that the lead source names: they are searched, never changed."""

    search: Search
    storages: dict[str, Storage]
    spool: Path | None = None
    also: list[Target] = field(default_factory=list)
    own: tuple[Target, ...] = ()
    outcome_ids: tuple[str, ...] = ()
    dry_run: bool = False


def forget(task: Task, tell: Progress = lambda _: None) -> tuple[list[Swept], list[Swept]]:
    """Search and rewrite everything; return what became of each place, and what the source's own files hold."""
    own = []
    for target in task.own:
        (key,) = target.named
        found = Swept(f"{target.storage.url}/{key}", target.holds)
        own.append(found)
        tell(f"searching {found.url}")
        try:
            found.objects = survey(target.storage, key, target.search(task.search)).gone
        except Exception as error:  # whatever is wrong with it, the others are searched
            found.fail(found.url, error)
    spools = []
    if task.spool:
        folders.wait_for_uploads(task.spool, tell)
        spools = folders.left_instances(task.spool)  # before the predictions, where its records may go meanwhile
    places = [*spools, *targets(task.storages, task.outcome_ids), *task.also]
    swept = sweep(places, task.search, True, tell) if task.dry_run else _rewrite(task, places, tell)
    if task.spool:
        swept.append(folders.search_live(task.spool, task.search))
    roots = [Path(storage.url) for storage in task.storages.values() if isinstance(storage, Folder)]
    roots += [Path(each.storage.url) for each in task.also if isinstance(each.storage, Folder) and not each.prefix]
    if roots := [root for root in dict.fromkeys([*roots, *([task.spool] if task.spool else [])]) if root.is_dir()]:
        swept.append(folders.sweep_drafts(roots, task.dry_run))
    return swept, own


def _rewrite(task: Task, places: Sequence[Target], tell: Progress) -> list[Swept]:
    """Sweep while no compaction runs: it would write again what it had read before. Raises JobFailed, StorageError."""
    predictions = task.storages["predictions"]
    with hold(predictions, LEASE, tell) as lease:
        run = CompactRun(predictions, task.storages["leads"], lease, tell)
        for day, keys in raw_by_day(predictions).items():
            delete_compacted(run, day, keys, Compacted())  # no second copy of what the tables hold
        swept = sweep(places, task.search, False, tell, lease.check)
        settle(predictions, task.search, [removed.object for place in swept for removed in place.removed])
    return swept


def print_report(swept: Sequence[Swept], dry_run: bool) -> None:
    """What was searched, and what was removed from it."""
    verb = "would remove" if dry_run else "removed"
    for place in swept:
        rows, trials = (sum(getattr(each, name) for each in place.removed) for name in ("rows", "trials"))
        print(f"{place.url} ({place.holds}): {place.objects:,} objects searched, {verb} {rows:,} rows")
        for each in place.removed:
            page = f", of them {each.trials} trials on the page" if each.trials else ""
            emptied = f"{', and with them' if each.rows else ''} the whole object" if each.deleted else ""
            print(f"  {each.object}: {verb}{f' {each.rows} rows' if each.rows else ''}{page}{emptied}")
        for failure in place.failed:
            print(f"  not searched: {failure}")
    removed = [each for place in swept for each in place.removed]
    rows, trials = sum(each.rows for each in removed), sum(each.trials for each in removed)
    print(f"In all {verb} {rows:,} rows, {trials:,} of them trials on the page, in {len(removed):,} objects")
    if not removed:
        print("No row of these leads was found. If there should be some, compare the ids with those of the CRM")


def print_remainder(task: Task, own: Sequence[Swept], options: argparse.Namespace) -> list[str]:
    """What is still there and until when; return what could not be listed."""
    failed, lines = [], []
    in_bucket = any(storage.url.startswith("gs://") for storage in task.storages.values())
    for file in own:
        what = f"holds {file.objects:,} rows of these leads; remove them in the CRM, and export it again"
        if not file.failed:
            lines.append(f"{file.holds}, {file.url}: " + (what if file.objects else "holds none of these leads"))
    if not task.spool and not in_bucket:
        lines.append("the spool of a service on this machine: name it with --spool")
    if not own:
        lines.append("the file that a lead source names, and every export it is made from: remove the lead in the CRM")
    lines += remains(options.noncurrent_days, options.soft_delete_days, in_bucket)
    if task.search.trials and (unknown := task.search.trials.without_values(sorted(task.search.ids))):
        lines.append(
            f"trials on the page of {len(unknown):,} of the leads: none of their values was found anywhere, so none "
            "can be told to be theirs"
        )
    try:
        if others := outside(task.storages):
            more = f" and {len(others) - NAMED:,} more" if len(others) > NAMED else ""
            lines.append(
                f"objects that the platform did not write, not searched: {', '.join(others[:NAMED])}{more}; search "
                "them with --also"
            )
    except Exception as error:  # a place that cannot be listed is named as such already
        failed.append(f"other objects: {error}")
    print("What remains, and until when:")
    for line in lines:
        print(f"  - {line}")
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """CompactRun the job; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.platform:  # before the environment's places, behind those that are named
        parser.set_defaults(**{name: str(options.platform / name) for name in (*STORAGES, "spool")})
        options = parser.parse_args(arguments)
    runner.check_places(parser, options, *STORAGES)
    console = Console(stderr=True)
    try:
        task = _task(options)
    except (SourceError, ValueError, OSError) as error:
        return runner.failed(console, error, 2)

    def work(tell: Progress) -> Sequence[Gauge]:
        swept, own = forget(task, tell)
        print_report(swept, task.dry_run)
        failed = [failure for place in [*swept, *own] for failure in place.failed]
        failed += print_remainder(task, own, options)
        if failed:
            first = (
                "these could not be searched, so leads may be left in them; correct or remove them, then start again:"
            )
            raise JobFailed("\n".join([first, *failed]))
        return ()

    try:
        return runner.supervise("forget", None, task.storages["leads"], work)
    except SystemExit:  # Ctrl-C or SIGTERM, as the runner handles them
        console.print("Stopped. No object is half-written; start again to search the rest.", soft_wrap=True)
        raise


def _task(options: argparse.Namespace) -> Task:
    """Raises SourceError, ValueError and OSError on wrong use."""
    leads = {lead.strip() for lead in options.lead_id}
    if "" in leads:
        raise ValueError("--lead-id is empty")
    if options.ids_from:
        leads |= {line.strip() for line in options.ids_from.read_text(encoding="utf-8-sig").splitlines()} - {""}
    if not leads and options.page_trials_older_than is None:
        raise ValueError("which leads? give --lead-id, or --ids-from a file with one id a line")
    source: Source | None = load_source(options.source) if options.source else None

    def id_columns(of_source: str | None) -> tuple[str, ...]:
        return tuple(dict.fromkeys(column for column in (options.id_column, of_source, ID_COLUMN) if column))

    outcome_ids = id_columns(source.outcome_id if source else None)
    if source and source.contact_id not in outcome_ids:
        outcome_ids += (source.contact_id,)
    days, absent = options.page_trials_older_than, list[str]()
    if source:
        absent = [str(mark) for marks in (source.missing, *source.missing_in.values()) for mark in marks]
    trials = Trials(None if days is None else datetime.now(UTC) - timedelta(days=days), absent)
    stated = (source.delimiter, source.encoding) if source else (None, None)
    return Task(
        Search(frozenset(leads), id_columns(source.id_column if source else None), *stated, trials),
        {name: open_storage(getattr(options, name)) for name in STORAGES},
        Path(options.spool) if options.spool else None,
        [target for place in options.also for target in _also(place)],
        tuple(_own_files(source, outcome_ids)) if source else (),
        outcome_ids,
        options.dry_run,
    )


def _own_files(source: Source, outcome_ids: tuple[str, ...]) -> Iterator[Target]:
    """The files that the lead source names. Raises SourceError and ValueError."""
    if source.path:
        storage, name = _split(source.location)
        yield Target(storage, name, "the lead source's own file", (name,))
    if source.outcomes:
        storage, name = _split(source.outcomes_location)
        yield Target(storage, name, "the lead source's own file of outcomes", (name,), outcome_ids)


def _also(place: str) -> list[Target]:
    """A folder, or a file with the rows that scripts/score has set aside beside it. Raises ValueError."""
    if place.startswith("gs://") or Path(place).is_dir():
        return [Target(open_storage(place), "", "named by --also")]
    if not Path(place).is_file():
        raise ValueError(f"--also {place}: there is no such file or folder")
    storage, name = _split(place)
    aside = f"{name}.quarantine.jsonl.gz"
    named = (name, *([aside] if Path(f"{place}.quarantine.jsonl.gz").is_file() else []))
    return [Target(storage, name, "named by --also, and what was set aside beside it", named)]


def _split(location: str) -> tuple[Storage, str]:
    """The storage and the key of a file."""
    if location.startswith("gs://"):
        folder, _, name = location.rpartition("/")
        return open_storage(folder), name
    return Folder(Path(location).absolute().parent), Path(location).name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service.lifecycle.forget",
        description="Remove leads from every place that holds rows of leads; print what remains where.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lead-id", action="append", default=[], metavar="ID", help="the lead; may be repeated")
    parser.add_argument("--ids-from", type=Path, metavar="FILE", help="more leads: a text file with one id a line")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    runner.add_places(parser, *STORAGES)
    parser.add_argument(
        "--platform",
        type=Path,
        metavar="FOLDER",
        help="what scripts/up keeps of a source: leads, predictions and spool",
    )
    variable = "LEADSCORING_SPOOL_DIR"
    parser.add_argument(
        "--spool",
        metavar="FOLDER",
        default=os.environ.get(variable),
        help=f"this machine's spool of the service (default: ${variable})",
    )
    parser.add_argument(
        "--also", action="append", default=[], metavar="PATH", help="another file or folder to search, such as scores"
    )
    parser.add_argument(
        "--source", type=Path, metavar="FILE.toml", help="lead source: names the id's column, and its file is searched"
    )
    parser.add_argument("--id-column", metavar="NAME", help="another column that holds ids (always searched: lead_id)")
    parser.add_argument(
        "--page-trials-older-than", type=float, metavar="DAYS", help="also remove all trials on the page; 0: every one"
    )
    for name in ("noncurrent", "soft-delete"):
        parser.add_argument(
            f"--{name}-days", type=int, metavar="DAYS", help="as the buckets' environment states it, for the answer"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
