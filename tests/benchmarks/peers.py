"""The servers that are compared: how each is started, asked and understood."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from monitoring.review.commit import RefError, unpack
from service.local.processes import Processes, Program, free
from service.model.schema import LeadSchema
from tests.benchmarks.serving.callers import AUDIENCE, Callers

ROOT = Path(__file__).parents[2]
APPS = ROOT / "tests/benchmarks/apps"
Records = list[dict[str, Any]]


@dataclass(frozen=True)
class Peer:
    """`environment` is one of scripts/env, None: this one. `body` makes a request of prepared leads; `scores` reads an
    answer, None: it gives none."""

    name: str
    environment: str | None
    command: Callable[[Path, int], list[str]]
    health: str
    path: str
    body: Callable[[Records], bytes]
    scores: Callable[[Any], list[float]] | None


def _uvicorn(app: str) -> Callable[[Path, int], list[str]]:
    return lambda bin_, port: [
        *(str(bin_ / "uvicorn"), "--no-access-log", "--log-level", "warning"),
        *("--port", str(port), "--app-dir", str(APPS), app),
    ]


def _ours(leads: Records) -> bytes:
    return msgspec.json.encode({"leads": [{"features": lead} for lead in leads]})


def _plain(leads: Records) -> bytes:
    return msgspec.json.encode({"leads": leads})


def _dataframe(leads: Records) -> bytes:
    """As the model's signature, taken from its training, has them: booleans are numbers."""
    plain = [{name: float(v) if isinstance(v, bool) else v for name, v in lead.items()} for lead in leads]
    return msgspec.json.encode({"dataframe_records": plain})


OURS = Peer(
    "ours",
    None,
    lambda bin_, _: [str(bin_ / "python"), "-m", "service.api"],
    "/readyz",
    "/v1/score",
    _ours,
    lambda answer: [each["score"] for each in answer["scores"]],
)
EMPTY = Peer("empty FastAPI endpoint", "tutorial", _uvicorn("floors:empty"), "/health", "/score", _ours, None)
RAW = Peer("raw ASGI", "tutorial", _uvicorn("floors:raw"), "/health", "/score", _ours, None)
TUTORIAL = Peer(
    "tutorial", "tutorial", _uvicorn("tutorial:app"), "/health", "/score", _plain, lambda answer: answer["scores"]
)
MLFLOW = Peer(
    "mlflow models serve",
    "mlflow",
    lambda bin_, port: [
        *(str(bin_ / "mlflow"), "models", "serve", "-m", os.path.join("{folder}", "mlflow")),
        *("--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)),
    ],
    "/health",
    "/invocations",
    _dataframe,
    lambda answer: [each[1] for each in answer["predictions"]],
)
BENTOML = Peer(
    "BentoML",
    "bentoml",
    lambda bin_, port: [
        *(str(bin_ / "bentoml"), "serve", "bento:Scoring", "--working-dir", str(APPS)),
        *("--host", "127.0.0.1", "--port", str(port)),
    ],
    "/readyz",
    "/score",
    _plain,
    lambda answer: list(answer),
)
FLOORS, OTHERS = (EMPTY, RAW), (MLFLOW, BENTOML, TUTORIAL)


def ours_at(commit: str, folder: Path) -> Peer:
    """The service as a commit of this repository has it, checked out into `folder`. Raises ProgramMissing."""
    try:
        unpack(commit, folder, ROOT, "service")
    except RefError as error:
        raise ProgramMissing(f"{commit}: {error}") from error
    # `python -m` looks in the working directory first.
    return replace(OURS, name=f"ours at {commit}", command=lambda *at: ["env", "-C", str(folder), *OURS.command(*at)])


def install(peer: Peer) -> Path:
    """The folder of the programs of its environment. Raises ProgramMissing with the reason where there is none."""
    if peer.environment is None:
        return Path(sys.prefix) / "bin"
    return installed(peer.environment)


def installed(environment: str) -> Path:
    """The folder of the programs of one of scripts/env's for benchmarks. Raises ProgramMissing with the reason."""
    done = subprocess.run(
        [ROOT / "scripts/env", f"bench-{environment}"], stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise ProgramMissing((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    return ROOT / ".platform/bench" / environment / "bin"


class ProgramMissing(Exception):
    """A peer that cannot be installed; the message says why."""


@dataclass(frozen=True)
class Running:
    """A peer that answers on this port."""

    peer: Peer
    program: Program
    port: int

    def processor_s(self) -> float:
        """Seconds that it and its children have computed."""
        return processor_s(self.program.pid)


def processor_s(program: int) -> float:
    """Seconds that this process and its children, those that ended too, have computed.

    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    parents, ticks = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            fields, pid = stat.read_text().rpartition(") ")[2].split(), int(stat.parent.name)
            parents[pid], ticks[pid] = int(fields[1]), sum(map(int, fields[11:15]))
    family = {program}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return sum(ticks.get(pid, 0) for pid in family) / os.sysconf("SC_CLK_TCK")


def start(peer: Peer, processes: Processes, folder: Path, callers: Callers, schema: LeadSchema, core: int) -> Running:
    """Start it on this core, from the models in `folder`, and wait until it answers."""
    running = launch(peer, processes, folder, callers, schema, ["taskset", "-c", str(core)])
    running.program.wait_until_answers(f"http://127.0.0.1:{running.port}{peer.health}")
    return running


def launch(
    peer: Peer, processes: Processes, folder: Path, callers: Callers, schema: LeadSchema, by: Sequence[str] = ()
) -> Running:
    """Start it, and do not wait. `by` is what its command is handed to."""
    bin_, port = install(peer), free()
    audience = folder / "audience"
    audience.write_text(AUDIENCE)
    environment = {
        "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
        "BENCH_MODEL": str(folder / "mlflow/model.skops"),
        "BENCH_SCHEMA": json.dumps({feature.name: feature.kind for feature in schema.features}),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "BENTOML_DO_NOT_TRACK": "True",
        "LEADSCORING_MODELS_URL": str(folder / "models"),
        "LEADSCORING_PREDICTIONS_URL": str(folder / "predictions"),
        "LEADSCORING_SPOOL_DIR": str(folder / "spool"),
        "LEADSCORING_SPOOL_MAX_BYTES": "4000000000",
        "LEADSCORING_PORT": str(port),
        "LEADSCORING_IAP_AUDIENCE_FILE": str(audience),
        "LEADSCORING_IAP_KEYS_URL": callers.keys_url,
    }
    command = [part.replace("{folder}", str(folder)) for part in peer.command(bin_, port)]
    program = processes.start(peer.name.replace(" ", "-"), [*by, *command], environment)
    return Running(peer, program, port)


def records(frame: pd.DataFrame, schema: LeadSchema) -> Records:
    """Prepared leads as JSON holds them, for all peers alike: a missing number is null, a boolean is one."""
    booleans = schema.named("boolean")

    def told(name: str, value: Any) -> Any:
        if value != value:
            return None
        return bool(value) if name in booleans else value

    return [{str(n): told(str(n), v) for n, v in row.items()} for row in frame.to_dict("records")]


def chunks(leads: Sequence[dict[str, Any]], size: int, count: int) -> list[Records]:
    """`count` requests of `size` leads each, distinct and in turn."""
    twice = [*leads, *leads]
    step = max(1, len(leads) // count)
    return [twice[(i * step) % len(leads) : (i * step) % len(leads) + size] for i in range(count)]
