"""Forget leads, for leads are personal data: `python -m service.lifecycle.forget --lead-id ID`.

Every object that holds such a lead is rewritten without it, by compare-and-swap: outcomes, files to be scored,
prediction records, scores, and rows that were set aside, CSV or Parquet or JSON lines, told by their content. An object
that cannot be read is named, and all others are searched. What no command can reach yet, because the buckets keep it,
is printed with how long it stays there.

Ids are compared as text, without blanks around them. A whole number is the same id however it is stored: 1007, 1007.0
and 1007.00, as number or as text. 01007 is another id. Salesforce's ids of 15 and 18 characters are one. Files are read
as training reads them: their encoding, delimiter, and titles above the header are told by their content.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rich.console import Console

from service.lifecycle.data.erasure import READ, Search, without
from service.lifecycle.data.source import ID_COLUMN, Source, SourceError, load_source
from service.lifecycle.runtime import runner
from service.lifecycle.runtime.gauges import Gauge
from service.lifecycle.runtime.runner import JobFailed, Progress
from service.storage import Conflict, Storage, open_storage

PLACES = {
    "leads": ("outcomes/", "batch/", "quarantine/"),
    "predictions": ("predictions/", "batch/"),
}
TRIES = 5
"""How often an object that others change meanwhile is read again."""


EXAMPLES = """examples:
  python -m service.lifecycle.forget --lead-id L-0000042 --dry-run
  python -m service.lifecycle.forget --lead-id L-0000042 --lead-id L-0000043 --source crm.toml \\
      --leads gs://acme-leads --predictions gs://acme-predictions --noncurrent-days 14 --soft-delete-days 7

1007 also finds 1007.0 and 1007.00, in text and in columns of numbers; 01007 is another lead.

exit status: 0 done, 1 an object or a folder could not be searched (all others are done; correct it, start again), 2
wrong use
"""


@dataclass(frozen=True)
class Removed:
    """One object, and the rows that were taken out of it (dry run: would be). `deleted`: no other row was in it."""

    object: str
    rows: int
    deleted: bool


def forget(
    storages: dict[str, Storage], search: Search, dry_run: bool = False, tell: Progress = lambda _: None
) -> tuple[list[Removed], list[str]]:
    """Take the leads out of every object of PLACES; return what was removed, and why some could not be searched."""
    removed: list[Removed] = []
    failed: list[str] = []

    def fail(where: str, error: Exception) -> None:
        failed.append(f"{where}: {str(error).removeprefix(f'{where}: ') or type(error).__name__}")

    for storage, prefix in ((storage, prefix) for name, storage in storages.items() for prefix in PLACES[name]):
        try:
            keys = list(storage.keys(prefix))
        except Exception as error:  # whatever is wrong with one place, the others are searched
            fail(f"{storage.url}/{prefix}", error)
            continue
        for key in keys:
            tell(f"searching {storage.url}/{key}")
            try:
                removal = forget_in(storage, key, search, dry_run)
            except Exception as error:  # likewise: the libraries raise many kinds for broken files
                fail(f"{storage.url}/{key}", error)
                continue
            if removal:
                removed.append(removal)
    return removed, failed


def forget_in(storage: Storage, key: str, search: Search, dry_run: bool = False) -> Removed | None:
    """Take the leads out of one object; None where it holds none of them. Raises Conflict when it never holds still."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(Conflict):
            return _forget_once(storage, key, search, dry_run)
    return _forget_once(storage, key, search, dry_run)


def _forget_once(storage: Storage, key: str, search: Search, dry_run: bool) -> Removed | None:
    """Raises Conflict when the object was changed meanwhile."""
    if (opened := storage.open(key)) is None:
        return None
    with opened.file, tempfile.TemporaryFile() as kept:
        rows, gone = without(f"{storage.url}/{key}", opened, kept, search)
        if gone and not dry_run:
            _replace(storage, key, opened.generation, kept if rows else None)
    return Removed(f"{storage.url}/{key}", gone, not rows) if gone else None


