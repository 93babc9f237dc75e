"""Model versions to swap between: really trained on the built-in sample, each on other leads."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from service.lifecycle.data.leads import load
from service.lifecycle.data.sample import Sample, generate
from service.lifecycle.data.source import load_source
from service.lifecycle.training import onnx_export
from service.lifecycle.training.candidates import candidates
from service.lifecycle.training.golden import golden
from service.lifecycle.training.reference_profile import describe
from service.model import bundle
from service.model.bundle import Band, Bundle, Manifest, Pointer, Provenance
from service.storage import Storage

EXAMPLE = Path(__file__).parents[2] / "service/examples/sample.toml"
ROWS = 2_000
"""Leads that each is trained on: enough to differ, few enough to be quick."""


def publish(models: Storage, count: int) -> list[tuple[Pointer, Bundle]]:
    """Train and publish so many versions; each loaded, under the pointer that puts it in service."""
    return [_publish(models, number) for number in range(count)]


def features(served: Bundle, count: int) -> list[dict[str, Any]]:
    """So many leads' features as a caller sends them; missing ones left out."""
    frame = generate(Sample(rows=count, seed=99)).frame
    makes = {"number": float, "boolean": bool, "category": str}
    schema = served.manifest.lead_schema.features
    return [
        {f.name: makes[f.kind](row[f.name]) for f in schema if not pd.isna(row[f.name])}
        for row in frame.to_dict("records")
    ]


def serve(models: Storage, pointer: Pointer) -> None:
    """Move the pointer from wherever it is."""
    current = bundle.read_pointer(models)
    bundle.move_pointer(models, pointer, current and current[1])


def _publish(models: Storage, number: int) -> tuple[Pointer, Bundle]:
    source = load_source(EXAMPLE).model_copy(update={"sample": Sample(rows=ROWS, seed=number + 1)})
    leads = load(source)
    pipeline = candidates(leads.schema, leads.frame, number)["logistic_regression"]
    pipeline.fit(leads.frame, leads.target)
    exported, now = onnx_export.to_onnx(pipeline), datetime.now(UTC)
    manifest = Manifest(
        version=f"soak-{number}",
        lead_schema=leads.schema,
        encoding=exported.encoding,
        threshold=source.economics.threshold,
        bands=(Band(name="A", min_score=0.3), Band(name="B", min_score=0.1), Band(name="C", min_score=0.0)),
        metric=source.metric,
        benchmark={},
        economics=source.economics,
        provenance=Provenance(
            source=source.name,
            data_sha256=leads.sha256,
            rows=ROWS,
            trained_at=now,
            candidate="logistic_regression",
            git_commit=None,
            mlflow_run_id="none",
        ),
    )
    scores = pipeline.predict_proba(leads.frame)[:, 1]
    about = describe(leads.schema, leads.frame, leads.frame, scores, leads.target, manifest.threshold)
    invented = golden(pipeline, leads.schema, leads.frame)
    sums = bundle.publish(models, manifest, exported.onnx, invented, "# Of a soak", about)
    pointer = Pointer(version=manifest.version, sums_sha256=sums, moved_at=now, moved_by="soak", reason="soak")
    return pointer, bundle.load(models, pointer)
