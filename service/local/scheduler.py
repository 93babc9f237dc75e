"""The closed loop on one machine: the jobs on their cron lines, their figures on one page.

`scripts/up --with-loop` starts it; in the cloud Cloud Scheduler and Cloud Run do this. Sped up, days last shorter: the
schedules, the maturity of outcomes and the jobs' windows shrink alike. The clock itself stays the real one, for the
service stamps its records by it.
"""

import argparse
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cronsim import CronSim
from prometheus_client import Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from service.lifecycle.data.source import SourceError, load_source
from service.lifecycle.runtime import runner
from service.lifecycle.runtime.job_gauges import Families
from service.local.simulated_leads import Player
from service.rhythm import LOOP
from service.storage import open_storage

SCHEDULE = {job: LOOP.crons[job] for job in ("compact", "evaluate", "drift", "retrain", "report")}
"""Cron line by job, as the cloud's environments have them; in UTC."""

BY_THE_REAL_CLOCK = frozenset({"compact", "report"})
"""Jobs that are not sped up: records are named after hours of the real clock, weekly reports after its days."""

WINDOWS = {
    "evaluate": ("--days", LOOP.evaluated_days),
    "drift": ("--days", LOOP.drift_days),
    "retrain": ("--cool-down", LOOP.cool_down_days),
}
"""What the jobs count in days, with their own defaults: shrunk with the days."""

TICK_S = 0.2
STOP_S = 10.0
EXAMPLES = """  python -m service.local.scheduler --source crm.toml --models models --predictions predictions \\
      --leads leads --tracking http://127.0.0.1:5000 --metrics figures
  ... --speed 1440                                a day passes in a minute
  ... --play http://127.0.0.1:8080                send it the leads of a source that generates them
"""


@dataclass(frozen=True)
class Clock:
    """A clock that started at `start` and runs `speed` times as fast as the real one."""

    start: datetime
    speed: float

    def shown(self, real: datetime) -> datetime:
        """What it shows at this real time."""
        return self.start + (real - self.start) * self.speed


