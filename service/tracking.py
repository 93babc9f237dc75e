"""MLflow as the record of every training: runs, figures, plots, and models by version. Serving never depends on it."""

import logging
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version

import mlflow.sklearn
import msgspec
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow.entities import Metric, Param, RunTag
from mlflow.environment_variables import (
    MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT,
    MLFLOW_GCS_DOWNLOAD_CHUNK_SIZE,
    MLFLOW_GCS_UPLOAD_CHUNK_SIZE,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT,
)
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, Schema, TensorSpec
from sklearn.pipeline import Pipeline

from service.history import Decision
from service.tracking_auth import identify_to

ALIAS = "champion"
ANSWER_S = 60
"""For the first answer. A Cloud Run instance that is just starting, or a busy machine, takes more than 10 s to import
MLflow; where nothing listens the connection is refused at once."""
RETRIES = 3
"""Of a request, waiting 2, 4 and 8 s; MLflow's own 7 keep a person waiting for minutes after the server died."""

TRANSFER = {
    MLFLOW_HTTP_REQUEST_MAX_RETRIES: RETRIES,
    # Artifacts go to the bucket and come from it in pieces (bytes, a multiple of 256 KiB), of which one is in memory
    # and may take that many seconds: https://cloud.google.com/storage/docs/performing-resumable-uploads
    MLFLOW_GCS_UPLOAD_CHUNK_SIZE: 64 * 1024**2,
    MLFLOW_GCS_DOWNLOAD_CHUNK_SIZE: 64 * 1024**2,
    MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT: 300,
}
"""What MLflow is told unless its variables say otherwise."""

REQUIREMENTS = ("scikit-learn", "pandas", "numpy")
TRUSTED = [
    "numpy.dtype",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",  # of the next, which are a spline's lines
    "scipy.interpolate._bsplines.BSpline",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.model_selection._split.StratifiedKFold",
]
"""Types of the candidates that skops, MLflow's format for scikit-learn, loads only when told: the file is our own."""

MAX_PARAM = 6_000
"""MLflow refuses longer parameter values."""


class TrackingError(Exception):
    """The MLflow server does not answer or refuses; the message says which and what to do."""


@dataclass(frozen=True)
class Run:
    """A run in progress."""

    client: MlflowClient
    experiment: str
    id: str

    def log(self, params: Mapping[str, object], metrics: Mapping[str, float]) -> None:
        """Record parameters and figures; names may hold dots and slashes."""
        now = int(time.time() * 1000)
        batch = [Metric(name, value, timestamp=now, step=0) for name, value in metrics.items()]
        stated = [Param(name, str(value)[:MAX_PARAM]) for name, value in params.items()]
        self.client.log_batch(self.id, metrics=batch, params=stated)

    def note(self, tags: Mapping[str, str]) -> None:
        """Tag the run: what was decided, why, and the like."""
        self.client.log_batch(self.id, tags=[RunTag(name, value[:MAX_PARAM]) for name, value in tags.items()])

    def attach(self, texts: Mapping[str, str], plots: Mapping[str, Figure]) -> None:
        """Keep texts and plots (as PNG) beside the figures, by file name."""
        for name, text in texts.items():
            self.client.log_text(self.id, text, name)
        for name, figure in plots.items():
            self.client.log_figure(self.id, figure, name)

    def register(self, name: str, pipeline: Pipeline, frame: pd.DataFrame) -> str:
        """Log the model and register it under this name; return its version there.

        Of the frame only names and types are kept: no input example, for leads are personal data. The requirements
        are stated, because MLflow would find them out by running the model in another process.
        """
        mlflow.set_tracking_uri(self.client.tracking_uri)
        mlflow.set_experiment(experiment_id=self.experiment)
        inputs = [ColSpec("double" if t == "float64" else "string", n, required=False) for n, t in frame.dtypes.items()]
        outputs = [TensorSpec(np.dtype(np.float64), (-1, 2))]
        logged = Model.log(
            artifact_path=None,
            name="model",
            run_id=self.id,
            flavor=mlflow.sklearn,
            sk_model=pipeline,
            signature=ModelSignature(Schema(inputs), Schema(outputs)),
            pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
            pyfunc_predict_fn="predict_proba",
            serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
            skops_trusted_types=TRUSTED,
        )
        # Not by log(registered_model_name=...), which writes to the terminal.
        if not self.client.search_registered_models(f"name = '{name}'"):
            self.client.create_registered_model(name)
        registered = self.client.create_model_version(name, logged.model_uri, self.id, model_id=logged.model_id)
        return str(registered.version)


