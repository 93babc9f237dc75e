"""A request's body, no longer than allowed."""

from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from service.api.admission import Admission
from service.api.problem import Problem

JSON = b"application/json"


async def read_body(
    headers: Mapping[bytes, bytes], receive: Receive, admission: Admission, most: int, expected: bytes = JSON
) -> bytes:
    """The whole body, of at most `most` bytes. A longer one is refused without being read to its end."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != expected or b"content-encoding" in headers:
        raise Problem(415, f"send {expected.decode()}, not compressed")
    too_long = f"the body is longer than {most} bytes"
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > most:
        raise Problem(413, too_long)
    parts, size, more = [], 0, True
    try:
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part = message.get("body", b"")
            admission.hold(len(part))
            size += len(part)
            parts.append(part)
            if size > most:
                raise Problem(413, too_long)
            more = message.get("more_body", False)
        return b"".join(parts)  # one alone is not copied
    finally:
        admission.held -= size
