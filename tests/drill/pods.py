"""The pods of the service: a process each. What the cluster would say of them is exported as kube-state-metrics does.

Of its metrics of a Deployment there are three, with one label:
https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/deployment-metrics.md
Nothing starts a pod again that was killed: a node that is gone takes its pods with it.
"""

import http.client
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.local.processes import Program, free

NAMES = ("a", "b")
NEXT = "next"
"""The pod that a roll-out starts beside the others (maxSurge)."""
Run = Callable[[str, int, dict[str, str]], Program]
"""Starts a pod of this name at this port, with settings that differ, and does not wait for it."""


@dataclass
class Pod:
    """One process of the service. `updated`: it runs what was rolled out last. `serving`: requests are sent to it."""

    port: int
    program: Program | None = None
    updated: bool = True
    serving: bool = False

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.program is not None and self.program.running

    @property
    def ready(self) -> bool:
        """Whether it says so itself."""
        if not self.running:
            return False
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            asked.request("GET", "/readyz")
            return asked.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            asked.close()


class Pods(Collector):
    """A Deployment of two pods, and its figures."""

    def __init__(self, run: Run) -> None:
        self.of = {name: Pod(free()) for name in (*NAMES, NEXT)}
        self._run = run
        registry = CollectorRegistry()
        registry.register(self)
        self._server, _ = start_http_server(0, "127.0.0.1", registry)

    @property
    def ports(self) -> tuple[int, ...]:
        """Where Prometheus finds the pods and the cluster's figures."""
        return (*(pod.port for pod in self.of.values()), self._server.server_port)

    def backends(self) -> tuple[int, ...]:
        """Where requests go: to pods that were ready when they started."""
        return tuple(pod.port for pod in self.of.values() if pod.serving)

    def start(self) -> None:
        """Start those that should run and do not; return when all score. Raises ProgramEnded."""
        started = {name: pod for name in NAMES if not (pod := self.of[name]).running}
        for name, pod in started.items():
            pod.serving, pod.program = False, self._run(name, pod.port, {})
        for pod in started.values():
            if pod.program:
                pod.program.wait_until_answers(f"http://127.0.0.1:{pod.port}/readyz")
            pod.serving = True

    def kill(self, *names: str) -> None:
        """As the kernel does to what uses too much memory."""
        for pid in self.pids(*names):
            os.kill(pid, signal.SIGKILL)

    def pids(self, *names: str) -> list[int]:
        """The process ids of those of these that live."""
        return [pod.program.pid for name in names if (pod := self.of[name]).program and pod.running]

    def roll_out(self, settings: dict[str, str]) -> None:
        """Start a pod with other settings beside the old ones, which go only when it is ready (maxUnavailable: 0)."""
        for name in NAMES:
            self.of[name].updated = False
        self.of[NEXT].program = self._run(NEXT, self.of[NEXT].port, settings)

    def roll_back(self) -> None:
        """The old pods are what should run."""
        self.kill(NEXT)
        for name in NAMES:
            self.of[name].updated = True

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The Deployment's figures now."""
        pods = list(self.of.values())
        for what, value in (
            ("spec_replicas", len(NAMES)),
            ("status_replicas_available", sum(pod.ready for pod in pods)),
            ("status_replicas_updated", sum(pod.running and pod.updated for pod in pods)),
        ):
            figure = GaugeMetricFamily(f"kube_deployment_{what}", what.replace("_", " "), labels=["deployment"])
            figure.add_metric(["scoring"], value)
            yield figure

    def close(self) -> None:
        """Export no longer."""
        self._server.shutdown()
        self._server.server_close()