@contextmanager
def tracked_run(uri: str, experiment: str, tags: Mapping[str, str]) -> Iterator[Run]:
    """A run in this experiment, marked as failed when the block raises, with the error's type. Raises TrackingError.

    The message is not kept: it may quote a lead's cell, and MLflow keeps runs for ever.
    """
    client = _connect(uri)
    try:
        existing = client.get_experiment_by_name(experiment)
        experiment_id = existing.experiment_id if existing else client.create_experiment(experiment)
        run = Run(client, experiment_id, client.create_run(experiment_id, tags=dict(tags)).info.run_id)
    except MlflowException as error:
        raise TrackingError(f"MLflow at {uri} cannot start a run: {error}") from error
    try:
        yield run
    except BaseException as error:
        with suppress(MlflowException):  # the server may be what failed
            client.log_batch(run.id, tags=[RunTag("failure", type(error).__name__)])
            client.set_terminated(run.id, "FAILED")
        if isinstance(error, MlflowException):
            raise TrackingError(f"MLflow at {uri} refused: {error}") from error
        raise
    client.set_terminated(run.id)


def end_abandoned(uri: str, experiment: str, tags: Mapping[str, str]) -> None:
    """Mark runs with these tags that still count as running as killed: only for who knows that none of them lives."""
    client = _connect(uri)
    try:
        if existing := client.get_experiment_by_name(experiment):
            asked = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
            running = client.search_runs([existing.experiment_id], f"attributes.status = 'RUNNING' and {asked}")
            for run in running:
                client.set_terminated(run.info.run_id, "KILLED")
    except MlflowException as error:
        raise TrackingError(f"MLflow at {uri} cannot end abandoned runs: {error}") from error


def follow(uri: str, name: str, run_id: str, decision: Decision) -> None:
    """Give the alias `champion` to the version that came of this run, and note there the decision that was taken.

    The alias is thereby taken from the one before. Changes nothing where it is so already. Raises TrackingError.
    """
    client = _connect(uri)
    try:
        versions = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
        if not versions:
            raise TrackingError(
                f"MLflow at {uri} knows no version of {name!r} from the run {run_id}, whose model is served; was its "
                f"database restored or replaced? The alias {ALIAS!r} stays where it is"
            )
        version = versions[0]
        if str(client.get_registered_model(name).aliases.get(ALIAS)) != str(version.version):
            client.set_registered_model_alias(name, ALIAS, version.version)
        note = f"decision.{decision.time:%Y%m%dT%H%M%S.%fZ}"
        if note not in version.tags:
            client.set_model_version_tag(name, version.version, note, msgspec.json.encode(decision).decode())
    except MlflowException as error:
        raise TrackingError(f"MLflow at {uri} refused the alias {ALIAS!r}: {error}") from error


def _connect(uri: str) -> MlflowClient:
    """A client, after one quick question: MLflow's own would retry for two minutes where nothing listens."""
    if uri.startswith(("http://", "https://")):
        try:
            urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=ANSWER_S).close()  # noqa: S310 - http(s) only
        except urllib.error.HTTPError as answer:
            answer.close()  # somebody is there, and says to the client what it wants
        except OSError as error:
            raise TrackingError(f"MLflow at {uri} does not answer ({error}); scripts/up starts one") from error
    # Advice about git and requirements is for people who call MLflow themselves; errors still come through.
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
    for setting, value in TRANSFER.items():
        if not setting.is_set():
            setting.set(value)
    identify_to(uri)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    return MlflowClient(uri)
