"""SQL over predictions, outcomes and evaluations: what people type as `scripts/query`."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.console import Console

from service.lifecycle.data.source import Source, SourceError, load_source
from service.lifecycle.querying.examples import EXAMPLES
from service.lifecycle.querying.read_only import QueryRefused, answer, check
from service.lifecycle.querying.show import show
from service.lifecycle.querying.views import add_evaluations, add_outcomes, add_records
from service.lifecycle.relations.duck import DuckEngine, opened
from service.lifecycle.runtime.runner import (
    PLATFORM,
    JobFailed,
    Progress,
    add_places,
    days,
    end_on_signals,
    failed,
    moment,
    printable,
    shown_progress,
)
from service.storage import Folder, Storage, StorageError, open_storage

SAMPLE = Path(__file__).parents[1] / "examples/sample.toml"
DAYS, ROWS, MOST_ROWS = 30, 100, 1_000_000

ABOUT = """views:
  predictions   every record of the window: lead_id, lead_key, time, model_version, score, decision, band, channel, ...,
                and a column for each input field. Trials and repeated scores are among them
  leads         each lead once, with its first score in the window, as `evaluate` judges it; no trials
  outcomes      lead_key, converted (null: not final), state (converted, lost, open, contradicted), of the CRM's files
  evaluations   a row for each evaluation made in the window, version and figure: time, since, until, model_version,
                leads, converted, figure (roc_auc, brier, ..., business.profit), value, low, high, at_training

examples:
  scripts/query 'select band, count(*), avg(score) from leads group by band'       of what scripts/up keeps
  scripts/query --example conversions --source leads.toml
  scripts/query --days 7 --csv 'select * from predictions' --rows 10000 > week.csv
  scripts/query --predictions gs://acme-leads-prod-predictions --since 2026-03-01 --until 2026-04-01 < question.sql
  scripts/query 'describe predictions'                                             its columns

The SQL is DuckDB's, https://duckdb.org/docs/stable/sql/introduction. Times are in UTC. A query can only read: it cannot
write, attach, install, set, or open other files. It gets 1.5 GB of memory and spills the rest to temporary files.
Without any place it reads what scripts/up keeps of --source (default: the sample).

Rows name leads and hold their data. Who may see them may run a query; delete what you export when it is of no more use:
`forget` does not find files that you made, unless it is told of them (--also).

