"""Score files of leads: `python -m service.lifecycle.batch`.

Each file below --input gives one object below --out, named after the file, the model's version and the file's state:
`campaign/may.csv` gives `campaign/may.csv.<version>.<state>.csv`. It appears whole or not at all, and what is there is
skipped, so that a job may be killed anywhere and started again. Rows that cannot be scored are in
`quarantine/campaign/may.csv.<version>.<state>.jsonl.gz`, which is complete before the scores appear. What is printed
names rows and columns and quotes no cell: in the cloud it is logged, and logs forget no lead.

The prediction records of the leads go below --records, and are complete before the scores appear
(`service.lifecycle.scoring.batch_records`).

A large file is divided (`service.lifecycle.data.file_parts`), and each of its parts gives an object of its own,
`campaign/may.csv.<version>.<state>.part-03-of-40.csv`: the file is scored when all are there. Its columns are judged
by the whole file.

As tasks of a Cloud Run job, each takes its share of the files and parts: the container contract sets
CLOUD_RUN_TASK_INDEX and CLOUD_RUN_TASK_COUNT, https://cloud.google.com/run/docs/container-contract#jobs-env-vars
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from service.lifecycle.data.file_parts import FilePart
from service.lifecycle.data.form import form_of
from service.lifecycle.data.lead_file import LeadFile
from service.lifecycle.data.source import Source, SourceError, load_source
from service.lifecycle.runtime import runner
from service.lifecycle.runtime.gauges import Gauge
from service.lifecycle.runtime.runner import JobFailed, Progress
from service.lifecycle.scoring.batch_records import recording, rule_of_file
from service.lifecycle.scoring.batch_scoring import (
    Counts,
    FileJob,
    count_file,
    open_leads,
    quarantine_to,
    score_file,
)
from service.lifecycle.scoring.for_people import SHOWN, Wish
from service.lifecycle.scoring.scores_file import Format
from service.lifecycle.scoring.split import WHOLE, Judge, division, may_be_divided
from service.model import bundle
from service.model.bundle import Bundle
from service.model.contact_rule import ContactRule
from service.model.stored_rule import read_rule
from service.read_ahead import Window
from service.storage import Conflict, Opened, Storage, Writable, open_storage

QUARANTINE = "quarantine/"
NO_RECORDS = "none"
NOT_RECORDED = (
    "no prediction records are written, so that evaluate, drift and retrain will not know of these leads: name their "
    f"place with --records, or say --records {NO_RECORDS}"
)
STATE = 16
"""Characters of a file's generation (in a folder: of its digest) that its output's name carries."""

EXAMPLES = """examples:
  python -m service.lifecycle.batch --models models --input leads/batch --out predictions/batch --records predictions
  python -m service.lifecycle.batch --source crm.toml --models gs://acme-models --input gs://acme-leads/batch \\
      --out gs://acme-predictions/batch --records gs://acme-predictions
  python -m service.lifecycle.batch ... --records none                        a trial: nobody acts on these scores
  python -m service.lifecycle.batch ... --id-column customer --format csv --threads 4
  python -m service.lifecycle.batch ... --for-people --show name,company      as scripts/score; many times as slow

The rows: lead_id, score, decision, band, model_version, in the order of the file, for programs: a spreadsheet would run
ids that are formulas. Where the team cannot contact all leads, or leads are explored, "contact" are the best of the
file that fit, and the explored ones; in a file that is divided, those from the line on. scripts/score scores a single
file, for people.

