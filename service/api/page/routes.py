"""GET / and what it loads, with headers that let it run nothing but its own script and style."""

import asyncio
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.page import files, view
from service.api.page.past import PastReader
from service.api.score import ScoreRoute
from service.api.watcher import Watcher

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Asked for again each time, and mostly answered with 304: a new version never meets an old script.
    "Cache-Control": "private, no-cache",
}


class Guarded:
    """ASGI middleware: adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, guarded)


def add_page(app: Starlette, watcher: Watcher, past: PastReader, scoring: ScoreRoute) -> None:
    """Add the page's routes to the app."""

    async def show(_: Request) -> Response:
        """The page as HTML; 503 while no model is in service."""
        known, fresh = await past.get()
        scorer, refused = watcher.scorer, watcher.refused
        if scorer is None:
            return HTMLResponse(view.waiting(), 503, {"Retry-After": "5"})
        return HTMLResponse(await asyncio.to_thread(view.render, scorer, known, fresh, refused))

    async def layout(request: Request) -> Response:
        """How a file is cut into cells, told from its first bytes."""
        head = await scoring.body(request.scope, request.receive, b"application/octet-stream")
        return _json(await scoring.in_turn(lambda: files.layout(head[: files.HEAD])))

    async def check(request: Request) -> Response:
        """Where a file's columns are, and which of its first rows cannot be read."""
        body = await scoring.body(request.scope, request.receive)
        return _json(await scoring.in_turn(lambda: files.check(watcher.served().bundle, body)))

    guard = [Middleware(Guarded)]
    static = StaticFiles(directory=Path(__file__).parent / "static")
    app.router.routes += [
        Route("/", show, middleware=guard),
        Route("/page/layout", layout, methods=["POST"], middleware=guard),
        Route("/page/check", check, methods=["POST"], middleware=guard),
        Mount("/page", static, middleware=guard),
    ]


def _json(found: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(found), media_type="application/json")