exit status: 0 done, 1 the query was refused or failed, 2 wrong use or an unusable lead source
"""


class QueryPlaces(NamedTuple):
    """Where everything is that the views are made of; None where it was not named."""

    predictions: Storage
    models: Storage | None
    leads: Storage | None
    source: Source | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    end_on_signals()
    console = Console(stderr=True)
    if options.examples:
        for name, example in EXAMPLES.items():
            print(f"{name}: {example.question}\n\n{example.sql}\n")
        return 0
    sql = _sql(parser, options)
    until = options.until or datetime.now(UTC)
    since = options.since or until - timedelta(days=options.days)
    if since >= until:
        parser.error(f"--since {since:%Y-%m-%d %H:%M} is not before --until {until:%Y-%m-%d %H:%M}")
    try:
        places = _places(options)
        _check_views(sql, places)
    except (SourceError, JobFailed, ValueError) as error:
        return failed(console, error, 2)
    try:
        check(sql)
        return _run(sql, places, (since, until), options, console)
    except SourceError as error:
        return failed(console, error, 2)
    except (QueryRefused, StorageError, msgspec.DecodeError) as error:
        return failed(console, JobFailed("\n".join(map(printable, str(error).split("\n")))), 1)
    except BrokenPipeError:  # such as `| head`; Python would report it again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(
    sql: str, places: QueryPlaces, window: tuple[datetime, datetime], options: argparse.Namespace, console: Console
) -> int:
    since, until = window
    with shown_progress(console) as tell:
        tell(f"reading records from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC")
        with opened(places.predictions, since, until, read_only=True) as engine:
            notes = _add_views(engine, sql, places, window, tell)
            more = show(answer(engine, sql), options.form, options.rows, sys.stdout.buffer)
    for note in notes:
        console.print(printable(note), markup=False, highlight=False, soft_wrap=True)
    if more:
        console.print(f"cut after {options.rows:,} rows; --rows prints more", highlight=False)
    return 0


def _add_views(
    engine: DuckEngine, sql: str, places: QueryPlaces, window: tuple[datetime, datetime], tell: Progress
) -> list[str]:
    """Make the views that the SQL names; return what is to be said of what was left out."""
    notes = [f"left out: {error}" for _, error in engine.broken[:5]]
    add_records(engine, window[0])
    if _names(sql, "outcomes") and places.source and places.leads:
        tell("reading outcomes")
        files = add_outcomes(engine, places.source, places.leads)
        notes += [f"left out: {row}" for row in files.rejected[:5]]
        if len(files.rejected) > 5:
            notes.append(f"... and {len(files.rejected) - 5:,} more rows of outcomes")
    if _names(sql, "evaluations") and places.models:
        tell("reading evaluations")
        add_evaluations(engine, places.models, *window)
    return notes


def _check_views(sql: str, places: QueryPlaces) -> None:
    """Raises JobFailed where the SQL names a view of a place that was not named."""
    if _names(sql, "outcomes") and not (places.source and places.leads):
        raise JobFailed("outcomes are read as the lead source says: give --source and --leads")
    if _names(sql, "evaluations") and not places.models:
        raise JobFailed("evaluations lie beside the models: give --models")


def _names(sql: str, view: str) -> bool:
    return re.search(rf"\b{view}\b", sql, re.IGNORECASE) is not None


def _sql(parser: argparse.ArgumentParser, options: argparse.Namespace) -> str:
    if options.sql is not None and options.example:
        parser.error("give SQL or --example, not both")
    if options.example:
        return EXAMPLES[options.example].sql
    if options.sql is None and sys.stdin.isatty():
        parser.error("give SQL, --example NAME or --examples")
    return sys.stdin.read() if options.sql in (None, "-") else str(options.sql)


def _places(options: argparse.Namespace) -> QueryPlaces:
    """Raises JobFailed, SourceError, and ValueError where an address is none."""
    source = load_source(options.source) if options.source else None
    if not (options.predictions or options.models or options.leads):
        source = source or load_source(SAMPLE)
        root = options.folder / source.name
        if not (root / "store").is_dir():  # its records may not be uploaded yet
            there = ", ".join(sorted(path.parent.name for path in options.folder.glob("*/store"))) or "nothing"
            raise JobFailed(
                f"{root} holds no model. scripts/up keeps there what it serves (found: {there}; --source FILE.toml "
                "chooses); or name other places: --predictions, --models, --leads"
            )
        return QueryPlaces(Folder(root / "predictions"), Folder(root / "store"), Folder(root / "leads"), source)
    if not options.predictions:
        raise JobFailed("give --predictions, where the records are")
    predictions = open_storage(options.predictions)
    if isinstance(predictions, Folder) and not predictions.root.is_dir():
        raise JobFailed(f"--predictions {predictions.url}: there is no such folder")
    models, leads = (open_storage(url) if url else None for url in (options.models, options.leads))
    return QueryPlaces(predictions, models, leads, source)


def _rows(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MOST_ROWS:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {MOST_ROWS:,}")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/query",
        description="Ask predictions, outcomes and evaluations a question in SQL.",
        epilog=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sql", nargs="?", metavar="SQL", help="the query; - or nothing: from standard input")
    parser.add_argument("--example", choices=tuple(EXAMPLES), metavar="NAME", help=f"run one of: {', '.join(EXAMPLES)}")
    parser.add_argument("--examples", action="store_true", help="print these with their SQL, to begin from")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument(
        "--days", type=days(3650), default=DAYS, metavar="N", help="so many days before --until (default: %(default)s)"
    )
    begin.add_argument("--since", type=moment, metavar="TIME", help="from this time on, ISO 8601")
    parser.add_argument("--until", type=moment, metavar="TIME", help="before this time (default: now)")
    parser.add_argument(
        "--rows", type=_rows, default=ROWS, metavar="N", help="print at most so many rows (default: %(default)s)"
    )
    form = parser.add_mutually_exclusive_group()
    for name, text in {"csv": "CSV, safe to open in a spreadsheet", "json": "JSON, one object a line"}.items():
        form.add_argument(f"--{name}", dest="form", action="store_const", const=name, help=f"print {text}")
    parser.set_defaults(form="table")
    parser.add_argument("--source", type=Path, metavar="FILE.toml", help="the lead source, for outcomes")
    add_places(parser, "predictions", "models", "leads", otherwise=", else scripts/up's")
    parser.add_argument(
        "--folder", type=Path, default=PLATFORM, help="where scripts/up keeps everything (default: .platform)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
