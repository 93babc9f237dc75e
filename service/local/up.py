"""The platform on one machine: MLflow, a training where one is due, the service, and a look at the best leads.

Everything it keeps is below one folder a source, `.platform/<source>/`: `store` (bundles and pointer), `predictions`,
`leads` (outcomes, quarantine), `mlflow`, `spool`, `loop` (the jobs' logs and figures) and the programs' logs.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # until main() handles it: Ctrl-C during the imports below would print a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from rich.console import Console
from rich.table import Table

from service import client
from service.local.processes import (
    Processes,
    Program,
    ProgramEnded,
    Stopped,
    free,
    ignore_signals,
    port_problem,
    stop_on_signals,
)
from service.model.bundle import POINTER
from service.settings import Settings
from service.storage import open_storage

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "service/examples/sample.toml"
PLATFORM = ROOT / ".platform"
SHOWN, SCORED = 10, 300
"""Leads in the table, and leads scored to choose them from."""


@dataclass(frozen=True)
class Folders:
    """Where one source's things are."""

    root: Path

    @property
    def stamp(self) -> Path:
        """What the served model was trained on."""
        return self.root / "trained.json"

    def __truediv__(self, name: str) -> Path:
        return self.root / name


class InUse(Exception):
    """Another scripts/up keeps its things in this folder."""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when stopped once it was up, 128 + the signal when stopped before.

    1 when something could not be started or ended by itself, 2 on wrong use.
    """
    options = _parse(arguments)
    console = Console(stderr=True, highlight=False)
    stop_on_signals()
    try:
        return _up(options, console)
    except Stopped as stopped:
        console.print("\nStopped")
        return stopped.exit_code


def _up(options: argparse.Namespace, console: Console) -> int:
    from service.lifecycle.data.source import SourceError, load_source
    from service.local.first_look import NotDecided, lead_source

    try:
        if options.source.suffix != ".toml":
            options.source = lead_source(options.source, console)
        source = load_source(options.source)
    except (SourceError, NotDecided) as error:
        console.print(f"[red]{error}", soft_wrap=True)
        return 2
    folders = Folders(options.folder / source.name)
    try:
        with _alone(folders, f"http://127.0.0.1:{options.port}/"):
            return _run(options, source, folders, console)
    except SourceError as error:
        console.print(f"[red]{error}", soft_wrap=True)
        return 2
    except (InUse, ProgramEnded) as error:
        console.print(f"[red]{error}", soft_wrap=True)
        return 1


@contextlib.contextmanager
def _alone(folders: Folders, page: str) -> Iterator[None]:
    """Hold the lock of the folder: two starts would share one SQLite database and one spool. Raises InUse."""
    folders.root.mkdir(parents=True, exist_ok=True)
    with (folders / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            first = f"another scripts/up is at work in {folders.root} ({lock.read()})"
            raise InUse(f"{first}; stop it first, or give another --folder") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, {page}")
        lock.flush()
        yield


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/up",
        description="Bring lead scoring up on this machine: train, record, publish, serve, score. Ctrl-C stops it all.",
        epilog="examples:\n"
        "  scripts/up                                   the built-in sample\n"
        "  scripts/up --source leads.csv                your own leads: checked, then asked about\n"
        "  scripts/up --source leads.toml               ... as scripts/check wrote them down and you confirmed\n"
        "  scripts/up --retrain --port 9000             train again, and serve on another port\n"
        "  scripts/up --with-loop --speed 1440          and evaluate, watch for drift, retrain: a day in a minute\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--source",
        type=Path,
        default=EXAMPLE,
        help="lead source, a TOML file, or a file of leads (default: the sample)",
    )
    parser.add_argument("--port", type=int, default=8080, help="the service's port (default: %(default)s)")
    parser.add_argument("--mlflow-port", type=int, default=5000, help="MLflow's port (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=PLATFORM, help="where everything is kept (default: .platform)")
    parser.add_argument(
        "--models", help="where bundles are published: a folder or gs://bucket/prefix (default: in the folder)"
    )
    parser.add_argument("--retrain", action="store_true", help="train even if the leads have not changed")
    parser.add_argument(
        "--publish-anyway", metavar="REASON", help="serve a model that shows no skill; the reason is kept with it"
    )
    parser.add_argument("--with-loop", action="store_true", help="run evaluate, drift and retrain on their cron lines")
    parser.add_argument(
        "--speed", type=float, default=1.0, metavar="N", help="how many times faster the loop's days pass"
    )
    parser.add_argument("--loop-port", type=int, default=8081, help="port of the jobs' figures (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.speed != 1 and not options.with_loop:
        parser.error("--speed goes with --with-loop")
    if not 1 <= options.speed <= 100_000:
        parser.error(f"--speed {options.speed:g} is not between 1 and 100000")
    return options


def _run(options: argparse.Namespace, source: Any, folders: Folders, console: Console) -> int:
    ports = [(options.port, "--port"), (options.mlflow_port, "--mlflow-port")]
    for port, option in [*ports, *([(options.loop_port, "--loop-port")] if options.with_loop else [])]:
        if problem := port_problem(port):
            console.print(f"[red]port {port} {problem}; give another one: {option} {free()}")
            return 1
    up = False
    with Processes(folders.root) as processes:
        try:
            summary = _start(options, source, folders, processes, console)
            up = True
            print(summary, flush=True)
            processes.watch(_loop(options, source, folders, processes) if options.with_loop else None)
        except Stopped as stopped:
            console.print("\nStopping")
            return 0 if up else stopped.exit_code
        finally:
            ignore_signals()  # they would cut the stop short


def _start(options: argparse.Namespace, source: Any, folders: Folders, processes: Processes, console: Console) -> str:
    """Start everything but the loop; return what to tell the user."""
    started = time.monotonic()
    models = _models(options, folders)
    mlflow_url, api_url = _addresses(options)
    mlflow = processes.start("mlflow", mlflow_command(folders, options.mlflow_port), MLFLOW_ENVIRONMENT)
    digest = _digest(options.source, source)
    if options.retrain or not _trained(folders, digest, models):
        with console.status("Starting MLflow"):
            mlflow.wait_until_answers(f"{mlflow_url}/health")
        train = [sys.executable, "-m", "service.lifecycle.train", "--source", str(options.source)]
        train += ["--publish-anyway", options.publish_anyway] if options.publish_anyway else []
        processes.run("train", [*train, "--models", models, "--tracking", mlflow_url])
        folders.stamp.write_text(json.dumps({"digest": digest, "models": models}))
    else:
        console.print("The model in service was trained on these very leads; --retrain trains again", style="dim")
    settings = {
        "models_url": models,
        "predictions_url": str(folders / "predictions"),
        "spool_dir": str(folders / "spool"),
        "port": str(options.port),
    }
    Settings.model_validate_strings(settings)
    environment = {f"LEADSCORING_{name.upper()}": value for name, value in settings.items()}
    api = processes.start("api", [sys.executable, "-m", "service.api"], environment)
    with console.status("Loading and verifying the model"):
        api.wait_until_answers(f"{api_url}/readyz")
    with console.status("Scoring held-out leads"):
        best = _score_held_out(source, api_url)
    _show(best)
    with console.status("Starting MLflow"):
        mlflow.wait_until_answers(f"{mlflow_url}/health")
    return (
        f"\nUp in {time.monotonic() - started:.0f} s\n"
        f"  page      {api_url}/\n"
        f"  scoring   {api_url}/v1/score\n"
        f"  its docs  {api_url}/docs\n"
        f"  MLflow    {mlflow_url}\n"
        f"  files     {folders.root}\n"
        f"  SQL       {_query(options)}\n"
        + (_about_loop(options, source) if options.with_loop else "")
        + "Ctrl-C stops everything"
        + (f"\n{source.agreement.first_look}" if source.agreement and source.agreement.first_look else "")
    )


def _query(options: argparse.Namespace) -> str:
    """The command that asks what is kept here a first question in SQL."""
    source = [] if options.source == EXAMPLE else ["--source", str(options.source)]
    folder = [] if options.folder == PLATFORM else ["--folder", str(options.folder)]
    return shlex.join(["scripts/query", *source, *folder, "--example", "channels"])


def _models(options: argparse.Namespace, folders: Folders) -> str:
    return options.models or str(folders / "store")


def _addresses(options: argparse.Namespace) -> tuple[str, str]:
    """MLflow's and the service's."""
    return f"http://127.0.0.1:{options.mlflow_port}", f"http://127.0.0.1:{options.port}"


def _loop(options: argparse.Namespace, source: Any, folders: Folders, processes: Processes) -> Program:
    (mlflow_url, api_url), home = _addresses(options), folders / "loop"
    command = [sys.executable, "-m", "service.local.scheduler", "--source", str(options.source)]
    command += ["--models", _models(options, folders)]
    command += ["--predictions", str(folders / "predictions"), "--leads", str(folders / "leads")]
    command += ["--tracking", mlflow_url, "--metrics", str(home / "figures"), "--port", str(options.loop_port)]
    command += ["--speed", str(options.speed), "--counter", f"{api_url}/metrics"]
    return processes.start("loop", [*command, *(["--play", api_url] if source.sample else [])], {})


def _about_loop(options: argparse.Namespace, source: Any) -> str:
    day, wait = 86_400 / options.speed, (source.maturity_days + 1) * 1440 / options.speed
    fed = "leads are invented and outcomes follow" if source.sample else "put outcomes into leads/outcomes"
    return (
        f"  the loop  evaluate, drift, retrain; a day takes {day:,.0f} s; {fed}\n"
        f"            the first outcomes are final after about {wait:,.0f} min: then look into MLflow,\n"
        f"            and at the jobs' figures, http://127.0.0.1:{options.loop_port}/metrics\n"
    )


MLFLOW_ENVIRONMENT = {
    # Its job runner leaves workers behind that survive SIGTERM, and nothing here uses it.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


def mlflow_command(folders: Folders, port: int) -> list[str]:
    """MLflow's server, with everything that it keeps below `folders`."""
    home = folders / "mlflow"
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--artifacts-destination", str(home / "artifacts")]
    return [*command, *stores]


