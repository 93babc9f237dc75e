"""Forget leads, for leads are personal data: `python -m service.lifecycle.forget --lead-id ID`.

Every object that holds such a lead is rewritten without it, by compare-and-swap: outcomes, files to be scored,
prediction records, scores, and rows that were set aside, CSV or Parquet or JSON lines, told by their content. What no
command can reach yet, because the buckets keep it, is printed with how long it stays there.
"""

import argparse
import csv
import gzip
import io
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet
from rich.console import Console

from service.lifecycle import job
from service.lifecycle.job import JobFailed, Progress
from service.lifecycle.publish import Gauge
from service.lifecycle.source import ID_COLUMN, Source, SourceError, load_source
from service.lifecycle.table import header_of, sniff
from service.storage import Conflict, Opened, Storage, Writable, open_storage

PLACES = {
    "leads": ("outcomes/", "batch/", "quarantine/"),
    "predictions": ("predictions/", "batch/"),
}
TRIES = 5
"""How often an object that others change meanwhile is read again."""

HEAD = 1 << 20
GZIP = b"\x1f\x8b"

EXAMPLES = """examples:
  python -m service.lifecycle.forget --lead-id L-0000042 --dry-run
  python -m service.lifecycle.forget --lead-id L-0000042 --lead-id L-0000043 --source crm.toml \\
      --leads gs://acme-leads --predictions gs://acme-predictions --noncurrent-days 14 --soft-delete-days 7

exit status: 0 done, 1 an object could not be searched (all others are done; correct it, start again), 2 wrong use
"""


@dataclass(frozen=True)
class Search:
    """The leads to be found, the columns that may name them, and the delimiter of CSV files where it is given."""

    leads: frozenset[str]
    id_columns: tuple[str, ...] = (ID_COLUMN,)
    delimiter: str | None = None

    def may_be_in(self, line: bytes) -> bool:
        """Whether the line has to be looked at more closely. What may be written in several ways always has."""
        plain = all(re.fullmatch(r"[\w.-]+", lead, re.ASCII) for lead in self.leads)
        return not plain or any(lead.encode() in line for lead in self.leads)


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
    removed, failed = [], []
    for name, storage in storages.items():
        for key in (key for prefix in PLACES[name] for key in storage.keys(prefix)):
            tell(f"searching {storage.url}/{key}")
            try:
                found = forget_in(storage, key, search, dry_run)
            except (SourceError, pa.ArrowException, OSError, EOFError, ValueError, Conflict) as error:
                failed.append(f"{storage.url}/{key}: {error}")
                continue
            if found:
                removed.append(found)
    return removed, failed


def forget_in(storage: Storage, key: str, search: Search, dry_run: bool = False) -> Removed | None:
    """Take the leads out of one object; None where it holds none of them. Raises Conflict when it never holds still."""
    for attempt in range(TRIES):
        if (opened := storage.open(key)) is None:
            return None
        with opened.file, tempfile.TemporaryFile() as kept:
            rows, gone = _without(f"{storage.url}/{key}", opened, kept, search)
            if not gone:
                return None
            if not dry_run:
                try:
                    _replace(storage, key, opened.generation, kept if rows else None)
                except Conflict:
                    if attempt == TRIES - 1:
                        raise
                    continue
        return Removed(f"{storage.url}/{key}", gone, not rows)
    return None


def remains(noncurrent: int | None, soft_delete: int | None, bucket: bool) -> list[str]:
    """What is still there, where, and until when; days as `infra/environments.py` states them."""

    def days(given: int | None, option: str) -> str:
        return f"{given} days" if given is not None else f"the environment's {option} (infra/environments.py)"

    kept = [
        f"earlier states of the rewritten objects: as noncurrent versions for {days(noncurrent, 'noncurrent_days')}, "
        f"then soft-deleted for {days(soft_delete, 'soft_delete_days')}; nobody but who may list versions reads them",
        "access logs name objects, never leads; they stay for the environment's access_log_days",
    ]
    return (kept if bucket else ["copies that you or your backups made of these folders"]) + [
        "records that wait in a running service's spool: uploaded within seconds, so run this again in a minute",
        "the file that the lead source names, and every export it is made from: remove the lead in the CRM",
        "models were trained on it, but hold no lead: bundles and MLflow keep figures and invented rows",
    ]


def _replace(storage: Storage, key: str, generation: str, kept: IO[bytes] | None) -> None:
    if kept is None:
        storage.delete(key, generation)
        return
    kept.seek(0)
    with storage.writing(key, generation) as out:
        while part := kept.read(HEAD):
            out.write(part)


def _without(origin: str, opened: Opened, kept: IO[bytes], search: Search) -> tuple[int, int]:
    """Copy the object without the leads, in its own form; return how many rows stay and how many are gone."""
    with ExitStack() as closing:
        plain: Any = closing.enter_context(io.BufferedReader(opened.file, HEAD))
        out: Any = kept
        if plain.peek(2)[:2] == GZIP:
            plain = closing.enter_context(gzip.GzipFile(fileobj=plain))
            out = closing.enter_context(gzip.GzipFile(fileobj=kept, mode="wb", compresslevel=6, mtime=0))
        start = plain.read(4)
        plain.seek(0)
        if start == b"PAR1":
            return _parquet(plain, out, search)
        if start[:1] == b"{":
            return _json_lines(origin, plain, out, search)
        return _csv(origin, plain, out, search)


def _json_lines(origin: str, lines: IO[bytes], out: Writable, search: Search) -> tuple[int, int]:
    rows = gone = 0
    for number, line in enumerate(lines, 1):
        if search.may_be_in(line) and _names(origin, number, line, search):
            gone += 1
        else:
            rows += 1
            out.write(line)
    return rows, gone


