"""Pods are real processes here, of a service that answers as it was told."""

import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.local.processes import Processes
from tests.drill.pods import NAMES, Pods

SERVICE = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[2]))
        self.end_headers()

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    with Processes(tmp_path) as processes:
        made = Pods(
            lambda name, port, settings: processes.start(
                name, [sys.executable, "-c", SERVICE, str(port), settings.get("answers", "200")], {}
            )
        )
        made.start()
        yield made
        made.close()


def figures(pods: Pods) -> tuple[float, ...]:
    """Wanted, available, updated."""
    with urllib.request.urlopen(f"http://127.0.0.1:{pods.ports[-1]}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return tuple(
        float(values[f'kube_deployment_{what}{{deployment="scoring"}}'])
        for what in ("spec_replicas", "status_replicas_available", "status_replicas_updated")
    )


def test_a_pod_that_is_killed_is_missing_until_it_is_started_again(pods: Pods) -> None:
    assert figures(pods) == (2, 2, 2)
    pods.kill(NAMES[1])
    assert figures(pods) == (2, 1, 1)
    assert len(pods.backends()) == 2  # nobody has told the load balancer
    pods.start()
    assert figures(pods) == (2, 2, 2)


def test_a_roll_out_that_stops_half_way_leaves_the_old_pods_ready_until_it_is_taken_back(pods: Pods) -> None:
    pods.roll_out({"answers": "503"})
    assert figures(pods) == (2, 2, 1)
    assert len(pods.backends()) == 2
    pods.roll_back()
    assert figures(pods) == (2, 2, 2)
