"""Small bundles for tests: really trained, exported and published, in a fraction of a second."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from service.lifecycle.training.candidates import candidates
from service.lifecycle.training.golden import golden
from service.lifecycle.training.onnx_export import Exported, to_onnx
from service.lifecycle.training.reference_profile import count, describe
from service.model.agreement import Agreement
from service.model.bundle import (
    Band,
    Economics,
    Manifest,
    Pointer,
    Provenance,
    move_pointer,
    new_version,
    publish,
    read_pointer,
)
from service.model.reference import Counts, Reference
from service.model.schema import Feature, LeadSchema
from service.storage import Storage

SCHEMA = LeadSchema(
    features=(
        Feature(name="visits", kind="number"),
        Feature(name="days.since contact", kind="number", missing=(999.0,)),
        Feature(name="opted_in", kind="boolean"),
        Feature(name="industry", kind="category", missing=("unknown",)),
        Feature(name="region", kind="category"),
    )
)
LEAD = {"visits": 7, "days.since contact": 3.5, "opted_in": True, "industry": "retail", "region": "north"}


def rows(count: int = 600, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """A prepared frame in SCHEMA's order, with missing values of every kind, and outcomes that depend on it."""
    draw = np.random.default_rng(seed)
    visits = np.where(draw.random(count) < 0.1, np.nan, draw.poisson(5, count).astype(float))
    days = np.where(draw.random(count) < 0.3, np.nan, draw.exponential(20, count))
    opted = np.where(draw.random(count) < 0.1, np.nan, (draw.random(count) < 0.4).astype(float))
    industry = draw.choice(["retail", "health", "energy", ""], count, p=[0.5, 0.3, 0.1, 0.1]).astype(object)
    region = draw.choice(["north", "south"], count).astype(object)
    margin = np.nan_to_num(visits) * 0.4 - 3 + np.nan_to_num(opted) + (industry == "health")
    outcome = (draw.random(count) < 1 / (1 + np.exp(-margin))).astype(int)
    frame = pd.DataFrame(
        {"visits": visits, "days.since contact": days, "opted_in": opted, "industry": industry, "region": region}
    )
    return frame, outcome


def train(name: str = "logistic_regression", seed: int = 0) -> tuple[Pipeline, pd.DataFrame]:
    """One of the candidates, fitted, with the rows that it was fitted on."""
    frame, outcome = rows(seed=seed)
    pipeline = candidates(SCHEMA, frame, seed)[name]
    pipeline.fit(frame, outcome)
    return pipeline, frame


def reference(pipeline: Pipeline, seed: int = 0) -> Reference:
    """The reference of a test's model, made of the rows that it was fitted on."""
    frame, outcome = rows(seed=seed)
    return describe(SCHEMA, frame, frame, pipeline.predict_proba(frame)[:, 1], outcome.astype(np.int8), 0.4)


def counted(reference: Reference, frame: pd.DataFrame) -> list[Counts]:
    """The counts of these prepared leads by the bins and values of each feature, lead by lead."""
    return [count(column, frame[column.name].to_numpy()) for column in reference.features]


def manifest(
    exported: Exported,
    schema: LeadSchema = SCHEMA,
    version: str | None = None,
    run_id: str = "none",
    agreement: Agreement | None = None,
) -> Manifest:
    """What bundle.json of a test's bundle says."""
    return Manifest(
        version=version or new_version(exported.onnx),
        lead_schema=schema,
        encoding=exported.encoding,
        threshold=0.4,
        bands=(Band(name="A", min_score=0.6), Band(name="B", min_score=0.3), Band(name="C", min_score=0.0)),
        metric="profit",
        agreement=agreement,
        benchmark={"roc_auc": 0.8},
        economics=Economics(conversion_value=100, contact_cost=10),
        provenance=Provenance(
            source="forge",
            data_sha256="0" * 64,
            rows=600,
            trained_at=datetime.now(UTC),
            candidate="logistic_regression",
            git_commit=None,
            mlflow_run_id=run_id,
        ),
    )


def release(
    models: Storage,
    seed: int = 0,
    version: str | None = None,
    schema: LeadSchema = SCHEMA,
    new_schema: bool = False,
    run_id: str = "none",
    agreement: Agreement | None = None,
    **changes: object,
) -> Pointer:
    """Train, publish and point to a bundle, as a training does. `changes` are fields of its manifest."""
    pipeline, frame = train(seed=seed)
    exported = to_onnx(pipeline)
    described = manifest(exported, schema, version, run_id, agreement).model_copy(update=changes)
    sums = publish(
        models, described, exported.onnx, golden(pipeline, SCHEMA, frame), "# Card", reference(pipeline, seed)
    )
    return point(models, described.version, sums, new_schema)


def point(models: Storage, version: str, sums_sha256: str, new_schema: bool = False) -> Pointer:
    """Move the pointer from wherever it is."""
    try:
        current = read_pointer(models)
        generation = current and current[1]
    except Exception:
        stored = models.read("champion.json")
        generation = stored and stored.generation
    pointer = Pointer(
        version=version,
        sums_sha256=sums_sha256,
        moved_at=datetime.now(UTC),
        moved_by="a test",
        reason="test",
        new_schema=new_schema,
    )
    move_pointer(models, pointer, generation)
    return pointer