def _names(origin: str, number: int, line: bytes, search: Search) -> bool:
    """Whether the line is one of the leads'. A row that was set aside may name its lead in its content alone."""
    try:
        content = json.loads(line)
    except ValueError as error:
        raise SourceError(f"{origin}, line {number}: {error}") from error
    if lead := str(content.get(ID_COLUMN, "")).strip():
        return lead in search.leads
    return any(lead in str(content.get("content", "")) for lead in search.leads)


def _csv(origin: str, data: IO[bytes], out: Writable, search: Search) -> tuple[int, int]:
    """Rows that stay keep their very bytes. A row is found by any cell, for it may not be cut like the header."""
    delimiter = search.delimiter or sniff(origin, data.read(HEAD).decode("utf-8-sig", errors="replace"))
    data.seek(0)
    rows = gone = 0
    records = _records(data, delimiter)
    header = next(records)
    names = header_of(header.decode("utf-8-sig"), delimiter)
    at = [names.index(column) for column in search.id_columns if column in names]
    if not at:
        raise SourceError(
            f"{origin}: has no column {' or '.join(map(repr, search.id_columns))}; name it with --id-column"
        )
    out.write(header)
    for record in records:
        if not search.may_be_in(record):
            rows += bool(record.strip())
            out.write(record)
            continue
        cells = [cell.strip() for cell in next(csv.reader([record.decode(errors="replace")], delimiter=delimiter), [])]
        named = [cells[i] for i in at] if len(cells) == len(names) else cells
        if search.leads.isdisjoint(named):
            rows += bool(cells)
            out.write(record)
        else:
            gone += 1
    return rows, gone


def _records(data: IO[bytes], delimiter: str) -> Iterator[bytes]:
    """CSV records with their line ends: lines, put together where a quoted cell goes on."""
    whole = b""
    for line in data:
        whole += line
        if whole.count(b'"') % 2 == 0 or not _goes_on(whole, delimiter):
            yield whole
            whole = b""
    if whole:
        yield whole


def _goes_on(record: bytes, delimiter: str) -> bool:
    """Whether a quoted cell is still open at the end; a quote within a plain cell opens none."""
    try:
        list(csv.reader(io.StringIO(record.decode(errors="replace"), newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


def _parquet(data: IO[bytes], out: Writable, search: Search) -> tuple[int, int]:
    read = parquet.ParquetFile(data, pre_buffer=False)
    at = [column for column in search.id_columns if column in read.schema_arrow.names]
    if not at:
        raise SourceError(f"has no column {' or '.join(map(repr, search.id_columns))}; name it with --id-column")
    rows = gone = 0
    wanted = pa.array(sorted(search.leads))
    with parquet.ParquetWriter(out, read.schema_arrow, compression="zstd") as writer:
        for part in read.iter_batches():
            there = pa.array([False] * part.num_rows)
            for column in at:
                named = part.column(column)
                if pa.types.is_dictionary(named.type):
                    named = named.cast(named.type.value_type)
                text = pc.utf8_trim_whitespace(named.cast(pa.string()))
                there = pc.or_(there, pc.is_in(text, wanted))
            stay = part.filter(pc.invert(there))
            rows, gone = rows + stay.num_rows, gone + part.num_rows - stay.num_rows
            writer.write_batch(stay)
    return rows, gone


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; return its exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    job.check_places(parser, given, *PLACES)
    leads = frozenset(lead.strip() for lead in given.lead_id)
    if "" in leads:
        parser.error("--lead-id is empty")
    console = Console(stderr=True)
    try:
        source: Source | None = load_source(given.source) if given.source else None
        storages = {name: open_storage(getattr(given, name)) for name in PLACES}
    except (SourceError, ValueError) as error:
        return job.failed(console, error, 2)
    named = (given.id_column, source.id_column if source else None, ID_COLUMN)
    id_columns = tuple(dict.fromkeys(column for column in named if column))
    search = Search(leads, id_columns, source.delimiter if source else None)

    def work(tell: Progress) -> Sequence[Gauge]:
        removed, failed = forget(storages, search, given.dry_run, tell)
        for each in removed:
            verb = "would remove" if given.dry_run else "removed"
            print(f"{each.object}: {verb} {each.rows} rows{', and with them the object' if each.deleted else ''}")
        print(f"{sum(each.rows for each in removed)} rows of {len(leads)} leads in {len(removed)} objects")
        print("What remains, and until when:")
        in_bucket = any(storage.url.startswith("gs://") for storage in storages.values())
        for line in remains(given.noncurrent_days, given.soft_delete_days, in_bucket):
            print(f"  - {line}")
        if failed:
            raise JobFailed(
                "\n".join(["these could not be searched; correct or remove them, then start again:", *failed])
            )
        return ()

    return job.supervise("forget", None, storages["leads"], work)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service.lifecycle.forget",
        description="Remove leads from leads, prediction records, scores and quarantine; print what remains where.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lead-id", action="append", required=True, metavar="ID", help="the lead; may be repeated")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    job.add_places(parser, *PLACES)
    parser.add_argument("--source", type=Path, metavar="FILE.toml", help="lead source that names the id's column")
    parser.add_argument("--id-column", metavar="NAME", help="another column that holds ids (always searched: lead_id)")
    for name in ("noncurrent", "soft-delete"):
        parser.add_argument(
            f"--{name}-days", type=int, metavar="DAYS", help="as the buckets' environment states it, for the answer"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