exit status: 0 done, 1 a file or the whole job was refused, 2 wrong use or an unusable lead source
"""


@dataclass(frozen=True)
class BatchJob:
    """What a task works on: the model, how files are written, and its share of them."""

    job: FileJob
    leads: Storage
    out: Storage
    as_format: Format | None = None
    records: Storage | None = None
    task: int = 0
    tasks: int = 1
    tell: Progress = lambda _: None
    say: Callable[[str], None] = print

    def mine(self, key: str, part: int = 0) -> bool:
        """Whether this task scores the file, or this part of it. By a digest of the name: a file that comes while tasks
        start moves no other. The parts of a file go to the tasks in turn."""
        return (int(hashlib.sha256(key.encode()).hexdigest(), 16) + part) % self.tasks == self.task


class Piece(NamedTuple):
    """What is scored into one object, called `name`: a file, which is open, or a part of it."""

    key: str
    name: str
    opened: Opened
    part: FilePart | None = None
    place: str = ""
    judged: Callable[[Counts], Counts] = lambda counts: counts


def run(batch: BatchJob) -> Counts:
    """Score the task's files and parts that have not been scored; return the sums.

    Raises JobFailed naming the refused files.
    """
    total, refused, skipped = Counts(), [], 0
    done = frozenset(batch.out.keys(""))
    for piece in pieces(batch, done):
        batch.tell(f"scoring {batch.leads.url}/{piece.key}{piece.place}")
        try:
            counts = score_piece(batch, piece, done)
        except SourceError as error:
            refused.append(str(error))
            continue
        if counts is None:
            skipped += 1
            continue
        total.scored, total.contacts = total.scored + counts.scored, total.contacts + counts.contacts
        total.set_aside += counts.set_aside
    batch.say(
        f"{total.scored:,} leads scored by {batch.job.bundle.version}, {total.contacts:,} to contact; "
        f"{total.set_aside:,} rows set aside, {len(refused)} files refused, {skipped} scored before"
    )
    if refused:
        raise JobFailed("\n".join(["not scored; correct or remove these files, the others are done:", *refused]))
    return total


def score_object(batch: BatchJob, key: str, done: Collection[str] = ()) -> Counts | None:
    """Score one file as a whole; None where that is among what is `done`, or it is gone. Raises SourceError."""
    for whole in _whole(batch, key):
        return score_piece(batch, whole, done)
    return None


def score_piece(batch: BatchJob, piece: Piece, done: Collection[str] = ()) -> Counts | None:
    """Score a file or a part; None where that is among what is `done`. Raises SourceError where it cannot be scored."""
    origin = f"{batch.leads.url}/{piece.key}"
    if _is_done(piece.name, done):
        return None
    try:
        counts, job = _score(batch, piece, origin)
    except Conflict:
        return None  # another start of this task was faster, and wrote the same
    chosen = "the best that fit" if job.by_rank(piece.part) else "those from the line on, for the file is divided"
    how = f"; to contact are {chosen}" if job.limited else ""
    batch.say(f"{origin}{piece.place}: {described(counts)}{how}")
    for line in counts.columns.lines():
        batch.say(f"  {line}")
    for each in counts.examples:
        batch.say(f"  set aside: {each.place}")
    return counts


def described(counts: Counts) -> str:
    """The counts in words."""
    blank = f", {counts.blank:,} blank rows left out" if counts.blank else ""
    return f"{counts.scored:,} scored, {counts.contacts:,} to contact, {counts.set_aside:,} set aside{blank}"


def pieces(batch: BatchJob, done: Collection[str]) -> Iterator[Piece]:
    """What this task scores: all tasks look at a large file, for it may have parts."""
    for key, size in batch.leads.sizes(""):
        large = may_be_divided(size, batch.job)
        if key.endswith("/") or not (large or batch.mine(key)):
            continue
        for whole in _whole(batch, key):
            yield from _pieces_of(batch, whole, done, large)


def _whole(batch: BatchJob, key: str) -> Iterator[Piece]:
    """The file, open as long as it is worked on; nothing where it was deleted."""
    if (opened := batch.leads.open(key)) is not None:
        with opened.file:
            yield Piece(key, name_of(key, batch.job.bundle, opened), opened)


def name_of(key: str, served: Bundle, opened: Opened) -> str:
    """What the scores of a file in this state are called."""
    return f"{key}.{served.version}.{opened.generation[:STATE]}"


def _pieces_of(batch: BatchJob, whole: Piece, done: Collection[str], large: bool) -> Iterator[Piece]:
    parts = WHOLE
    if large and not _is_done(whole.name, done):
        parts = division(batch.out, whole.name, lambda: _opened(batch, whole)[0])
    if not parts and batch.mine(whole.key):
        yield whole
    judge = Judge(batch.job, lambda: _counted(batch, whole))
    for number, part in enumerate(parts, 1):
        if batch.mine(whole.key, number):
            of = len(parts)
            name = f"{whole.name}.part-{number:0{len(str(of))}}-of-{of}"
            yield whole._replace(name=name, part=part, place=f", part {number} of {of}", judged=judge)


def _is_done(name: str, done: Collection[str]) -> bool:
    return f"{name}.parquet" in done or f"{name}.csv" in done


def _counted(batch: BatchJob, whole: Piece) -> Counts:
    leads, _ = _opened(batch, whole)
    with leads:
        return count_file(leads, batch.job)


def _opened(batch: BatchJob, piece: Piece) -> tuple[LeadFile, list[str]]:
    """The piece's leads, and what is to be said of its columns. Raises SourceError."""
    file = piece.opened._replace(file=Window(piece.opened.file, 0, piece.opened.size))
    return open_leads(f"{batch.leads.url}/{piece.key}", file, batch.job, piece.part)


