"""One instance of the real service on this machine, which can be killed and started again."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from service.local.processes import START_S, STOP_S


class Instance:
    """A process on a port of its own, with a spool of its own that outlives it."""

    def __init__(self, root: Path, name: str, port: int, **settings: object) -> None:
        self.name, self.port, self._log = name, port, root / f"{name}.log"
        given = {
            "models_url": root / "models",
            "predictions_url": root / "predictions",
            "spool_dir": root / name,
            "port": port,
            "poll_seconds": 1,
            "upload_seconds": 2,
            **settings,
        }
        self._environment = os.environ | {f"LEADSCORING_{key.upper()}": str(value) for key, value in given.items()}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready. Raises RuntimeError where it does not become so."""
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "service.api"]
            self._process = subprocess.Popen(command, env=self._environment, stdin=subprocess.DEVNULL, stderr=log)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"{self.name} did not become ready; the end of its log: {self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it at once, with -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it as the platform does; its exit code."""
        return self._end(signal.SIGTERM)

    def pss_mb(self) -> float:
        """Its proportional set size. https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html"""
        assert self._process is not None
        text = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1]) / 1e3

    def _end(self, sign: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(sign)
        try:
            return self._process.wait(2 * STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
