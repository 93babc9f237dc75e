"""Score one file of leads, with a progress bar: what people type as `scripts/score`. The work is batch's own."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from service.lifecycle import batch
from service.lifecycle.data.lead_file import LeadFile
from service.lifecycle.data.source import SourceError, load_source
from service.lifecycle.runtime.runner import PLATFORM, JobFailed, add_places, end_on_signals, failed
from service.lifecycle.scoring.batch_records import recording, rule_of_file
from service.lifecycle.scoring.batch_scoring import Counts, FileJob, open_leads, quarantine_to, score_file
from service.lifecycle.scoring.for_people import Wish
from service.lifecycle.scoring.scores_file import Format
from service.model.bundle import BundleRefused
from service.model.stored_rule import read_rule
from service.storage import Folder, Storage, StorageError, open_storage

FORMATS: dict[str, Format] = {".csv": "csv", ".parquet": "parquet"}

EXAMPLES = """examples:
  scripts/score leads.csv --out scores.csv                      with the model that scripts/up made
  scripts/score leads.parquet --out scores.csv --models gs://acme-leads-prod-models
  scripts/score export.csv.gz --out scores.parquet --source crm.toml --id-column customer
  scripts/score leads.csv --out scores.csv --show name,company,phone   with three of its columns beside the scores
  scripts/score leads.csv --out scores.csv --no-reasons                many times as fast
  scripts/score leads.csv --out scores.csv --accept-unlike industry    though its values are all new
  scripts/score leads.csv --out scores.csv --records .platform/crm/predictions     no trial: evaluate these scores

FILE is CSV, Excel or Parquet, gzip or not, told by its content; --out is what its suffix says. The rows are in the
order of FILE: lead_id, score, band, expected_value, decision, the columns to show, reason_1 to reason_3, left_out,
model_version. "contact" are the best leads that pay, as many as the team can make. Where leads are explored, `policy`
says why a lead is contacted: for its rank (line), or to learn how leads below convert (explore). A row that cannot be
scored says why in left_out; it is in <out>.quarantine.jsonl.gz too. A CSV file is written with the delimiter and
decimal mark of FILE.

exit status: 0 done, 1 the file or the model was refused, 2 wrong use or an unusable lead source
"""


def score(file: Path, out: Path, job: FileJob, console: Console, records: Storage | None = None) -> Counts:
    """Score the file into `out`, which is replaced when all is done. Raises SourceError and StorageError.

    The leads' prediction records go to `records`, once for each state of the file.
    """
    origin, leads_folder, folder = str(file), Folder(file.absolute().parent), Folder(out.absolute().parent)
    opened = leads_folder.open(file.name)
    if opened is None:
        raise SourceError(f"{file}: there is no such file")
    aside = f"{out.name}.quarantine.jsonl.gz"
    leads, notes = open_leads(origin, opened, job)
    with leads:
        for note in notes:
            console.print(note, markup=False, highlight=False, soft_wrap=True)
        piece = batch.name_of(file.name, job.bundle, opened)
        job = job.ruled_by(rule_of_file(records, piece, job.form.id_column, job.decider.rule))
        with (
            _bar(leads, console) as tell,
            batch.replacing(folder, out.name) as scores,
            recording(records, piece, job.bundle, job.form.id_column, job.decider.rule) as record,
            quarantine_to(lambda: batch.replacing(folder, aside)) as put,
        ):
            counts = score_file(leads, job, scores, put, FORMATS[out.suffix], tell, record=record)
    if not counts.set_aside:
        (folder.root / aside).unlink(missing_ok=True)  # an earlier run's, of other leads
    return counts


def platform_models(platform: Path = PLATFORM) -> str:
    """Where `scripts/up` published, if it did so for one source only. Raises JobFailed naming what to do."""
    stores = sorted(str(path.parent) for path in platform.glob("*/store/champion.json"))
    if len(stores) == 1:
        return stores[0]
    found = f"{len(stores)} are below {platform}: {', '.join(stores)}" if stores else "run scripts/up, which makes one"
    raise JobFailed(f"which model? Name its place with --models ({found})")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    end_on_signals()
    console = Console(stderr=True)
    if options.out.suffix not in FORMATS:
        parser.error(f"--out {options.out}: its suffix must be {' or '.join(FORMATS)}")
    if options.out.absolute() == options.file.absolute():
        parser.error("--out would replace the leads")
    try:
        source = load_source(options.source) if options.source else None
        models = open_storage(options.models or platform_models())
        records = batch.records_storage(options.records)
    except (SourceError, JobFailed, ValueError) as error:
        return failed(console, error, 2)
    try:
        bundle = batch.load_bundle(models)
        rule = read_rule(models, bundle.version).rule
        job = replace(batch.file_job(bundle, source, options, Wish(options.show, options.reasons), rule), quote=True)
        counts = score(options.file, options.out, job, console, records)
    except (SourceError, JobFailed, BundleRefused, StorageError) as error:
        return failed(console, error, 1)
    for each in counts.examples:
        print(f"set aside: {each}")
    if counts.set_aside:
        print(f"All that were set aside: {options.out}.quarantine.jsonl.gz")
    for line in counts.columns.lines(quote=True):
        print(line)
    print(f"{options.out}: {batch.described(counts)}, by {bundle.version}")
    if not counts.scored:
        return failed(console, SourceError(f"{options.file}: no row could be scored"), 1)
    return 0


@contextmanager
def _bar(leads: LeadFile, console: Console) -> Iterator[Callable[[int], None]]:
    """A bar over the share of the file that has been read, with the rows a second."""
    columns = (SpinnerColumn(), BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("reading", total=1.0)

        def tell(rows: int) -> None:
            elapsed = progress.tasks[0].elapsed or 1e-9
            done = f"{rows:,} rows, {rows / elapsed:,.0f}/s"
            progress.update(bar, completed=leads.share(), description=done)

        yield tell


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/score",
        description="Score a file of leads.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the leads, CSV, Excel or Parquet")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the scores, .csv or .parquet")
    add_places(parser, "models", otherwise=", else scripts/up's")
    batch.add_form(parser)
    parser.add_argument(
        "--records",
        metavar="URL",
        help="people will act on these scores: add the leads to the prediction records in this folder or "
        "gs://bucket/prefix, so that they are evaluated, watched for drift and trained on (default: they are not)",
    )
    parser.add_argument(
        "--no-reasons", dest="reasons", action="store_false", help="without the reasons in words: many times as fast"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