def _score(batch: BatchJob, piece: Piece, origin: str) -> tuple[Counts, FileJob]:
    """Score the piece; the job is ruled as its records are. Raises SourceError, and writes no scores, where no row can
    be scored or a column is unlike."""
    leads, notes = _opened(batch, piece)
    job = batch.job
    file = name_of(piece.key, job.bundle, piece.opened)
    job = job.ruled_by(rule_of_file(batch.records, file, job.form.id_column, job.decider.rule))
    with leads:
        for note in notes:
            batch.say(note)
        as_format = batch.as_format or ("parquet" if leads.is_parquet else "csv")
        with batch.out.writing(f"{piece.name}.{as_format}", None) as out:
            # The records and the quarantine are complete when the scores appear: they are the inner ones.
            with (
                recording(batch.records, piece.name, job.bundle, job.form.id_column, job.decider.rule) as record,
                quarantine_to(lambda: replacing(batch.out, f"{QUARANTINE}{piece.name}.jsonl.gz")) as put,
            ):
                counts = score_file(leads, job, out, put, as_format, judged=piece.judged, record=record)
            if counts.set_aside and not counts.scored and not piece.judged(counts).scored:
                first = counts.examples[0].place
                raise SourceError(f"{origin}: no row could be scored; the first: {first}. scripts/score says why")
    return counts, job


def replacing(storage: Storage, key: str) -> AbstractContextManager[Writable]:
    """Write the object, whatever a killed run has left there."""
    return storage.writing(key, generation_of(storage, key))


def generation_of(storage: Storage, key: str) -> str | None:
    """The object's generation, None where there is none."""
    opened = storage.open(key)
    if opened is None:
        return None
    opened.file.close()
    return opened.generation


def load_bundle(models: Storage) -> Bundle:
    """The served bundle. Raises JobFailed where there is none, and BundleRefused."""
    pointed = bundle.read_pointer(models)
    if pointed is None:
        raise JobFailed(f"{models.url}: no model is served from there; train one, or correct --models")
    return bundle.load(models, pointed[0])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    runner.check_places(parser, options, "models", "input", "out")
    if f"{options.out}/".startswith(f"{options.input.rstrip('/')}/"):
        parser.error("--out lies in --input: the next run would take the scores for leads")
    if options.show and not options.for_people:
        parser.error("--show needs --for-people")
    if options.records and f"{options.records}/".startswith(f"{options.input.rstrip('/')}/"):
        parser.error("--records lies in --input: the next run would take the records for leads")
    try:
        source = load_source(options.source) if options.source else None
        models, leads, out = (open_storage(url) for url in (options.models, options.input, options.out))
        recorded = records_storage(options.records)
        task, tasks = _share(os.environ)
    except (SourceError, ValueError) as error:
        return runner.failed(Console(stderr=True), error, 2)

    def work(tell: Progress) -> Sequence[Gauge]:
        served = load_bundle(models)
        wish = Wish(options.show) if options.for_people else None
        job = file_job(served, source, options, wish, read_rule(models, served.version).rule)
        if recorded is None and options.records is None:
            print(NOT_RECORDED)
        run(BatchJob(job, leads, out, options.format, recorded, task, tasks, tell))
        return ()

    return runner.supervise("batch", options.metrics, models, work, always=task == 0)


