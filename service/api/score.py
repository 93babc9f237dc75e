"""POST /v1/score as a plain ASGI route: raw body in, encoded answer out."""

import asyncio
import re
import time
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from service.api.admission import MAX_EXPLAINING, Admission, overloaded
from service.api.batching import Batcher
from service.api.problem import FieldError, Problem
from service.api.scorer import ScoreRequest, new_request_id
from service.api.spool import Spool
from service.api.watcher import Watcher

SCORE_PATH = "/v1/score"
JSON = b"application/json"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,100}")


class ScoreRoute:
    """The hot route: takes requests in and sends their answers."""

    def __init__(self, watcher: Watcher, spool: Spool, admission: Admission, max_body_bytes: int) -> None:
        self._watcher, self._admission, self._max_body_bytes = watcher, admission, max_body_bytes
        self._batcher, self._explaining = Batcher(watcher, spool, admission), asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Problems go to the app's handler."""
        started = time.perf_counter()
        # Starlette's own look-ups would take a tenth of the whole time.
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await self._body(headers, receive)
        header = headers.get(b"x-request-id", b"")
        request_id = header.decode() if _REQUEST_ID.fullmatch(header) else new_request_id()
        asked = ScoreRequest(body, request_id, started)
        explain = explains(scope["query_string"])
        answer = await (self._explained(asked) if explain else self._batcher.ask(asked))
        described = [(b"content-type", JSON), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": described})
        await send({"type": "http.response.body", "body": answer})

    async def _explained(self, asked: ScoreRequest) -> bytes:
        """One at a time and in a thread, so that scoring goes on meanwhile."""
        if self._admission.explaining >= MAX_EXPLAINING:
            raise overloaded("explaining")
        self._admission.explaining += 1
        try:
            async with self._explaining:
                scored = await asyncio.to_thread(self._watcher.served().score, [asked], explain=True)
        finally:
            self._admission.explaining -= 1
        (answer,) = self._batcher.persist(scored)
        if isinstance(answer, Problem):
            raise answer
        return answer

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
