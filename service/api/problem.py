"""Refusals: problem documents (RFC 9457) that name every offending field by its path."""

from typing import Any

import msgspec
from starlette.responses import Response

CONTENT_TYPE = "application/problem+json"


class FieldError(msgspec.Struct, frozen=True):
    """One offending field, `leads[3].features.age`, and what is wrong with it."""

    path: str
    message: str


class Problem(Exception):
    """Ends a request with this status. The text is for the caller: no internals, no secrets."""

    def __init__(
        self,
        status: int,
        title: str,
        errors: list[FieldError] | None = None,
        retry_s: int | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(title)
        self.status, self.title, self.errors, self.retry_s = status, title, errors or [], retry_s
        # What is left of the body is not read, however long it is.
        self.close = close or status in (401, 413, 415)

    def body(self) -> bytes:
        """The problem document."""
        document: dict[str, Any] = {"title": self.title, "status": self.status}
        if self.errors:
            document["errors"] = self.errors
        return msgspec.json.encode(document)

    def headers(self) -> dict[str, str]:
        """What its answer says beside the length and type of the document."""
        headers = {"retry-after": str(self.retry_s)} if self.retry_s else {}
        return headers | {"connection": "close"} if self.close else headers


def response(problem: Problem) -> Response:
    """The answer that a problem is."""
    return Response(problem.body(), problem.status, problem.headers(), CONTENT_TYPE)


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["title", "status"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "message"],
                "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
"""The problem document's JSON Schema, for the API's description."""
