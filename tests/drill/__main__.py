"""Breaks the platform on this machine, one way after another, and shows which page comes and when it ends.

Real Prometheus and real Alertmanager load the catalogue's own rules, on a clock that runs faster by one factor, and
send to a local endpoint of PagerDuty's Events API v2.
"""

import argparse
import fcntl
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path

from rich.console import Console
from rich.table import Table

from service.local.processes import Processes, ProgramEnded, stop_on_signals
from service.local.scheduler import serve as serve_figures
from service.local.up import ROOT
from tests.drill import faults, jobs, stage, watch
from tests.drill.faults import FAULTS, LAST, Fault
from tests.drill.pagerduty import Event, PagerDuty
from tests.drill.stage import LocalPlatform
from tests.drill.unreached import Unreached, unreached

RUNBOOKS = ROOT / "monitoring/runbooks"
WARM_S = 6.0
"""For which Prometheus looks at what is well: as long as the shortest window, and a little more."""
FROM_THE_START = frozenset(["DriftOnTimeBurnSteady"])
"""It looks a day back, when no job had run yet; after a first deploy it is so too."""
SEVERITY = {"page": "critical", "ticket": "warning"}
EXAMPLES = """examples:
  scripts/drill                          every fault, about four minutes
  scripts/drill --only kill              one fault; may be given again
  scripts/drill --json drill.json        the table as JSON too
  scripts/drill --within 20              a page that takes longer counts as missing

exit status: 0 every fault was told of and resolved, 1 one was not, 2 wrong use or no Prometheus
"""


@dataclass(frozen=True)
class Row:
    """What became of one fault. Seconds are None where nothing came in time; `wrong` says what else is not right."""

    fault: str
    does: str
    alert: str
    severity: str
    told_s: float | None = None
    resolved_s: float | None = None
    dedup_key: str = ""
    runbook: str = ""
    wrong: str = ""

    @property
    def good(self) -> bool:
        """Whether it was told of and resolved as it must."""
        return self.told_s is not None and self.resolved_s is not None and not self.wrong


def run_fault(fault: Fault, on: LocalPlatform, pagerduty: PagerDuty, within_s: float, tell: "Teller") -> Row:
    """Break, wait for the page, mend, wait for its end."""
    row = Row(fault.name, fault.does, fault.alert, fault.severity)
    pagerduty.until_quiet(fault.alert, within_s)
    tell(f"{fault.name}: {fault.does}")
    fault.inject(on)
    broken = time.monotonic()
    told = pagerduty.triggered(fault.alert, broken, within_s)
    missing = missed(fault, pagerduty, broken, within_s)
    tell(f"{fault.name}: {f'{fault.alert} after {told.at - broken:.1f} s' if told else 'NOTHING CAME'}; mending")
    fault.mend(on)
    mended = time.monotonic()
    if told is None:
        return row
    over = pagerduty.resolved(told.key, mended, within_s)
    tell(f"{fault.name}: {f'resolved {over.at - mended:.1f} s after it was mended' if over else 'NOT RESOLVED'}")
    return Row(
        fault.name,
        fault.does,
        fault.alert,
        fault.severity,
        round(told.at - broken, 1),
        round(over.at - mended, 1) if over else None,
        told.key,
        told.link,
        missing or wrong(fault, told),
    )


def missed(fault: Fault, pagerduty: PagerDuty, broken: float, within_s: float) -> str:
    """That the alert of a second fault did not come, where there is one."""
    if fault.second and not pagerduty.triggered(fault.second, broken, within_s):
        return f"{fault.second} did not come"
    return ""


def wrong(fault: Fault, told: Event) -> str:
    """What of a page is not as it must be."""
    if told.severity != SEVERITY[fault.severity]:
        return f"severity {told.severity} instead of {SEVERITY[fault.severity]}"
    runbook = Path(told.link.removeprefix("file://"))
    if runbook.parent != RUNBOOKS or not runbook.is_file():
        return f"its runbook link leads nowhere: {told.link!r}"
    return ""


class Teller:
    """Progress, with the seconds since the drill began; from any thread."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, line: str) -> None:
        """Say it."""
        with self._lock:
            print(f"{time.monotonic() - self.began:5.0f} s  {line}", file=sys.stderr, flush=True)


def drill(chosen: Sequence[Fault], on: LocalPlatform, pagerduty: PagerDuty, within_s: float, tell: Teller) -> list[Row]:
    """Face the faults: lanes side by side, each in order; the last lane after all others. Raises ProgramEnded."""
    rows: dict[str, Row] = {}
    failed: list[Exception] = []

    def go(lane: str) -> None:
        try:
            for fault in chosen:
                if fault.lane == lane:
                    rows[fault.name] = run_fault(fault, on, pagerduty, within_s, tell)
        except Exception as error:  # told by the main thread
            failed.append(error)

    for lanes in ({fault.lane for fault in chosen} - {LAST}, {LAST}):
        threads = [threading.Thread(target=go, args=(lane,), daemon=True) for lane in sorted(lanes)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for program in on.essential:
                program.check()
            time.sleep(0.2)
        if failed:
            raise failed[0]
    return [rows[fault.name] for fault in chosen]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; everything that it started is stopped when it returns."""
    given = _parse(arguments)
    chosen = [fault for fault in FAULTS if not given.only or fault.name in given.only]
    console = Console(stderr=True, highlight=False)
    try:
        watch.find()
    except watch.NoProgram as error:
        console.print(f"[red]{error}", soft_wrap=True)
        return 2
    home = given.folder.resolve()
    home.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{home}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"[red]another drill is at work in {home}; give another --folder", soft_wrap=True)
            return 2
        shutil.rmtree(home, ignore_errors=True)
        stop_on_signals()
        return _run(chosen, home, given, console)


