"""Replay a source's history: `python -m service.lifecycle.backtest`."""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from mlflow.tracking import MlflowClient
from rich.console import Console

from service.lifecycle.backtest import report
from service.lifecycle.backtest.bars import BANK, Limit, parse
from service.lifecycle.backtest.measures import Measured, at_random, measure
from service.lifecycle.backtest.report import Backtest, LimitResult
from service.lifecycle.backtest.strategies import STRATEGIES, follow
from service.lifecycle.backtest.world import build
from service.lifecycle.data.source import Source, SourceError, load_source
from service.lifecycle.evaluation.terminal import terminal_table
from service.lifecycle.runtime.runner import EXIT, JobFailed, Progress, failed, shown_progress
from service.lifecycle.training.onnx_export import ParityError
from service.lifecycle.training.selection import TooFewOutcomes
from service.model.bundle import BundleRefused
from service.storage import StorageError
from service.tracking import TrackingError

FIRST, SIZE = 15_000, 2_000

EXAMPLES = """examples:
  scripts/replay --source service/examples/bank_marketing.toml --out replay
  scripts/replay --source crm.toml --from 5000 --block 1000 --out replay
  scripts/replay --source crm.toml --bar 'closed.brier<=0.12' --bar 'closed.profit>never.profit'

strategies: closed, trigger, always, never, oracle, random
figures: brier, calibration_error, roc_auc, profit, contacts, fits (random: profit)
The bank's contacts are held to their own bars from row 15,000 on in blocks of 2,000.

"""


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/replay",
        description="Run a source's leads in time order through the closed loop, beside other ways to keep a model.",
        epilog=f"{EXAMPLES}{EXIT.replace('or was refused', 'or a bar was missed')}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", type=Path, required=True, metavar="FILE.toml", help="the lead source")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where page, pictures and figures go, and all models"
    )
    parser.add_argument(
        "--from", dest="first", type=int, default=FIRST, metavar="ROW", help=f"the first block begins here ({FIRST:,})"
    )
    parser.add_argument("--block", type=int, default=SIZE, metavar="LEADS", help=f"leads in a block ({SIZE:,})")
    parser.add_argument(
        "--bar", type=_bar, action="append", default=[], help="a bar to reach, such as 'closed.brier<=0.12'"
    )
    parser.add_argument(
        "--tracking", metavar="URI", help="the MLflow server that records the retrainings (default: a file in --out)"
    )
    options = parser.parse_args(arguments)
    if options.first < 1 or options.block < 1:
        parser.error("--from and --block: give numbers of leads")
    if options.out and options.out.exists() and any(options.out.iterdir()):
        parser.error(f"--out {options.out}: is not empty; name a new folder")
    console = Console(stderr=True)
    try:
        source = load_source(options.source)
        with ExitStack() as stack:
            folder = options.out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="replay-")))
            tell = stack.enter_context(shown_progress(console))
            replay = run(source, folder, options.first, options.block, tuple(options.bar), options.tracking, tell)
            if options.out:
                replay.write(folder)
    except SourceError as error:
        return failed(console, error, 2)
    except (JobFailed, TooFewOutcomes, ParityError, TrackingError, BundleRefused, StorageError) as error:
        return failed(console, error, 1)
    _show(Console(), replay, options.out)
    return 0 if all(judgement.met for judgement in replay.judgements) else 1


def run(
    source: Source,
    folder: Path,
    first: int = FIRST,
    size: int = SIZE,
    asked: tuple[Limit, ...] = (),
    tracking: str | None = None,
    tell: Progress = lambda _: None,
) -> Backtest:
    """Replay every strategy and judge the bars; records, outcomes and models stay in the folder.

    Raises what the loop's jobs raise.
    """
    tell(f"reading the leads of {source.name}")
    world = build(source, folder / "source", first, size)
    uri = tracking or recorded(folder / "mlflow", source.name)
    measured: dict[str, Measured] = {}
    for number, (name, keep) in enumerate(STRATEGIES.items(), 1):
        prefix = f"{number} of {len(STRATEGIES)}, {report.SPOKEN[name]}: "
        measured[name] = measure(world, follow(world, keep, folder / name, uri, lambda said: tell(prefix + said)))  # noqa: B023
    random = at_random(world)
    bars = (*(map(parse, BANK) if (source.name, first, size) == ("bank-marketing", FIRST, SIZE) else ()), *asked)
    found = {name: each.named for name, each in measured.items()} | {"random": {"profit": random}}
    judgements = tuple(LimitResult(bar, *bar.judge(found)) for bar in bars)
    return Backtest(world, measured, random, judgements)


def recorded(folder: Path, experiment: str) -> str:
    """A tracking store of the replay's own: a database and a folder of artifacts."""
    folder.mkdir(parents=True)
    uri = f"sqlite:///{(folder / 'mlflow.db').absolute()}"
    MlflowClient(uri).create_experiment(experiment, artifact_location=str((folder / "artifacts").absolute()))
    return uri


def _show(out: Console, replay: Backtest, folder: Path | None) -> None:
    title = f"Replay of {replay.world.source.name}, {len(replay.world.blocks)} blocks"
    out.print(terminal_table(*report.overview(replay), title=title))
    out.print(terminal_table(*report.blocks(replay), title="The closed loop block by block, and the others' Brier"))
    out.print(
        terminal_table(
            *report.decisions(replay.measured["closed"]),
            title="What the closed loop decided, and what that gained",
            text=(*report.DECISION_TEXT, "why"),
        )
    )
    for note in replay.notes:
        out.print(note, markup=False, highlight=False)
    if replay.judgements:
        out.print(terminal_table(*report.bars(replay), title="Bars", text=("",)))
    if folder:
        out.print(f"the page, pictures and figures are in {folder}", markup=False, highlight=False)


def _bar(text: str) -> Limit:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
