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


@pytest.fixture
def tracking(cluster: Cluster, gcs: str, tmp_path: Path, request: pytest.FixtureRequest) -> Tracking:
    """A server's settings, on an empty database and with a folder of the bucket of its own."""
    name = f"mlflow-{abs(hash(request.node.nodeid)) % 10**8}"
    return Tracking.on(cluster, name, gcs, tmp_path)
