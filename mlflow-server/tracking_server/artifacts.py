"""Artifacts as the server reads them for its pages: capped, for it holds a whole one while it passes it on.

Clients are not concerned: they reach the bucket themselves.
"""

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.store.artifact import artifact_repository_registry
from mlflow.store.artifact.gcs_artifact_repo import GCSArtifactRepository


def cap(most: int) -> None:
    """From now on refuse artifacts of more bytes than that, with a message that says how to get them."""

    class Capped(GCSArtifactRepository):  # type: ignore[misc]  # MLflow has no types
        def _download_file(self, remote_file_path: str, local_path: str) -> None:
            bucket, root = self.parse_gcs_uri(self.artifact_uri)
            name = f"{root}/{remote_file_path}".strip("/")
            blob = self.client.bucket(bucket).get_blob(name, timeout=self._GCS_DEFAULT_TIMEOUT)
            if blob is not None and blob.size > most:
                raise MlflowException(
                    f"{remote_file_path} has {blob.size / 1e6:,.1f} MB; through this server at most "
                    f"{most / 1e6:,.1f} MB are shown or downloaded. Get it from the bucket: "
                    f"gcloud storage cp gs://{bucket}/{name} .",
                    error_code=INVALID_PARAMETER_VALUE,
                )
            super()._download_file(remote_file_path, local_path)

    # What the entry point `mlflow.artifact_repository` would do, for which a package must be installed.
    artifact_repository_registry._artifact_repository_registry.register("gs", Capped)