class Scheduler:
    """Runs the jobs when they are due, each as a process, never two of one; a run that is due meanwhile is left out."""

    def __init__(self, clock: Clock, commands: dict[str, list[str]], logs: Path, say: Callable[[str], None]) -> None:
        self._clock, self._commands, self._logs, self._say = clock, commands, logs, say
        self._due = {name: self._after(name, clock.start) for name in commands}
        self._running: dict[str, tuple[subprocess.Popen[bytes], float]] = {}

    def tick(self, now: datetime) -> None:
        """Report what ended, start what is due at this real time."""
        for name, (process, started) in list(self._running.items()):
            if (code := process.poll()) is not None:
                del self._running[name]
                took, outcome = time.monotonic() - started, "done" if code == 0 else f"ended with exit code {code}"
                self._say(f"{name} {outcome} after {took:.0f} s{'' if code == 0 else f': {self._last_line(name)}'}")
        for name, due in self._due.items():
            shown = now if name in BY_THE_REAL_CLOCK else self._clock.shown(now)
            if due > shown:
                continue
            self._due[name] = self._after(name, shown)
            if name in self._running:
                self._say(f"{name} was due at {due:%Y-%m-%d %H:%M} and is still running: left out")
            else:
                self._start(name)

    def stop(self) -> None:
        """End what is running; a job can be stopped anywhere and started again."""
        for process, _ in self._running.values():
            process.terminate()
        for process, _ in self._running.values():
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def _start(self, name: str) -> None:
        self._say(f"{name} starts")
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._log(name).open("ab") as log:
            process = subprocess.Popen(self._commands[name], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._running[name] = process, time.monotonic()

    def _after(self, name: str, shown: datetime) -> datetime:
        return next(CronSim(SCHEDULE[name], shown))

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _last_line(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"


def merged(folder: Path) -> bytes:
    """The figures of all jobs as one page in Prometheus' text format: each name once, with every job's samples."""
    families: dict[str, Metric] = {}
    for file in sorted(folder.glob("*.prom")):
        for family in text_string_to_metric_families(file.read_text()):
            known = families.setdefault(family.name, family)
            if known is not family:
                known.samples += family.samples
    return generate_latest(Families(families.values()))


def serve(folder: Path, port: int) -> ThreadingHTTPServer:
    """Serve `merged` at 127.0.0.1:port/metrics, to be scraped with honor_labels, until it is shut down."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            body = merged(folder)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A scrape each few seconds is no news."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Page)
    threading.Thread(target=server.serve_forever, args=(TICK_S,), daemon=True).start()
    return server


def commands(options: argparse.Namespace, maturity_days: float) -> dict[str, list[str]]:
    """How each job is called: as on the command line of the loop, with days as long as the loop has them."""
    shared = ["--source", str(options.source), "--metrics", options.metrics]
    shared += [word for option in runner.OPTIONS for word in (f"--{option}", getattr(options, option))]
    own = {"compact": ("models", "predictions", "leads", "metrics"), "report": ("models", "metrics")}
    commands_by_job = {
        job: [
            sys.executable,
            "-m",
            f"service.lifecycle.{job}",
            *(f"--{name}={getattr(options, name)}" for name in names),
        ]
        for job, names in own.items()
    }
    for name, (option, days) in WINDOWS.items():
        command = [sys.executable, "-m", f"service.lifecycle.{name}", *shared]
        if options.speed != 1:
            command += [
                "--maturity-days",
                f"{maturity_days / options.speed:.9f}",
                option,
                f"{days / options.speed:.9f}",
            ]
        if name == "evaluate" and options.counter:
            command += ["--counter", options.counter]
        commands_by_job[name] = command
    return commands_by_job


def _ticks() -> Iterator[datetime]:
    while True:
        yield datetime.now(UTC)
        time.sleep(TICK_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; runs until it is stopped, then returns 0."""
    parser = runner.parser("loop", f"Run {', '.join(SCHEDULE)} on their cron lines.", EXAMPLES)
    parser.add_argument("--port", type=int, default=8081, help="port of the jobs' figures (default: %(default)s)")
    parser.add_argument("--speed", type=speed, default=1.0, metavar="N", help="how many times faster days pass")
    parser.add_argument("--counter", metavar="URL", help="the service's own count of records, for evaluate")
    parser.add_argument("--play", metavar="URL", help="the service that generated leads are sent to")
    options = parser.parse_args(arguments)
    if missing := [f"--{option}" for option in (*runner.OPTIONS, "metrics") if not getattr(options, option)]:
        parser.error(f"give {', '.join(missing)}")
    try:
        source = load_source(options.source)
    except SourceError as error:
        parser.error(str(error))
    if options.play and source.sample is None:
        parser.error(f"--play: {source.name} does not generate its leads")
    clock = Clock(datetime.now(UTC), options.speed)

    def say(line: str) -> None:
        print(f"{clock.shown(datetime.now(UTC)):%Y-%m-%d %H:%M} {line}", flush=True)

    figures = Path(options.metrics)
    scheduler = Scheduler(clock, commands(options, source.maturity_days), figures.parent / "jobs", say)
    player = None
    if options.play and source.sample:
        player = Player(source, source.sample, options.play, open_storage(options.leads), clock.start, say)
    server = serve(figures, options.port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        for now in _ticks():
            scheduler.tick(now)
            if player:
                player.play((clock.shown(now) - clock.start) / timedelta(days=1))
    except KeyboardInterrupt:
        pass
    finally:
        scheduler.stop()
        server.shutdown()
        server.server_close()
    return 0


def speed(text: str) -> float:
    """Of the command line. Raises argparse.ArgumentTypeError."""
    factor = float(text)
    if not 1 <= factor <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 100000")
    return factor


if __name__ == "__main__":
    sys.exit(main())