def _share(environment: "os._Environ[str]") -> tuple[int, int]:
    index, count = environment.get("CLOUD_RUN_TASK_INDEX", "0"), environment.get("CLOUD_RUN_TASK_COUNT", "1")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise ValueError(f"CLOUD_RUN_TASK_INDEX {index!r} is no task of CLOUD_RUN_TASK_COUNT {count!r}")
    return int(index), int(count)


def threads(text: str) -> int:
    """An option's number of threads."""
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("give a number from 1 to 64")
    return int(text)


def records_storage(url: str | None) -> Storage | None:
    """Where the option says that records are written; None where none are. Raises ValueError."""
    return None if url in (None, "", NO_RECORDS) else open_storage(url)


def columns(text: str) -> tuple[str, ...]:
    """An option's columns to show."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not 1 <= len(names) <= SHOWN or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"give one to {SHOWN} different columns, with commas between them")
    return names


def add_form(parser: argparse.ArgumentParser) -> None:
    """Options that say how files are read and with what, and what their scores stand beside."""
    parser.add_argument("--source", type=Path, metavar="FILE.toml", help="lead source that says how files are written")
    parser.add_argument("--id-column", metavar="NAME", help="column with the lead's id (default: that of the training)")
    parser.add_argument(
        "--show",
        type=columns,
        default=(),
        metavar="NAMES",
        help=f"up to {SHOWN} columns of the file to keep: name,phone",
    )
    parser.add_argument(
        "--accept-unlike",
        action="append",
        default=[],
        metavar="COLUMN",
        help="score though this column holds nothing that training saw (may be repeated)",
    )
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=threads, default=cores, help="threads that score (default: %(default)s, all)")


def file_job(
    served: Bundle, source: Source | None, options: argparse.Namespace, wish: Wish | None, rule: ContactRule | None
) -> FileJob:
    """How these options want files to be scored, under this rule, else the bundle's own."""
    form = form_of(source, options.id_column, served.manifest.id_column)
    return FileJob(served, form, options.threads, wish, frozenset(options.accept_unlike), rule=rule)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service.lifecycle.batch",
        description="Score CSV and Parquet files of leads, gzip or not, told by their content.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    runner.add_places(parser, "models")
    for name, variable, what in (("input", "LEADS", "the files of leads"), ("out", "PREDICTIONS", "the scores")):
        url = os.environ.get(f"LEADSCORING_{variable}_URL")
        parser.add_argument(
            f"--{name}",
            metavar="URL",
            default=url and f"{url}/batch",
            help=f"folder or gs://bucket/prefix of {what} (default: $LEADSCORING_{variable}_URL/batch)",
        )
    parser.add_argument(
        "--records",
        metavar="URL",
        default=os.environ.get("LEADSCORING_PREDICTIONS_URL"),
        help="folder or gs://bucket/prefix of the prediction records, to which the scored leads are added, so that "
        f"they are evaluated, watched for drift and trained on; {NO_RECORDS}: they are not, as for a trial (default: "
        "$LEADSCORING_PREDICTIONS_URL)",
    )
    parser.add_argument(
        "--for-people", action="store_true", help="the columns of scripts/score, with reasons in words; much slower"
    )
    parser.add_argument("--format", choices=("csv", "parquet"), help="of the scores (default: as the leads are)")
    add_form(parser)
    runner.add_metrics(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
