"""One PostgreSQL for all tests of this folder; a database for each that asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mlflow_server.cluster import Cluster, Unavailable, running_cluster
from tests.mlflow_server.server import Tracking


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A private PostgreSQL."""
    try:
        with running_cluster() as cluster:
            yield cluster
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def migrated_database(cluster: Cluster, gcs: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database that was migrated, to copy, which is quicker than another migration."""
    tracking = Tracking.on(cluster, "migrated", gcs, tmp_path_factory.mktemp("migrated"))
    tracking.migrate()
    return tracking.database


@pytest.fixture
def migrated(
    cluster: Cluster,
    migrated_database: str,
    gcs: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Tracking]:
    """Settings of a server whose database is ready, and this process as a client of it."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    tracking = Tracking.on(cluster, _name(request), gcs, tmp_path, migrated_database)
    yield tracking
    print(tracking.log.read_text()[-3000:] if tracking.log.exists() else "")


@pytest.fixture
def tracking(cluster: Cluster, gcs: str, tmp_path: Path, request: pytest.FixtureRequest) -> Tracking:
    """A server's settings, on an empty database and with a folder of the bucket of its own."""
    return Tracking.on(cluster, _name(request), gcs, tmp_path)


def _name(request: pytest.FixtureRequest) -> str:
    return f"mlflow-{abs(hash(request.node.nodeid)) % 10**8}"
