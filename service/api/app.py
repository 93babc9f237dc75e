"""The app: routes, their description, and what starts and stops with them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import metrics, openapi, problem
from service.api.admission import Admission
from service.api.authenticate import Authenticate
from service.api.identity import Audience, Keys, Verifier
from service.api.page.past import PastReader
from service.api.page.routes import add_page
from service.api.problem import Problem
from service.api.request_metrics import RequestMetrics
from service.api.score import CELLS_PATH, SCORE_PATH, CellsRoute, ScoreRoute
from service.api.scorer import MAX_EXPLAINED
from service.api.spool import Spool, Uploader
from service.api.watcher import Watcher
from service.settings import Settings
from service.storage import open_storage

TITLE = "Lead scoring"


def create_app(settings: Settings, admission: Admission) -> ASGIApp:
    """The service as an ASGI app. Raises OSError when the spool's folder cannot be used."""
    spool = Spool(settings.spool_dir, settings.spool_max_bytes, settings.spool_fsync)
    uploader = Uploader(spool, open_storage(settings.predictions_url), settings.upload_seconds)
    metrics.SPOOL_BYTES.set(spool.waiting)
    keys = Keys(settings.iap_keys_url)

    def forget_description() -> None:
        app.openapi_schema = None

    models = open_storage(settings.models_url)
    watcher = Watcher(
        models, settings.poll_seconds, settings.max_leads, forget_description, to_others=not settings.on_loopback
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        uploader.start()
        if settings.iap_audience_file:
            keys.start()
        watching = asyncio.create_task(watcher.run())
        yield
        keys.stop()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await asyncio.to_thread(uploader.stop, settings.grace_seconds)
        spool.stop()

    app = FastAPIOffline(title=TITLE, lifespan=lifespan, redoc_url=None)
    scoring = ScoreRoute(watcher, spool, admission, settings.max_body_bytes)
    app.router.routes.insert(0, Route(SCORE_PATH, scoring, methods=["POST"]))  # what other methods are answered by
    app.router.routes.insert(1, Route(CELLS_PATH, CellsRoute(scoring), methods=["POST"]))
    app.add_exception_handler(Problem, _problem)
    _add_status(app, watcher, spool, settings)
    add_page(app, watcher, PastReader(models), scoring)

    def openapi_document() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=TITLE, version="1", routes=app.routes)
            scorer = watcher.scorer
            openapi.add_scoring(document, SCORE_PATH, scorer.request_model if scorer else None)
            openapi.add_cells(document, CELLS_PATH, scorer.bundle.manifest if scorer else None, settings.max_leads)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi_document  # type: ignore[method-assign]

    inner = _scoring_first(app, scoring)
    if settings.iap_audience_file:
        inner = Authenticate(inner, Verifier(Audience(settings.iap_audience_file), keys))
    return RequestMetrics(inner)


def _add_status(app: FastAPI, watcher: Watcher, spool: Spool, settings: Settings) -> None:
    """Add /healthz, /readyz, /v1/model and /metrics."""

    @app.get("/healthz", summary="The process lives")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="A verified model is loaded, and records can be kept", responses=openapi.NOT_READY)
    def readyz() -> dict[str, str]:
        scorer = watcher.served()
        if not spool.has_room:
            raise Problem(503, openapi.NO_ROOM, retry_s=10)
        return {"status": "ready", "model_version": scorer.bundle.version}

    @app.get("/v1/model", summary="The model in service", responses=openapi.PROBLEMS_401 | openapi.PROBLEMS_503)
    def model() -> dict[str, Any]:
        scorer = watcher.served()
        manifest = scorer.bundle.manifest.model_dump(mode="json", exclude={"encoding"})
        refused = watcher.refused and {"reason": watcher.refused[0], "detail": watcher.refused[1]}
        return {
            **manifest,
            "contact_rule": scorer.rule.model_dump(mode="json"),
            "loaded_at": scorer.loaded_at.isoformat(),
            "refused": refused,
            "card": scorer.bundle.card,
            "limits": {
                "max_leads": settings.max_leads,
                "max_body_bytes": settings.max_body_bytes,
                "max_explained": MAX_EXPLAINED,
            },
        }

    @app.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
    def scrape() -> Response:
        metrics.SPOOL_BYTES.set(spool.waiting)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _scoring_first(app: ASGIApp, scoring: ScoreRoute) -> ASGIApp:
    """Scoring bypasses the framework's layers, which would cost more than the score itself."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != SCORE_PATH or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        try:
            await scoring(scope, receive, send)
        except Problem as refusal:
            await problem.response(refusal)(scope, receive, send)

    return answer


def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this type alone
    return problem.response(error)