def _digest(toml: Path, source: Any) -> str:
    """Changes whenever the source or its files do; cheap, so that a second start need not read the leads."""
    digest = hashlib.sha256(toml.read_bytes())
    for location in source.locations:
        with contextlib.suppress(OSError):  # the training says it better
            state = Path(location).stat()
            digest.update(f"{location}:{state.st_size}:{state.st_mtime_ns}".encode())
    return digest.hexdigest()


def _trained(folders: Folders, digest: str, models: str) -> bool:
    try:
        stamped = json.loads(folders.stamp.read_text())
    except (OSError, ValueError):
        return False
    return bool(stamped == {"digest": digest, "models": models}) and open_storage(models).read(POINTER) is not None


def _score_held_out(source: Any, api_url: str) -> list[dict[str, Any]]:
    """Score held-out leads through HTTP; give them best first, each with what became of it."""
    from service.lifecycle.data.leads import load
    from service.lifecycle.training.golden import as_received
    from service.lifecycle.training.selection import split

    schema = client.lead_schema(api_url)
    leads = load(source, schema)
    held_out = split(leads).held_out[-SCORED:]
    frame = leads.frame.iloc[held_out]
    features = [as_received(schema, row) for row in frame.to_dict("records")]
    ids = [str(i) for i in (held_out if leads.ids is None else leads.ids[held_out])]
    scores = client.score(api_url, zip(ids, features, strict=True))
    known = zip(scores, leads.target[held_out].tolist(), strict=True)
    return sorted(({**s, "converted": bool(t)} for s, t in known), key=lambda s: -s["score"])


def _show(scored: list[dict[str, Any]]) -> None:
    """The best leads, and how the decision did on all that were scored."""
    table = Table(title=f"The best {SHOWN} of {len(scored)} held-out leads", title_justify="left")
    for column in ("lead", "score", "band", "decision", "what became of it"):
        table.add_column(column, justify="right" if column == "score" else "left")
    for lead in scored[:SHOWN]:
        outcome = "converted" if lead["converted"] else "did not convert"
        table.add_row(lead["lead_id"], f"{lead['score']:.3f}", lead["band"], lead["decision"], outcome)
    Console(highlight=False).print(table)
    contacted = [lead for lead in scored if lead["decision"] == "contact"]
    won, all_won = (sum(lead["converted"] for lead in leads) for leads in (contacted, scored))
    print(
        f"Contacting the {len(contacted)} that pay reaches {won} of the {all_won} that converted "
        f"(calling {len(contacted)} at random: {all_won * len(contacted) / len(scored):.0f})."
    )


if __name__ == "__main__":
    sys.exit(main())
