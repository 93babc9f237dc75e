"""The model that all are compared with: boosted trees on the sample's leads, as our bundle and as MLflow's model."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.sample import Sample
from service.lifecycle.data.source import Source
from service.lifecycle.training import onnx_export
from service.lifecycle.training.candidates import candidates
from service.lifecycle.training.golden import golden
from service.lifecycle.training.reference_profile import describe
from service.model import bundle
from service.model.bundle import Band, Bundle, Economics, Manifest, Pointer, Provenance
from service.model.schema import LeadSchema
from service.storage import Folder

TRAINED_ON = 8_000


def train(folder: Path, rows: int = TRAINED_ON) -> tuple[Bundle, Pipeline, Path]:
    """A bundle published below `folder/models`, its pipeline, and that as MLflow's model in `folder/mlflow`."""
    # Imported here: it takes seconds, and warns of type hints of its own.
    import mlflow.sklearn
    from mlflow.models import infer_signature

    from service import tracking

    source = Source(
        name="bench",
        sample=Sample(rows=rows),
        target_column="converted",
        positive=True,
        id_column="lead_id",
        time_column="created_at",
        leaks=("contract_value",),
        metric="profit",
        economics=Economics(conversion_value=400, contact_cost=25),
    )
    leads = load(source)
    pipeline: Pipeline = candidates(leads.schema, leads.frame)["gradient_boosting"]
    with threadpool_limits(1):  # two threads that wait for each other are slower
        pipeline.fit(leads.frame, leads.target)
    models = Folder(folder / "models")
    pointer = _publish(models, source, leads, pipeline)
    mlflow.sklearn.save_model(
        pipeline,
        folder / "mlflow",
        signature=infer_signature(leads.frame.head(100)),
        pyfunc_predict_fn="predict_proba",
        pip_requirements=[],
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
        skops_trusted_types=tracking.TRUSTED,
    )
    return bundle.load(models, pointer), pipeline, folder / "mlflow"


def _publish(models: Folder, source: Source, leads: Leads, pipeline: Pipeline) -> Pointer:
    exported = onnx_export.to_onnx(pipeline)
    now = datetime.now(UTC)
    manifest = Manifest(
        version=bundle.new_version(exported.onnx, now),
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
            rows=len(leads.target),
            trained_at=now,
            candidate="gradient_boosting",
            git_commit=None,
            mlflow_run_id="none",
        ),
    )
    scores = pipeline.predict_proba(leads.frame)[:, 1]
    about = describe(leads.schema, leads.frame, leads.frame, scores, leads.target, manifest.threshold)
    invented = golden(pipeline, leads.schema, leads.frame)
    sums = bundle.publish(models, manifest, exported.onnx, invented, "# Of a benchmark", about)
    pointer = Pointer(version=manifest.version, sums_sha256=sums, moved_at=now, moved_by="bench", reason="bench")
    bundle.move_pointer(models, pointer, None)
    return pointer


def prepared(frame: pd.DataFrame, schema: LeadSchema) -> pd.DataFrame:
    """Leads as the pipeline takes them: numbers and booleans as float64, a missing category as ""."""
    return pd.DataFrame(
        {
            f.name: frame[f.name].fillna("").astype(object) if f.kind == "category" else frame[f.name].astype(float)
            for f in schema.features
        }
    )
