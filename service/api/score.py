"""POST /v1/score and /v1/score/cells as plain ASGI routes: raw body in, encoded answer out."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from service.api.admission import MAX_EXPLAINING, Admission, overloaded
from service.api.batching import Batcher
from service.api.body import JSON, read_body
from service.api.problem import FieldError, Problem
from service.api.scorer import BatchResult, Scorer, ScoreRequest, new_request_id
from service.api.spool import Spool
from service.api.watcher import Watcher

SCORE_PATH = "/v1/score"
CELLS_PATH = "/v1/score/cells"
T = TypeVar("T")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,100}")


class ScoreRoute:
    """The hot route: takes requests in and sends their answers."""

    def __init__(self, watcher: Watcher, spool: Spool, admission: Admission, max_body_bytes: int) -> None:
        self._watcher, self._admission, self._max_body_bytes = watcher, admission, max_body_bytes
        self._batcher, self._explaining = Batcher(watcher, spool, admission), asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Problems go to the app's handler."""
        asked, explain = await self.asked(scope, receive)
        if explain:
            answer = await self.aside(lambda scorer: scorer.score([asked], explain=True))
        else:
            answer = await self._batcher.ask(asked)
        await _answer(send, answer)

    async def body(self, scope: Scope, receive: Receive, kind: bytes = JSON) -> bytes:
        """The whole body of a request."""
        # Starlette's own look-ups would take a tenth of the whole time.
        return await read_body(dict(scope["headers"]), receive, self._admission, self._max_body_bytes, kind)

    async def asked(self, scope: Scope, receive: Receive) -> tuple[ScoreRequest, bool]:
        """The request with its whole body, and whether it asks for reasons."""
        started = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await read_body(headers, receive, self._admission, self._max_body_bytes)
        header = headers.get(b"x-request-id", b"")
        request_id = header.decode() if _REQUEST_ID.fullmatch(header) else new_request_id()
        return ScoreRequest(body, request_id, started), explains(scope["query_string"])

    async def aside(self, score: Callable[[Scorer], BatchResult]) -> bytes:
        """The only answer of this scoring, done in turn. Raises Problem where the request is refused."""
        (answer,) = self._batcher.persist(await self.in_turn(lambda: score(self._watcher.served())))
        if isinstance(answer, Problem):
            raise answer
        return answer

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Do it in a thread, one at a time, so that scoring goes on meanwhile. Raises Problem if too many wait."""
        if self._admission.explaining >= MAX_EXPLAINING:
            raise overloaded("explaining")
        self._admission.explaining += 1
        try:
            async with self._explaining:
                return await asyncio.to_thread(work)
        finally:
            self._admission.explaining -= 1


class CellsRoute:
    """POST /v1/score/cells: reads raw cells, which takes longer than a score, so each request is scored aside."""

    def __init__(self, scoring: ScoreRoute) -> None:
        self._scoring = scoring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Problems go to the app's handler."""
        asked, explain = await self._scoring.asked(scope, receive)
        answer = await self._scoring.aside(lambda scorer: scorer.score_cells(asked, explain))
        await _answer(send, answer)


async def _answer(send: Send, answer: bytes) -> None:
    described = [(b"content-type", JSON), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": described})
    await send({"type": "http.response.body", "body": answer})


def explains(query: bytes) -> bool:
    """Whether the query asks for the scores' reasons. Raises Problem where it says neither true nor false."""
    if not query:
        return False
    asked = set(parse_qs(query.decode("latin-1"), keep_blank_values=True).get("explain", ["false"]))
    if not asked <= {"true", "false"} or len(asked) > 1:
        raise Problem(422, "no lead scored", [FieldError("explain", "Input should be true or false")])
    return asked == {"true"}
