"""What the jobs of the closed loop share: their command line, exit status, and the figures about the run itself."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from service.lifecycle.data.source import MAX_ROWS, MIN_ROWS, Source, SourceError, TrainingRecipe, load_source
from service.lifecycle.relations.relation import RelationsFailed
from service.lifecycle.runtime.gauges import Gauge, PublishFailed
from service.lifecycle.runtime.job_gauges import publish
from service.model.bundle import BundleRefused
from service.records import RecordError
from service.storage import Storage, StorageError, open_storage

Progress = Callable[[str], None]

PLATFORM = Path(__file__).parents[3] / ".platform"
"""Where `scripts/up` keeps everything, in one folder a source."""

EXIT = "exit status: 0 done, 1 it failed or was refused, 2 wrong use or an unusable lead source"

OPTIONS = {
    "models": ("LEADSCORING_MODELS_URL", "folder or gs://bucket/prefix of the model bundles"),
    "predictions": ("LEADSCORING_PREDICTIONS_URL", "folder or gs://bucket/prefix of the prediction records"),
    "leads": ("LEADSCORING_LEADS_URL", "folder or gs://bucket/prefix that holds outcomes/, batch/ and quarantine/"),
    "tracking": ("MLFLOW_TRACKING_URI", "the MLflow server"),
}


class JobFailed(Exception):
    """The job could not do its work; the message says what happened, where, and what to do next."""


def _note(line: str) -> None:
    Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Loop:
    """What a job of the loop works on. `now` is given on the command line or the clock's.

    `tell` says what is being done, which the next line may replace; `note` says what has to stay on the screen.
    """

    source: Source
    models: Storage
    predictions: Storage
    leads: Storage
    tracking: str
    now: datetime
    tell: Progress
    note: Progress = _note


Work = Callable[[Loop, argparse.Namespace], Sequence[Gauge]]
Repair = Callable[[Storage, str], object]
"""Takes the models' storage and MLflow's address; see `service.lifecycle.promotion.reconcile`."""


def parser(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    """The command line that all jobs of the loop have; a job adds its own options."""
    command_line = argparse.ArgumentParser(
        prog=f"python -m service.lifecycle.{name}",
        description=description,
        epilog=f"examples:\n{examples}\n{EXIT}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command_line.add_argument("--source", type=Path, required=True, metavar="FILE.toml", help="the lead source")
    add_places(command_line, *OPTIONS)
    add_metrics(command_line)
    command_line.add_argument(
        "--maturity-days", type=float, metavar="DAYS", help="when an outcome is final (default: as the source says)"
    )
    add_now(command_line)
    return command_line


def add_now(parser: argparse.ArgumentParser) -> None:
    """The option --now."""
    parser.add_argument(
        "--now", type=moment, metavar="TIME", help="work as if it were this time, ISO 8601 (default: now)"
    )


def add_places(parser: argparse.ArgumentParser, *names: str, otherwise: str = "") -> None:
    """The options of OPTIONS with these names; `otherwise` says what holds where neither it nor the variable is set."""
    for name in names:
        variable, meaning = OPTIONS[name]
        text = f"{meaning} (default: ${variable}{otherwise})"
        parser.add_argument(f"--{name}", metavar="URL", default=os.environ.get(variable), help=text)


def check_places(parser: argparse.ArgumentParser, options: argparse.Namespace, *names: str) -> None:
    """End with 2 where one of these options was not given."""
    if missing := [f"--{name}" for name in names if not getattr(options, name)]:
        parser.error(f"give {', '.join(missing)}")


def days(most: int) -> Callable[[str], float]:
    """An option's number of days, above 0."""

    def parse(text: str) -> float:
        number = float(text)
        if not 0 < number <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between 0 and {most}")
        return number

    return parse


def add_rows(parser: argparse.ArgumentParser) -> None:
    """The option --rows."""
    parser.add_argument(
        "--rows",
        metavar="N",
        default=os.environ.get("LEADSCORING_TRAINING_ROWS"),
        help="learn from a sample of about so many leads where there are more "
        "(default: $LEADSCORING_TRAINING_ROWS, else as the source says)",
    )


def sampled_to(source: Source, rows: str | None) -> Source:
    """The source with this size of the sample, or its own. Raises SourceError where it is none."""
    if rows is None:
        return source
    try:
        recipe = TrainingRecipe.model_validate({**source.recipe.model_dump(), "rows": int(rows)})
    except ValueError as error:
        raise SourceError(f"--rows {rows} is no number from {MIN_ROWS:,} to {MAX_ROWS:,}") from error
    return source.model_copy(update={"recipe": recipe})


