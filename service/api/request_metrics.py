"""Counts and times every request, whatever answers it."""

import functools
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import metrics

ROUTES = frozenset({"/", "/v1/score", "/v1/model", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"})
"""Label values are a fixed set: a caller who makes up paths cannot make up time series."""
METHODS = frozenset({"GET", "POST", "HEAD"})

_requests = functools.cache(metrics.REQUESTS.labels)
_duration = functools.cache(metrics.DURATION.labels)


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

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except ClientDisconnect:
            status = 499  # nobody is there to answer, and it is no failure of ours
        finally:
            record(scope["path"], scope["method"], status, started)


def record(path: str, method: str, status: int, started: float) -> None:
    """Count a request that is answered now and began then (a time.perf_counter())."""
    route = path if path in ROUTES else "other"
    _requests(route, method if method in METHODS else "other", status).inc()
    _duration(route).observe(time.perf_counter() - started)