def _run(chosen: Sequence[Fault], home: Path, given: argparse.Namespace, console: Console) -> int:
    tell, pagerduty, runbooks = Teller(), PagerDuty(), f"file://{RUNBOOKS}"
    on: LocalPlatform | None = None
    figures: ThreadingHTTPServer | None = None
    tell(
        f"durations are divided by {watch.FASTER}: an hour is a minute; counts of events within them are, too; shares, "
        "sizes, and how long a request or a job takes, are as they are"
    )
    try:
        with Processes(home) as processes:
            try:
                on = stage.build(home, processes, pagerduty.url, runbooks, tell)
                figures = serve_figures(home / "figures", on.figures_port)
                tell("callers call, the first jobs run")
                stage.first_jobs(on)
                tell("starting Prometheus and Alertmanager")
                ports, rules = [*on.pods.ports, on.figures_port], watch.rules(jobs.CRON)
                on.essential += watch.start(processes, home / "watch", ports, rules, pagerduty.url, runbooks)
                time.sleep(WARM_S)
                started = time.monotonic()
                rows = drill(chosen, on, pagerduty, given.within, tell)
            except (ProgramEnded, subprocess.CalledProcessError, OSError) as error:
                console.print(f"[red]{error}", soft_wrap=True)
                return 1
            finally:
                if on is not None:
                    on.close()
    except KeyboardInterrupt:
        console.print("\nStopped; so is everything that was started")
        return 1
    finally:
        if figures is not None:
            figures.shutdown()
            figures.server_close()
        pagerduty.close()
    seconds = time.monotonic() - tell.began
    also, unexplained = beside(pagerduty.events(), chosen)
    _show(rows, also, unexplained, seconds)
    apart = unreached({fault.alert for fault in FAULTS}.union(*({*fault.also, fault.second} for fault in FAULTS)))
    _show_unreached(apart)
    if given.json:
        document = {
            "factor": watch.FASTER,
            "seconds": round(seconds, 1),
            "of_them_faults": round(time.monotonic() - started, 1),
            "faults": [asdict(row) for row in rows],
            "also": also,
            "unexplained": unexplained,
            "unreached": [asdict(each) for each in apart],
        }
        given.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0 if all(row.good for row in rows) else 1


def beside(events: Sequence[Event], chosen: Sequence[Fault]) -> tuple[list[str], list[str]]:
    """Alerts that came beside those asked for: what the faults harm too, and what none of them explains."""
    came = {event.alert for event in events if event.action == "trigger"} - {fault.alert for fault in chosen}
    known = FROM_THE_START.union(*({*fault.also, fault.second} for fault in chosen))
    return sorted(came & known), sorted(came - known)


def _show(rows: Sequence[Row], also: Sequence[str], unexplained: Sequence[str], seconds: float) -> None:
    table = Table(title=f"{len(rows)} faults, durations divided by {watch.FASTER}", title_justify="left")
    for column in ("fault", "what is broken", "alert", "severity", "s to page", "s to resolve", "runbook", "dedup key"):
        table.add_column(column, justify="right" if column.startswith("s to") else "left", overflow="fold")
    for row in rows:
        told, over = (f"{s:.1f}" if s is not None else "[red]missing" for s in (row.told_s, row.resolved_s))
        runbook = f"[red]{row.wrong}" if row.wrong else row.runbook.rpartition("/")[2]
        table.add_row(row.fault, row.does, row.alert, row.severity, told, over, runbook, row.dedup_key[:12])
    Console(highlight=False, width=None if sys.stdout.isatty() else 150).print(table)
    for said, names in (("the faults' other alerts", also), ("alerts that no fault explains", unexplained)):
        if names:
            print(f"{said}: {', '.join(names)}")
    missing = [row.fault for row in rows if not row.good]
    said = f"MISSING: {', '.join(missing)}" if missing else "every fault was told of, and resolved once mended"
    print(f"{said}; {seconds:.0f} s in all")


def _show_unreached(apart: Sequence[Unreached]) -> None:
    print("\nalerts that this drill does not reach, and where they are proven:")
    for each in apart:
        print(f"  {each.proven_in}: {', '.join(each.alerts)} ({each.why})")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/drill",
        description=__doc__,
        epilog=f"faults:\n{_listed()}\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [fault.name for fault in FAULTS]
    parser.add_argument("--only", action="append", choices=names, metavar="FAULT", help="only this one; again for more")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there as JSON")
    parser.add_argument(
        "--within", type=float, default=120.0, metavar="S", help="seconds for a page, and for its end (default: 120)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / ".platform/drill",
        help="where everything and its logs are, emptied at the start (default: .platform/drill)",
    )
    given = parser.parse_args(arguments)
    if not 0 < given.within <= 600:
        parser.error(f"--within {given.within:g} is not between 0 and 600")
    return given


def _listed() -> str:
    return "".join(f"  {f.name:9} {f.does:30} {f.alert} ({f.severity})\n" for f in faults.FAULTS)


if __name__ == "__main__":
    sys.exit(main())
