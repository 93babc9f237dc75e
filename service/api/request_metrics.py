"""Counts and times every request, whatever answers it."""

import functools
import time
from collections.abc import Awaitable

from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import metrics

ROUTES = frozenset(
    {"/", "/v1/score", "/v1/score/cells", "/v1/model", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"}
)
"""Label values are a fixed set: a caller who makes up paths cannot make up time series."""
METHODS = frozenset({"GET", "POST", "HEAD"})


@functools.cache
def _series(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return metrics.REQUESTS.labels(route, method, status), metrics.DURATION.labels(route)


class RequestMetrics:
    """ASGI middleware. A request that ends in an exception counts as a 500, which is what its caller gets."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record the status of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        def watch(message: Message) -> Awaitable[None]:  # no coroutine of its own, which every message would pay for
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self._app(scope, receive, watch)
        except ClientDisconnect:
            status = 499  # nobody is there to answer, and it is no failure of ours
        finally:
            record(scope["path"], scope["method"], status, started)


def record(path: str, method: str, status: int, started: float) -> None:
    """Count a request that is answered now and began then (a time.perf_counter())."""
    route = path if path in ROUTES else "other"
    requests, duration = _series(route, method if method in METHODS else "other", status)
    requests.inc()
    duration.observe(time.perf_counter() - started)