def remains(noncurrent: int | None, soft_delete: int | None, bucket: bool) -> list[str]:
    """What is still there, where, and until when; days as `infra/environments.py` states them."""

    def days(given: int | None, option: str) -> str:
        return f"{given} days" if given is not None else f"the environment's {option} (infra/environments.py)"

    kept = [
        f"earlier states of the rewritten objects: as noncurrent versions for {days(noncurrent, 'noncurrent_days')}, "
        f"then soft-deleted for {days(soft_delete, 'soft_delete_days')}; nobody but who may list versions reads them",
        "access logs name objects, never leads; they stay for the environment's access_log_days",
    ]
    copies = [
        "copies that you or your backups made of these folders",
        "drafts of writes that were killed: find FOLDER -name '.draft-*' -mmin +60 -delete",
    ]
    return (kept if bucket else copies) + [
        "records that wait in a running service's spool: uploaded within seconds, so run this again in a minute",
        "leads scored on the service's page: their records have an id that the page made, page-...; forget that id too",
        "the file that the lead source names, and every export it is made from: remove the lead in the CRM",
        "models were trained on it, but hold no lead: bundles and MLflow keep figures and invented rows",
    ]


def _replace(storage: Storage, key: str, generation: str, kept: IO[bytes] | None) -> None:
    if kept is None:
        storage.delete(key, generation)
        return
    kept.seek(0)
    with storage.writing(key, generation) as out:
        while part := kept.read(READ):
            out.write(part)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    runner.check_places(parser, options, *PLACES)
    leads = frozenset(lead.strip() for lead in options.lead_id)
    if "" in leads:
        parser.error("--lead-id is empty")
    console = Console(stderr=True)
    try:
        source: Source | None = load_source(options.source) if options.source else None
        storages = {name: open_storage(getattr(options, name)) for name in PLACES}
    except (SourceError, ValueError) as error:
        return runner.failed(console, error, 2)
    named = (options.id_column, source.id_column if source else None, ID_COLUMN)
    id_columns = tuple(dict.fromkeys(column for column in named if column))
    stated = (source.delimiter, source.encoding) if source else ()
    search = Search(leads, id_columns, *stated)

    def work(tell: Progress) -> Sequence[Gauge]:
        removed, failed = forget(storages, search, options.dry_run, tell)
        for removal in removed:
            verb = "would remove" if options.dry_run else "removed"
            emptied = ", and with them the object" if removal.deleted else ""
            print(f"{removal.object}: {verb} {removal.rows} rows{emptied}")
        print(f"{sum(removal.rows for removal in removed)} rows of {len(leads)} leads in {len(removed)} objects")
        print("What remains, and until when:")
        in_bucket = any(storage.url.startswith("gs://") for storage in storages.values())
        for line in remains(options.noncurrent_days, options.soft_delete_days, in_bucket):
            print(f"  - {line}")
        if failed:
            raise JobFailed(
                "\n".join(
                    [
                        "these could not be searched, so leads may be left in them; correct or remove them, then start "
                        "again:",
                        *failed,
                    ]
                )
            )
        return ()

    return runner.supervise("forget", None, storages["leads"], work)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service.lifecycle.forget",
        description="Remove leads from leads, prediction records, scores and quarantine; print what remains where.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lead-id", action="append", required=True, metavar="ID", help="the lead; may be repeated")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    runner.add_places(parser, *PLACES)
    parser.add_argument("--source", type=Path, metavar="FILE.toml", help="lead source that names the id's column")
    parser.add_argument("--id-column", metavar="NAME", help="another column that holds ids (always searched: lead_id)")
    for name in ("noncurrent", "soft-delete"):
        parser.add_argument(
            f"--{name}-days", type=int, metavar="DAYS", help="as the buckets' environment states it, for the answer"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