def add_metrics(parser: argparse.ArgumentParser) -> None:
    """The option --metrics."""
    parser.add_argument(
        "--metrics",
        metavar="TARGET",
        default=os.environ.get("LEADSCORING_METRICS"),
        help="where figures go: a local folder, or projects/ID for Cloud Monitoring (default: $LEADSCORING_METRICS)",
    )


def run(
    name: str,
    parser: argparse.ArgumentParser,
    work: Work,
    repair: Repair,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse, repair, work, publish the figures that the work returns and those about the run; return the exit status.

    `repair` finishes a promotion that was stopped; where it fails, that is said and the work goes on.
    """
    # Imported here: MLflow takes two seconds, which the jobs that do not use it need not wait for.
    from service.tracking import TrackingError

    options = parser.parse_args(arguments)
    check_places(parser, options, *OPTIONS)
    if options.maturity_days is not None and not 0 <= options.maturity_days <= 3650:
        parser.error(f"--maturity-days {options.maturity_days:g} is not between 0 and 3650")
    try:
        source = load_source(options.source)
        if options.maturity_days is not None:
            source = source.model_copy(update={"maturity_days": options.maturity_days})
        models, predictions, leads = (open_storage(url) for url in (options.models, options.predictions, options.leads))
    except (SourceError, ValueError) as error:
        return failed(Console(stderr=True), error, 2)
    now = options.now or datetime.now(UTC)

    def repaired(tell: Progress) -> Sequence[Gauge]:
        try:
            repair(models, options.tracking)
        except (TrackingError, BundleRefused, StorageError) as error:  # the work says what of it fails for good
            tell(f"audit record and alias of what is served could not be checked: {error}")
        return work(Loop(source, models, predictions, leads, options.tracking, now, tell), options)

    return supervise(name, options.metrics, models, repaired, failures=(TrackingError, *FAILURES))


FAILURES: tuple[type[Exception], ...] = (JobFailed, RelationsFailed, BundleRefused, StorageError, RecordError)
"""What a job expects to fail with; each says what happened and what to do."""


def supervise(
    name: str,
    metrics: str | None,
    models: Storage,
    work: Callable[[Progress], Sequence[Gauge]],
    always: bool = True,
    failures: tuple[type[Exception], ...] = FAILURES,
) -> int:
    """Work, and publish to `metrics` the figures that the work returns and those about the run; return the exit status.

    Without `always` only a failure is published: of a job's many tasks one alone speaks of start and success. That it
    started is published before it works: a run that never ends, or is killed, is known by it.
    """
    end_on_signals()
    console = Console(stderr=True)
    started, clock = datetime.now(UTC), time.monotonic()
    code, gauges = 1, [Gauge("leadscoring_job_last_start_timestamp_seconds", started.timestamp())]
    with shown_progress(console) as tell:
        try:
            if metrics and always:
                _publish(metrics, name, gauges, models, console)  # what fails is said; the end's publishing decides
            gauges += work(tell)
            code = 0
        except SourceError as error:
            code = failed(console, error, 2)
        except failures as error:
            code = failed(console, error, 1)
        finally:
            outcome = "failure" if code else "success"
            gauges += [
                Gauge(f"leadscoring_job_last_{outcome}_timestamp_seconds", time.time()),
                Gauge("leadscoring_job_duration_seconds", time.monotonic() - clock),
            ]
            if metrics and (always or code):
                code = _publish(metrics, name, gauges, models, console) or code
    return code


def _publish(target: str, name: str, gauges: Sequence[Gauge], models: Storage, console: Console) -> int:
    try:
        publish(target, name, gauges, models)
    except (PublishFailed, StorageError) as error:
        return failed(console, error, 1)
    return 0


def end_on_signals() -> None:
    """Let SIGTERM and Ctrl-C end the job as an exception does: the run is marked as failed, the lease given back.

    The exit status is 128 + the signal, as shells give it. As a container's first process the job would ignore
    SIGTERM, until SIGKILL comes: nobody else is there to handle it.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _: sys.exit(128 + number))


@contextmanager
def shown_progress(console: Console) -> Iterator[Progress]:
    """What is being done: one changing line with a spinner on a terminal, a line each elsewhere."""
    if not console.is_terminal:
        yield lambda doing: console.print(doing, markup=False, highlight=False, soft_wrap=True)
        return
    with console.status("starting") as status:
        yield status.update


def printable(text: str) -> str:
    """The text without characters that a terminal would obey."""
    return "".join(mark if mark.isprintable() else "\ufffd" for mark in text)


def failed(console: Console, error: Exception, code: int) -> int:
    """Say what happened; return the exit status."""
    console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
    return code


def moment(text: str) -> datetime:
    """An option's time, ISO 8601, in UTC where it names no zone."""
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
