"""Look at a file of leads before a training: what people type as `scripts/check`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # until main() handles it: Ctrl-C during the imports below would print a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from rich.console import Console

from service.lifecycle.data.source import SourceError, load_source
from service.lifecycle.data.table import FileForm
from service.lifecycle.inspection import decision
from service.lifecycle.inspection.draft import beside, draft
from service.lifecycle.inspection.show import show
from service.lifecycle.inspection.survey import Stated, Survey, look_at
from service.lifecycle.runtime.runner import end_on_signals, failed, shown_progress
from service.lifecycle.training.selection import TooFewOutcomes

EXAMPLES = """examples:
  scripts/check leads.csv                               say what is in the file; write leads.toml beside it
  scripts/check export.xlsx --sheet Leads --out crm.toml
  scripts/check leads.csv --outcome Stage --won 'Closed Won' --won Upsell
  scripts/check --decide leads.toml --html decide.html  what each metric would choose, for the people who decide

FILE is CSV, Excel or Parquet, gzip or not, told by its content. Nothing is trained and nothing leaves this machine.

exit status: 0 done, 1 training would refuse the file, or its leads are too few, 2 wrong use
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    end_on_signals()
    out, console = Console(), Console(stderr=True)
    if (options.file is None) == (options.decide is None):
        parser.error("give either a file of leads or --decide SOURCE.toml")
    if options.decide is not None:
        return _decide(options.decide, options.html, out, console)
    if options.html:
        parser.error("--html goes with --decide")
    if options.won and not options.outcome:
        parser.error("--won goes with --outcome")
    toml = options.out or beside(options.file)
    if toml.suffix != ".toml":
        parser.error(f"--out {toml}: its suffix must be .toml")
    stated = Stated(
        FileForm(options.delimiter, options.encoding, options.sheet),
        options.decimal,
        options.outcome,
        tuple(options.won or ()),
    )
    try:
        with shown_progress(console) as tell:
            survey = look_at(options.file, stated, tell if console.is_terminal else lambda _: None)
    except SourceError as error:
        return failed(console, error, 1)
    show(survey, out)
    return max(_write(survey, toml, options.force, out, console), 0 if survey.ready else 1)


def _write(survey: Survey, toml: Path, force: bool, out: Console, console: Console) -> int:
    """Write the lead source, but never over another one unless forced to; return the exit status."""
    try:
        with toml.open("w" if force else "x", encoding="utf-8") as file:
            file.write(draft(survey, toml))
    except FileExistsError:
        return failed(console, SourceError(f"{toml} is there already and stays as it is; --out or --force"), 1)
    except OSError as error:
        return failed(console, SourceError(f"{toml}: cannot be written: {error.strerror}"), 1)
    todo = (
        f"Confirm its lines that begin with #CONFIRM, then: scripts/train --source {toml} --figures"
        if survey.ready
        else "It says what has to be decided first"
    )
    out.print(f"\nWritten: {toml}. {todo}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _decide(toml: Path, html: Path | None, out: Console, console: Console) -> int:
    try:
        source = load_source(toml)
    except SourceError as error:
        return failed(console, error, 2)
    try:
        with shown_progress(console) as tell:
            decision.show(source, out, html, tell)
    except (SourceError, TooFewOutcomes, OSError) as error:
        return failed(console, error, 1)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/check",
        description="Say what is in a file of leads, and write the lead source that a training needs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="the leads")
    parser.add_argument("--out", type=Path, metavar="FILE.toml", help="the lead source (default: beside FILE)")
    parser.add_argument("--force", action="store_true", help="replace the lead source that is there")
    parser.add_argument("--outcome", metavar="COLUMN", help="the column with the outcome, where it is not found")
    parser.add_argument("--won", action="append", metavar="VALUE", help="a value of it that means won; can be repeated")
    parser.add_argument("--sheet", metavar="NAME", help="of a workbook that has several")
    parser.add_argument("--delimiter", metavar="MARK", help="between cells, where it is not found")
    parser.add_argument("--encoding", metavar="NAME", help="such as cp1250, where it is not found")
    parser.add_argument("--decimal", choices=(".", ","), help="decimal mark, where no cell tells 1.234 from 1234")
    parser.add_argument(
        "--decide", type=Path, metavar="SOURCE.toml", help="print the page that people discuss before they agree"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="with --decide: write the page there too, as HTML")
    return parser


if __name__ == "__main__":
    sys.exit(main())
