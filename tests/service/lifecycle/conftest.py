import math
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest

from service.lifecycle.runtime import cloud_monitoring
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
