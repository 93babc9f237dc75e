"""Lets in callers whom the identity-aware proxy vouches for; health and metrics are open to anyone."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import metrics, problem
from service.api.identity import WAIT_S, IdentityRefused, Unavailable, UnknownKey, Verifier
from service.api.problem import Problem

HEADER = "x-goog-iap-jwt-assertion"
OPEN = frozenset({"/healthz", "/readyz", "/metrics"})
"""Health checks of the load balancer and the scrape of the collector carry no assertion."""


class Authenticate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, verifier: Verifier) -> None:
        self._app, self._verifier = app, verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with 401 or 503."""
        if scope["type"] == "http" and scope["path"] not in OPEN:
            try:
                await self._verify(dict(scope["headers"]).get(HEADER.encode(), b"").decode("latin-1"))
            except Problem as refusal:
                await problem.response(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _verify(self, assertion: str) -> None:
        try:
            try:
                self._verifier.verify(assertion)
            except UnknownKey as unknown:
                await asyncio.wait([asyncio.wrap_future(unknown.fetch)], timeout=WAIT_S)
                self._verifier.verify(assertion)
        except IdentityRefused as refusal:
            metrics.CALLERS_REFUSED.labels(refusal.reason).inc()
            raise Problem(401, f"the {HEADER} header is refused: {refusal.reason.replace('_', ' ')}") from None
        except Unavailable as error:
            raise Problem(503, str(error), retry_s=10) from None
