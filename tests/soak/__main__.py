"""`scripts/soak`: hours in minutes. Load, a swap every few seconds, a kill every minute, and every answer checked."""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from service.local.processes import free
from service.records import PredictionRecord, read_object
from service.storage import Folder
from tests.soak import versions
from tests.soak.instance import Instance
from tests.soak.limits import Limit, judge
from tests.soak.load import Callers, Door, Ledger

VERSIONS = 3
EXAMPLES = """examples:
  scripts/soak                                  20 minutes, as the README's figures were made
  scripts/soak --minutes 1 --kill 15 --swap 3   a short one
  scripts/soak --json soak.json                 the figures as JSON too

exit status: 0 done, 1 a limit was missed, 2 wrong use
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the services end with it
    console, out = Console(stderr=True), Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(Soak(Path(folder), console).run(options))
    table = Table("what became of them", "requests", title=f"{sum(figures['outcomes'].values()):,} requests")
    for name, count in figures["outcomes"].items():
        table.add_row(name, f"{count:,}")
    judged = Table("measured", "value", "limit", "", title="Limits")
    limits: list[Limit] = figures.pop("limits")
    for limit in limits:
        bounds = f"{limit.most:g}" if limit.least in (0, limit.most) else f"{limit.least:g} to {limit.most:g}"
        judged.add_row(limit.name, f"{limit.value:.4g}", bounds, "met" if limit.met else "MISSED")
    out.print(table)
    out.print(judged)
    out.print("{seconds:.0f} s, {swaps} swaps, {kills} kills, {scores:,} scores checked".format(**figures))
    out.print(
        "memory {memory_mb[0]:.0f} to {memory_mb[1]:.0f} MB; median {p50:.1f} ms, p99 {p99:.1f} ms".format(**figures)
    )
    out.print(figures["environment"])
    for line in figures["examples"]:
        out.print(line, soft_wrap=True)
    passed = all(limit.met for limit in limits)
    if options.json:
        # Readers of the file know the limits as `bars`.
        bars = {limit.name: {**limit._asdict(), "met": limit.met} for limit in limits}
        options.json.write_text(json.dumps({**figures, "bars": bars, "passed": passed}, indent=1) + "\n")
    return 0 if passed else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Two instances of the service under load, while models are swapped and one instance is killed "
        "again and again. Every score is computed again, every acknowledged one must have its record.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="of load (default: %(default)g)")
    parser.add_argument("--swap", type=float, default=10.0, metavar="S", help="seconds between swaps (default: 10)")
    parser.add_argument("--kill", type=float, default=60.0, metavar="S", help="seconds between kills (default: 60)")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second at most (default: %(default)g)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    options = parser.parse_args(arguments)
    if not (0.1 <= options.minutes <= 1440 and options.swap >= 2 and options.kill >= 5 and 1 <= options.rate <= 5000):
        parser.error("--minutes from 0.1 to 1440, --swap from 2, --kill from 5, --rate from 1 to 5000")
    if options.minutes * 60 < max(VERSIONS * options.swap, 1.2 * options.kill):
        parser.error(f"--minutes {options.minutes:g} has no time for {VERSIONS} swaps and a kill")
    return options


class Soak:
    """One run in a folder."""

    def __init__(self, folder: Path, console: Console) -> None:
        self._folder, self._console = folder, console
        self._over = asyncio.Event()
        self._memory_mb: list[float] = []
        self._swaps = 0

    async def run(self, options: argparse.Namespace) -> dict[str, Any]:
        """Its figures, with the limits under `limits`."""
        self._tell(f"training {VERSIONS} versions")
        models, ledger = Folder(self._folder / "models"), Ledger()
        published = await asyncio.to_thread(versions.publish, models, VERSIONS)
        versions.serve(models, published[0][0])
        doors = [Door(Instance(self._folder, name, free())) for name in ("killed", "survivor")]
        for door in doors:
            await asyncio.to_thread(door.instance.start)
            door.ready.set()
        engines = {served.version: served.engine for _, served in published}
        leads = versions.features(published[0][1], 500)
        began = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(Callers(doors, engines, leads, ledger).run(options.rate, self._over))
                group.create_task(self._swap([pointer for pointer, _ in published], models, options.swap))
                group.create_task(self._kill(doors[0], options.kill))
                group.create_task(self._watch(doors[1].instance, ledger))
                await asyncio.sleep(options.minutes * 60)
                self._over.set()
            seconds = time.monotonic() - began
        finally:
            codes = [door.instance.stop() for door in doors]
        if any(codes):
            ledger.errors.append(f"exit codes after SIGTERM: {codes}")
        self._tell("reading all records")
        limits = judge(ledger, self._records(), self._memory_mb, VERSIONS)
        return self._figures(ledger, limits, seconds, doors)

    async def _swap(self, pointers: Sequence[Any], models: Folder, every_s: float) -> None:
        while not await self._ended(every_s):
            self._swaps += 1
            versions.serve(models, pointers[self._swaps % len(pointers)])

    async def _kill(self, door: Door, every_s: float) -> None:
        while not await self._ended(every_s):
            door.ready.clear()
            door.kills.append(time.monotonic())
            door.instance.kill()
            await asyncio.to_thread(door.instance.start)
            door.ready.set()

    async def _watch(self, instance: Instance, ledger: Ledger) -> None:
        ticks = 0
        while not await self._ended(1):
            self._memory_mb.append(instance.pss_mb())
            ticks += 1
            if ticks % 30 == 0:
                sofar = f"{sum(ledger.outcomes.values()):,} requests, {len(ledger.errors)} errors"
                self._tell(f"{ticks} s: {sofar}, {len(ledger.wrong)} wrong, {self._memory_mb[-1]:.0f} MB")

    async def _ended(self, seconds: float) -> bool:
        """Wait so long, or until it is over."""
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _records(self) -> Iterator[PredictionRecord[Any]]:
        predictions = Folder(self._folder / "predictions")
        for key in predictions.keys("predictions/"):
            stored = predictions.read(key)
            if stored:
                yield from read_object(stored.data, key)

    def _figures(self, ledger: Ledger, limits: list[Limit], seconds: float, doors: Sequence[Door]) -> dict[str, Any]:
        cuts = quantiles(ledger.latencies_ms, n=100) if len(ledger.latencies_ms) > 1 else [float("nan")] * 99
        return {
            "outcomes": dict(ledger.outcomes),
            "limits": limits,
            "seconds": seconds,
            "swaps": self._swaps,
            "kills": sum(len(door.kills) for door in doors),
            "scores": len(ledger.acknowledged),
            "memory_mb": [min(self._memory_mb, default=0.0), max(self._memory_mb, default=0.0)],
            "p50": cuts[49],
            "p99": cuts[98],
            "environment": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}",
            "examples": (ledger.errors + ledger.wrong)[:10],
        }

    def _tell(self, doing: str) -> None:
        self._console.print(doing)


if __name__ == "__main__":
    sys.exit(main())
