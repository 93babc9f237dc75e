import math
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest

from service.lifecycle import batch
from service.lifecycle.runtime import cloud_monitoring
from service.model.bundle import Bundle
from service.storage import Folder
from tests.service import forge
from tests.service.lifecycle.monitoring import Monitoring


@pytest.fixture
def monitoring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Monitoring]:
    """A server of its own, which the jobs of this test write to."""
    fake, server = Monitoring(), grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((fake,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("LEADSCORING_MONITORING_EMULATOR", f"127.0.0.1:{port}")
    monkeypatch.setattr(cloud_monitoring, "_written", -math.inf)  # what another test wrote is no reason to wait
    yield fake
    server.stop(0).wait()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A folder that serves the forged bundle."""
    folder = Folder(tmp_path_factory.mktemp("models"))
    forge.release(folder)
    return folder


@pytest.fixture(scope="module")
def served(models: Folder) -> Bundle:
    """The bundle that is served from there."""
    return batch.load_bundle(models)
