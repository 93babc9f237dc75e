"""MLflow's application as each worker serves it: with a figure of readiness, and without what a server must not do."""

import threading
import time

from flask import Response
from mlflow.server import app as pages
from mlflow.server.fastapi_app import app
from starlette.types import ASGIApp, Receive, Scope, Send

from tracking_server import artifacts
from tracking_server.database import unreadiness
from tracking_server.settings import Server

# MLflow's assistant runs a shell on the server's machine for whoever seems to sit at it, as everybody behind a proxy
# on the same machine does.
ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
KEEP_S = 5.0
"""How long a figure is given again: asking often is no load on the database."""


class WithoutAssistant:
    """Middleware that answers 404 for the assistant."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(ASSISTANT):
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self.app(scope, receive, send)


class Readiness:
    """Whether a new login to the database works, asked at most once in some seconds."""

    def __init__(self, server: Server) -> None:
        self._server, self._lock = server, threading.Lock()
        self._at, self._problem, self._seconds = float("-inf"), None, 0.0  # type: float, str | None, float

    def __call__(self) -> tuple[str | None, float]:
        """Why it does not work (None: it does), and the seconds it took to know."""
        with self._lock:
            if (began := time.monotonic()) - self._at > KEEP_S:
                self._problem = unreadiness(self._server)
                self._at = time.monotonic()
                self._seconds = self._at - began
            return self._problem, self._seconds


server = Server()  # values come from the environment
readiness = Readiness(server)
artifacts.cap(server.download_max_bytes)
app.add_middleware(WithoutAssistant)


def ready() -> Response:
    """200 when the database answers a new login, 503 with the reason when it does not."""
    problem, _ = readiness()
    return Response(f"{problem or 'ready'}\n", 503 if problem else 200, mimetype="text/plain")


def metrics() -> Response:
    """The same as figures: https://prometheus.io/docs/instrumenting/exposition_formats/."""
    problem, seconds = readiness()
    lines = (
        "# HELP leadscoring_tracking_ready 1 when MLflow's database answers a new login.",
        "# TYPE leadscoring_tracking_ready gauge",
        f"leadscoring_tracking_ready {0 if problem else 1}",
        "# HELP leadscoring_tracking_login_seconds What the last login took.",
        "# TYPE leadscoring_tracking_login_seconds gauge",
        f"leadscoring_tracking_login_seconds {seconds:.6f}",
    )
    return Response("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")


pages.add_url_rule("/ready", view_func=ready)
pages.add_url_rule("/metrics", view_func=metrics)
__all__ = ["app"]
