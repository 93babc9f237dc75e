"""POST /v1/score as a plain ASGI route: raw body in, encoded answer out, with a record kept of every lead."""

import asyncio
import logging
import re
import time
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api import metrics
from service.api.admission import MAX_WAITING, Admission, overloaded
from service.api.describe import NO_MODEL, NO_ROOM
from service.api.problem import FieldError, Problem
from service.api.scorer import Scored, Scorer, new_request_id
from service.api.spool import Spool, SpoolFull
from service.api.watcher import Watcher

logger = logging.getLogger(__name__)

SCORE_PATH = "/v1/score"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")


class ScoreRoute:
    """The hot route. The model is taken once, so that a request is answered by one version."""

    def __init__(self, watcher: Watcher, spool: Spool, max_body_bytes: int) -> None:
        self._watcher, self._spool, self._max_body_bytes = watcher, spool, max_body_bytes
        self._admission, self._explaining = Admission(), asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Problems go to the app's handler."""
        started = time.perf_counter()
        request = Request(scope, receive)
        body = await self._body(request)
        scorer = self._watcher.scorer
        if scorer is None:
            raise Problem(503, NO_MODEL, retry_s=5)
        self._admission.enter()
        given = request.headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else new_request_id()
        if explains(scope["query_string"]):
            scored = await self._explained(scorer, body, request_id, started)
        else:
            scored = scorer.score(body, request_id, started)
        try:
            # Before the answer: whoever gets a score can rely on its record.
            self._spool.append(scored.lines)
        except SpoolFull as error:
            logger.error("records cannot be kept, nothing is scored", extra={"error": str(error)})
            raise Problem(503, NO_ROOM, retry_s=10) from error
        for decision, count in scored.decisions.items():
            metrics.LEADS.labels(decision).inc(count)
        for tenth, count in scored.tenths.items():
            metrics.SCORES.labels(metrics.TENTHS[tenth]).inc(count)
        metrics.RECORDS_WRITTEN.inc(sum(scored.decisions.values()))
        await Response(scored.answer, media_type="application/json")(scope, receive, send)

    async def _explained(self, scorer: Scorer, body: bytes, request_id: str, started: float) -> Scored:
        """One at a time and in a thread, so that scoring goes on meanwhile."""
        if self._admission.waiting >= MAX_WAITING:
            raise overloaded("explaining")
        self._admission.waiting += 1
        try:
            async with self._explaining:
                return await asyncio.to_thread(scorer.score, body, request_id, started, True)
        finally:
            self._admission.waiting -= 1

    async def _body(self, request: Request) -> bytes:
        """The whole body, no longer than allowed. A longer one is refused without being read to its end."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" or "content-encoding" in request.headers:
            raise Problem(415, "send application/json, not compressed")
        too_long = Problem(413, f"the body is longer than {self._max_body_bytes} bytes")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_body_bytes:
            raise too_long
        body = bytearray()
        try:
            async for chunk in request.stream():
                self._admission.hold(len(chunk))
                body += chunk
                if len(body) > self._max_body_bytes:
                    raise too_long
            return bytes(body)
        finally:
            self._admission.held -= len(body)


def explains(query: bytes) -> bool:
    """Whether the query asks for the scores' reasons. Raises Problem where it says neither true nor false."""
    if not query:
        return False
    asked = set(parse_qs(query.decode("latin-1"), keep_blank_values=True).get("explain", ["false"]))
    if not asked <= {"true", "false"} or len(asked) > 1:
        raise Problem(422, "no lead scored", [FieldError("explain", "Input should be true or false")])
    return asked == {"true"}
