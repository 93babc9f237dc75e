"""A small loop to retrain: a served champion, leads that were scored since, and what became of them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from service import records
from service.lifecycle.data.leads import load
from service.lifecycle.data.sample import Sample
from service.lifecycle.data.source import Source, load_source
from service.lifecycle.train import train
from service.lifecycle.training.golden import as_received
from service.model import bundle
from service.records import PredictionRecord
from service.storage import Storage, open_storage

EXAMPLE = Path(__file__).parents[3] / "service/examples/sample.toml"
SCORED_AT = datetime.now(UTC).replace(minute=5, second=0, microsecond=0) + timedelta(days=5)
NOW = SCORED_AT + timedelta(days=60)
ROWS, SCORED = 600, 2_400


@dataclass(frozen=True)
class Loop:
    """Where everything is."""

    toml: Path
    models: Storage
    predictions: Storage
    leads: Storage
    mlflow: str
    metrics: Path

    @property
    def source(self) -> Source:
        return load_source(self.toml)

    def arguments(self, *more: str) -> list[str]:
        """The command line of a job."""
        places = {"models": self.models.url, "predictions": self.predictions.url, "leads": self.leads.url}
        given = {"source": str(self.toml), **places, "tracking": self.mlflow, "metrics": str(self.metrics)}
        said = [part for name, value in given.items() for part in (f"--{name}", value)]
        return [*said, "--now", NOW.isoformat(), *more]

    def served(self) -> bundle.Bundle:
        """What the pointer names, loaded and verified as the service does it."""
        pointed = bundle.read_pointer(self.models)
        assert pointed is not None
        return bundle.load(self.models, pointed[0])

    def killed(self, step: str) -> int:
        """The exit status of a retraining that is killed at this step, see `stopping`."""
        command = [sys.executable, "-m", "tests.service.lifecycle.stopping", step, json.dumps(self.arguments())]
        return subprocess.run(command, env=dict(os.environ), check=False, timeout=300).returncode


def write_source(folder: Path, name: str) -> Path:
    toml = folder / f"{name}.toml"
    text = EXAMPLE.read_text().replace('name = "sample"', f'name = "{name}"').replace("rows = 20_000", f"rows = {ROWS}")
    text = text.replace('metric = "profit"', 'metric = "roc_auc"')
    toml.write_text(text + '\n[recipe]\ncandidate = "logistic_regression"\n')
    return toml


def first_champion(folder: Path, name: str, mlflow_url: str) -> Path:
    """Train and serve a first model; return its folder."""
    toml = write_source(folder, name)
    train(load_source(toml), open_storage(str(folder / "models")), mlflow_url)
    return folder


def make(champion: Path, root: str, mlflow_url: str, metrics: Path, changed: bool = True) -> Loop:
    """A loop of its own that starts with this champion, below a folder or a gs:// address.

    `changed`: since it was trained, the region decides who converts.
    """
    (toml,) = champion.glob("*.toml")
    models, predictions, leads = (open_storage(f"{root}/{name}") for name in ("models", "predictions", "leads"))
    loop = Loop(toml, models, predictions, leads, mlflow_url, metrics)
    first = open_storage(str(champion / "models"))
    for key in first.keys(""):
        stored = first.read(key)
        assert stored is not None
        loop.models.create(key, stored.data)
    schema = loop.served().manifest.lead_schema
    sample = load(loop.source.model_copy(update={"sample": Sample(rows=SCORED, seed=5)}), schema)
    assert sample.ids is not None
    ids = [f"N{lead}" for lead in sample.ids]
    converted = sample.target.astype(bool)
    if changed:
        chance = np.where(sample.frame["region"] == "dach", 0.5, 0.03)
        converted = np.random.default_rng(0).random(SCORED) < chance
    scored = [
        PredictionRecord(
            request_id=f"r-{i}",
            lead_id=lead,
            time=SCORED_AT + timedelta(seconds=i),
            model_version=loop.served().version if i == 0 else "an older one",
            inputs=as_received(schema, row),
            score=0.1,
            decision="contact",
            band="A",
            latency_ms=1.0,
        )
        for i, (lead, row) in enumerate(zip(ids, sample.frame.to_dict("records"), strict=True))
    ]
    key = records.object_key(f"{SCORED_AT:%Y%m%dT%H%M%SZ}-test")
    loop.predictions.create(key, records.to_object(records.to_lines(scored)))
    lines = ["lead_id,converted", *(f"{lead},{str(said).lower()}" for lead, said in zip(ids, converted, strict=True))]
    loop.leads.create("outcomes/crm.csv", "\n".join(lines).encode())
    return loop


def run_out(loop: Loop) -> None:
    """The time passes after which a dead holder's lease is free."""
    stored = loop.models.read("leases/retrain.json")
    assert stored is not None
    terms = json.loads(stored.data) | {"until": 0.0}
    loop.models.swap("leases/retrain.json", json.dumps(terms).encode(), stored.generation)


def kill(*_: Any, **__: Any) -> None:
    """The machine stops here."""
    os.kill(os.getpid(), signal.SIGKILL)


def after(whole: Callable[..., Any], when: Callable[..., bool] = lambda *_: True) -> Callable[..., Any]:
    """The same, and where `when` says so of its arguments, the machine stops once it is done."""

    def wrapped(*arguments: Any, **named: Any) -> Any:
        made = whole(*arguments, **named)
        if when(*arguments):
            kill()
        return made

    return wrapped
