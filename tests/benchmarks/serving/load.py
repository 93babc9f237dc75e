"""Load from one core by wrk, which a server in Python never outruns: https://github.com/wg/wrk"""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from service.local.processes import ProgramEnded

TIMEOUT_S = 60

# wrk.format is called once a request, before the load; what wrk sends is one of them after the other.
# summary.errors and latency:percentile (microseconds): https://github.com/wg/wrk/blob/4.1.0/SCRIPTING
SCRIPT = """
local requests, at = {}, 0
function init(arguments)
  for line in io.lines(arguments[1]) do
    local kind, caller, body = line:match("^(%S*) (%S*) (.*)$")
    local headers = {["Content-Type"] = "application/json"}
    if caller ~= "-" then headers[kind] = caller end
    requests[#requests + 1] = wrk.format("POST", arguments[2], headers, body)
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nFIGURES {"requests": %d, "seconds": %.6f, "errors": %d, "p50": %.6f, "p99": %.6f}\\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
"""


class Load(NamedTuple):
    """What one round saw; times in seconds."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p99: float


class Requests:
    """Distinct requests to one address, sent in turn. `callers` are values of `header`, one after the other."""

    def __init__(
        self, folder: Path, name: str, port: int, path: str, bodies: Sequence[bytes], callers: Sequence[str] = ("-",)
    ) -> None:
        self._port, self._path, self._header = port, path, "x-goog-iap-jwt-assertion"
        self._script, self._lines = folder / "load.lua", folder / f"{name}.requests"
        self._script.write_text(SCRIPT)
        with self._lines.open("wb") as file:
            for number, body in enumerate(bodies):
                file.write(f"{self._header} {callers[number % len(callers)]} ".encode() + body + b"\n")

    def send(self, connections: int, seconds: float, core: int) -> Load:
        """Send them from this core for so long (wrk counts whole seconds). Raises ProgramEnded when wrk fails."""
        wrk: list[str] = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s"]
        command = [
            *wrk,
            "--timeout",
            f"{TIMEOUT_S}s",
            "-s",
            str(self._script),
            f"http://127.0.0.1:{self._port}{self._path}",
        ]
        done = subprocess.run(
            [*command, "--", str(self._lines), self._path],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + 2 * TIMEOUT_S,
        )
        _, found, figures = done.stdout.partition("FIGURES ")
        if done.returncode or not found:
            raise ProgramEnded(f"wrk failed with exit code {done.returncode}: {done.stderr or done.stdout}")
        return Load(**json.loads(figures))


def missing() -> str | None:
    """Why no load can be made on this machine, or None."""
    absent = [program for program in ("wrk", "taskset") if shutil.which(program) is None]
    return f"{', '.join(absent)} not found; scripts/install-system installs what is missing" if absent else None
