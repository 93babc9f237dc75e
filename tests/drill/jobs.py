"""The jobs' schedule on the faster clock: each a real run of the real job, never two of one at once."""

import sys
import threading
import time
from pathlib import Path

from service.local.processes import Processes, Program
from tests.drill.watch import FASTER

CRON = {"drift": ("*/30 * * * *", 10), "batch": ("*/30 * * * *", 10)}
"""Each half an hour, ten minutes long at most: what is daily in the cloud would keep a drill waiting for 25 minutes."""
EVERY_S = {
    "drift": 30 * 60 / FASTER,
    "batch": 30 * 60 / FASTER,
    "heartbeat": 15 * 60 / FASTER,
    "probe": 5 * 60 / FASTER,
}
WINDOW_S = 15
"""Of leads that drift looks at."""
TICK_S = 0.2


class Jobs(threading.Thread):
    """Starts what is due. What is in `silenced` is not started, as by a paused schedule."""

    def __init__(self, processes: Processes, commands: dict[str, list[str]], environment: dict[str, str]) -> None:
        super().__init__(name="jobs", daemon=True)
        self.silenced: set[str] = set()
        self._processes, self._commands, self._environment = processes, commands, environment
        self._over = threading.Event()
        self._due = dict.fromkeys(commands, 0.0)
        self._running: dict[str, Program] = {}

    def run(self) -> None:
        """Look at the clock on and on."""
        while not self._over.wait(TICK_S):
            now = time.monotonic()
            for name, due in self._due.items():
                if due > now or name in self.silenced or (name in self._running and self._running[name].running):
                    continue
                self._due[name] = now + EVERY_S[name]
                self._running[name] = self._processes.start(f"job-{name}", self._commands[name], self._environment)

    def stop(self) -> None:
        """Start no more."""
        self._over.set()
        if self.is_alive():
            self.join(15)


def commands(source: Path, home: Path, tracking: str, door: str, policies: list[str]) -> dict[str, list[str]]:
    """How each job is called, with places as scripts/up has them."""
    metrics, models, leads = str(home / "figures"), str(home / "store"), home / "leads"
    drift = ["--source", str(source), "--models", models, "--predictions", str(home / "predictions")]
    drift += ["--leads", str(leads), "--tracking", tracking, "--metrics", metrics]
    drift += ["--days", f"{WINDOW_S / 86_400:.9f}", "--leads-at-least", "100"]
    batch = ["--models", models, "--input", str(leads / "batch"), "--out", str(home / "scored"), "--metrics", metrics]
    heartbeat = ["--project", "local", "--address-file", str(home / "heartbeat-address")]
    heartbeat += ["--policies", *policies]
    probe = ["--door", door, "--metrics", metrics]
    return {
        name: [sys.executable, "-m", f"service.lifecycle.{name}", *arguments]
        for name, arguments in (("drift", drift), ("batch", batch), ("heartbeat", heartbeat), ("probe", probe))
    }
