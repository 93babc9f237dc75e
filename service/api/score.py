"""POST /v1/score as a plain ASGI route: raw body in, encoded answer out, with a record kept of every lead."""

import asyncio
import logging
import re
import time
from typing import get_args
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from service.api import metrics
from service.api.admission import MAX_WAITING, Admission, overloaded
from service.api.describe import NO_MODEL, NO_ROOM
from service.api.problem import FieldError, Problem
from service.api.scorer import Scored, Scorer, new_request_id
from service.api.spool import Spool, SpoolFull
from service.api.watcher import Watcher
from service.model.decide import Decision

logger = logging.getLogger(__name__)

SCORE_PATH = "/v1/score"
JSON = b"application/json"
_LEADS = {decision: metrics.LEADS.labels(decision) for decision in get_args(Decision)}
_SCORES = [metrics.SCORES.labels(tenth) for tenth in metrics.TENTHS]
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,100}")


class ScoreRoute:
    """The hot route. The model is taken once, so that a request is answered by one version."""

    def __init__(self, watcher: Watcher, spool: Spool, max_body_bytes: int) -> None:
        self._watcher, self._spool, self._max_body_bytes = watcher, spool, max_body_bytes
        self._admission, self._explaining = Admission(), asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Problems go to the app's handler."""
        started = time.perf_counter()
        # Starlette's own look-ups would take a tenth of the whole time.
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await self._body(headers, receive)
        scorer = self._watcher.scorer
        if scorer is None:
            raise Problem(503, NO_MODEL, retry_s=5)
        self._admission.enter()
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if _REQUEST_ID.fullmatch(given) else new_request_id()
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
            _LEADS[decision].inc(count)
        for tenth, count in scored.tenths.items():
            _SCORES[tenth].inc(count)
        metrics.RECORDS_WRITTEN.inc(sum(scored.decisions.values()))
        length = b"%d" % len(scored.answer)
        described = [(b"content-type", JSON), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": described})
        await send({"type": "http.response.body", "body": scored.answer})

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

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The whole body, no longer than allowed. A longer one is refused without being read to its end."""
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != JSON or b"content-encoding" in headers:
            raise Problem(415, "send application/json, not compressed")
        too_long = f"the body is longer than {self._max_body_bytes} bytes"
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._max_body_bytes:
            raise Problem(413, too_long)
        parts, size, more = [], 0, True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                part = message.get("body", b"")
                self._admission.hold(len(part))
                size += len(part)
                parts.append(part)
                if size > self._max_body_bytes:
                    raise Problem(413, too_long)
                more = message.get("more_body", False)
            return b"".join(parts)  # one alone is not copied
        finally:
            self._admission.held -= size


def explains(query: bytes) -> bool:
    """Whether the query asks for the scores' reasons. Raises Problem where it says neither true nor false."""
    if not query:
        return False
    asked = set(parse_qs(query.decode("latin-1"), keep_blank_values=True).get("explain", ["false"]))
    if not asked <= {"true", "false"} or len(asked) > 1:
        raise Problem(422, "no lead scored", [FieldError("explain", "Input should be true or false")])
    return asked == {"true"}
