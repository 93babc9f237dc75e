"""The real service in a process of its own, on a free port."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from service.records import PredictionRecord, read_object
from service.storage import open_storage
from tests.conftest import HANG_S, free_port, wait_for

JSON = {"Content-Type": "application/json"}


class Server:
    """Start it on folders below `root`; settings are given by name, `poll_seconds=0.1`. `launcher` is a program that
    starts it, as `prlimit` does."""

    def __init__(
        self,
        root: Path,
        models: str | None = None,
        ready: bool = True,
        launcher: Sequence[str] = (),
        **settings: object,
    ) -> None:
        self.root, self.models = root, open_storage(models or str(root / "store"))
        self.port = free_port()
        self.log = root / "service.log"
        given = {
            "models_url": self.models.url,
            "predictions_url": str(root / "predictions"),
            "spool_dir": str(root / "spool"),
            "port": self.port,
            "poll_seconds": 0.05,
            **settings,
        }
        environment = {f"LEADSCORING_{name.upper()}": str(value) for name, value in given.items()}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*launcher, sys.executable, "-W", "error", "-m", "service.api"],
                env={**os.environ, **environment},
                stderr=log,
            )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=HANG_S, trust_env=False)
        try:
            wait_for(f"{self.http.base_url}/healthz", self.process)
            if ready:
                self.wait(lambda: self.http.get("/readyz").status_code == 200)
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def wait(self, true: Any, seconds: float = HANG_S) -> None:
        """Return when it is true."""
        import time

        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"not within {seconds} s: {self.log.read_text()[-2000:]}"
            time.sleep(0.02)

    def score(self, *leads: dict[str, Any], **headers: str) -> httpx.Response:
        """POST these leads."""
        return self.http.post("/v1/score", content=json.dumps({"leads": leads}), headers={**JSON, **headers})

    def explain(self, *leads: dict[str, Any]) -> httpx.Response:
        """POST these leads and ask for the reasons."""
        return self.http.post("/v1/score?explain=true", content=json.dumps({"leads": leads}), headers=JSON)

    def version(self) -> str:
        """The version in service."""
        return str(self.http.get("/readyz").json()["model_version"])

    def metric(self, sample: str) -> float:
        """The value of one sample of /metrics, 0 where there is none."""
        for line in self.http.get("/metrics").text.splitlines():
            if line.startswith(sample + " "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def logs(self) -> list[dict[str, Any]]:
        """Every line that it logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def records(self) -> list[PredictionRecord[Any]]:
        """Every record that it uploaded."""
        predictions = open_storage(str(self.root / "predictions"))
        stored = {key: predictions.read(key) for key in predictions.keys("predictions/")}
        return [record for key, each in stored.items() if each for record in read_object(each.data, key)]

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """End it; return its exit code."""
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(sign)
        return self.process.wait(HANG_S)
