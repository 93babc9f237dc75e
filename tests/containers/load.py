"""Load on a service: callers that keep their connections and count what becomes of every request."""

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.conftest import HANG_S


class Load:
    """One lead a request, `L-0`, `L-1` and so on. `answered` and `failed` grow while it lasts."""

    def __init__(self, port: int, features: Mapping[str, Any], callers: int = 16) -> None:
        self.answered, self.failed = list[str](), list[str]()
        self._port, self._callers, self._numbers = port, callers, itertools.count()
        self._features = json.dumps(features)
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Call from a thread of its own while the block lasts; at its end every request is answered or failed."""
        thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join(HANG_S)

    async def _run(self) -> None:
        await asyncio.gather(*(self._call() for _ in range(self._callers)))

    async def _call(self) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._over.is_set():
            lead = f"L-{next(self._numbers)}"
            try:
                streams = streams or await asyncio.open_connection("127.0.0.1", self._port)
                status = await asyncio.wait_for(self._post(*streams, lead), HANG_S)
            except (TimeoutError, OSError, EOFError) as error:
                status, streams = repr(error), None
            if status == "200":
                self.answered.append(lead)
            else:
                self.failed.append(f"{lead}: {status}")
        if streams:
            streams[1].close()

    async def _post(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lead: str) -> str:
        """The status that comes back."""
        body = f'{{"leads": [{{"lead_id": "{lead}", "features": {self._features}}}]}}'
        head = "POST /v1/score HTTP/1.1\r\nHost: service\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.partition("content-length: ")[2].partition("\r\n")[0])
        await reader.readexactly(length)
        return answer.split(maxsplit=2)[1]
