"""A container of the scoring image, as hardened as in production, on buckets of fake-gcs-server."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from service.storage import Storage
from tests.conftest import HANG_S, free_port
from tests.containers.engine import Engine
from tests.containers.hardening import HARDENED, MEMORY, state
from tests.service.forge import LEAD

OPTIONS = (
    *HARDENED,
    "--tmpfs=/spool:uid=10001,mode=0700",
    f"--memory={MEMORY}",
    "--health-interval=1s",
)


@dataclass(frozen=True)
class Service:
    """A container that serves scores, and what it writes to."""

    container: str
    http: httpx.Client
    models: Storage
    predictions: Storage
    first_score_s: float  # from the start of the container, by wall clock


@contextmanager
def scoring(engine: Engine, image: str, gcs: str, models: Storage, predictions: Storage) -> Iterator[Service]:
    """The image, running, once it has given its first score with the bundle in `models`."""
    port = str(free_port())
    environment = {
        "STORAGE_EMULATOR_HOST": gcs,
        "LEADSCORING_MODELS_URL": models.url,
        "LEADSCORING_PREDICTIONS_URL": predictions.url,
        "LEADSCORING_SPOOL_DIR": "/spool",
        "LEADSCORING_POLL_SECONDS": "0.2",
        "LEADSCORING_UPLOAD_SECONDS": "3600",  # so that only a clean stop uploads
        "LEADSCORING_PORT": port,
        "LEADSCORING_ALLOW_ANONYMOUS": "true",  # the image listens on all addresses, and here no proxy is in front
    }
    variables = [f"--env={name}={value}" for name, value in environment.items()]
    with (
        engine.container(image, *OPTIONS, *variables) as container,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=HANG_S, trust_env=False) as http,
    ):
        deadline = time.monotonic() + HANG_S
        while not is_ready(http):
            assert time.monotonic() < deadline, engine.run("logs", container)
            time.sleep(0.02)
        assert http.post("/v1/score", json=leads("first")).status_code == 200
        took = (datetime.now(UTC) - datetime.fromisoformat(state(engine, container)["StartedAt"])).total_seconds()
        yield Service(container, http, models, predictions, took)


def leads(*ids: str) -> dict[str, Any]:
    """A request for scores of these leads."""
    return {"leads": [{"lead_id": each, "features": LEAD} for each in ids]}


def is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
