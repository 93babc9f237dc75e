"""Requests that arrive on schedule, whether or not earlier ones are answered, as those of independent callers do. One
who waits for its answer first slows down with the server, and so hides what others would have waited:
https://github.com/giltene/wrk2#acknowledgements
"""

import asyncio
import gc
import itertools
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import uvloop

MOST_CONNECTIONS = 1_400
"""Fewer than the service begins to close: three quarters of LEADSCORING_MAX_CONNECTIONS."""
PATIENCE_S = 10.0
"""For answers after the last request was due; what has none by then counts as unanswered."""
READY_EVERY_S, READY_S = 0.1, 1.0
"""Between two questions whether the service is ready, and for the answer; each on its own connection, as a probe's."""
SHED = "503, Retry-After: 1"


@dataclass
class Seen:
    """What became of the requests of one rate, by what they were answered with. Times in seconds."""

    seconds: float
    due: int = 0
    late: float = 0.0  # the most that a request was handled after it was due, for lack of the sender's own time
    in_time: int = 0  # accepted answers that came while requests were still due
    connections: int = 0
    took: dict[str, list[float]] = field(default_factory=dict)  # from when it was due to its answer's last byte
    ready: Counter[str] = field(default_factory=Counter)

    def count(self, outcome: str) -> int:
        """How many requests had this outcome."""
        return len(self.took.get(outcome, ()))

    def percentile(self, outcome: str, percent: float) -> float:
        """Seconds within which that share of them had it; nan where none had."""
        return float(np.percentile(self.took[outcome], percent)) if self.count(outcome) else float("nan")


class Sender:
    """Sends these requests in turn, each on a connection that is free, or on a new one."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self._port, self._requests = port, requests
        self._open: set[_Connection] = set()
        self._free: list[_Connection] = []
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._connections = 0

    def run(self, rate: float, seconds: float, core: int) -> Seen:
        """So many a second, for so long, from this core."""
        with _on(core):
            seen: Seen = uvloop.run(self._run(rate, seconds))
        return seen

    async def _run(self, rate: float, seconds: float) -> Seen:
        self._loop, self._seen = asyncio.get_running_loop(), Seen(seconds)
        self._open.clear()
        self._free.clear()
        self._waiting.clear()
        self._connections, requests = 0, itertools.cycle(self._requests)
        begun = self._loop.time()
        self._until, seen = begun + seconds, self._seen
        asking = asyncio.create_task(self._ask_whether_ready())
        while seen.due < round(rate * seconds):
            due = begun + seen.due / rate
            if (early := due - self._loop.time()) > 0:
                await asyncio.sleep(early)
            else:
                seen.late = max(seen.late, -early)
                seen.due += 1
                self._send(next(requests), due)
                if not seen.due % 20:
                    await asyncio.sleep(0)  # answers are read meanwhile, however late it is
        await asking
        while self._answered < seen.due and self._loop.time() < self._until + PATIENCE_S:
            await asyncio.sleep(0.01)
        seen.connections = self._connections
        if missing := seen.due - self._answered:
            seen.took["unanswered"] = [PATIENCE_S] * missing
        for each in self._open:
            each.transport.abort()  # uvloop does not end before they do
        return seen

    @property
    def _answered(self) -> int:
        return sum(map(len, self._seen.took.values()))

    def _send(self, request: bytes, due: float) -> None:
        if self._free:
            self._free.pop().send(request, due)
        elif self._connections < MOST_CONNECTIONS:
            self._connections += 1
            self._loop.create_task(self._connect(request, due))
        else:
            self._waiting.append((request, due))  # and its latency counts from when it was due all the same

    async def _connect(self, request: bytes, due: float) -> None:
        try:
            _, connection = await self._loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
        except OSError as error:
            self._connections -= 1
            self.answered(f"not connected: {os.strerror(error.errno or 0)}", due)
        else:
            self._open.add(connection)
            connection.send(request, due)

    def answered(self, outcome: str, due: float) -> None:
        """Note how a request ended."""
        now = self._loop.time()
        self._seen.took.setdefault(outcome, []).append(now - due)
        self._seen.in_time += outcome == "200" and now <= self._until

    def free(self, connection: "_Connection") -> None:
        """This one may send again."""
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._free.append(connection)

    def gone(self, connection: "_Connection") -> None:
        """This one is closed."""
        self._connections -= 1
        self._open.discard(connection)
        if connection in self._free:
            self._free.remove(connection)

    async def _ask_whether_ready(self) -> None:
        while self._loop.time() < self._until:
            try:
                status = await asyncio.wait_for(self._readiness(), READY_S)
            except TimeoutError:
                status = f"no answer within {READY_S:g} s"
            except (OSError, EOFError) as error:
                status = type(error).__name__
            self._seen.ready[status] += 1
            await asyncio.sleep(READY_EVERY_S)

    async def _readiness(self) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            return (await reader.readuntil(b"\r\n")).split()[1].decode()
        finally:
            writer.close()


class _Connection(asyncio.Protocol):
    """Sends one request at a time, and reads of its answer what is judged."""

    transport: asyncio.Transport

    def __init__(self, sender: Sender) -> None:
        self._sender, self._due = sender, -1.0
        self._head, self._missing, self._outcome, self._closes = b"", 0, "", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It can send now."""
        self.transport = transport  # type: ignore[assignment]

    def send(self, request: bytes, due: float) -> None:
        """Send this one, of which the time counts from when it was due."""
        self._due, self._head, self._outcome = due, b"", ""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Note the answer when all of it is here."""
        if self._outcome:
            self._missing -= len(data)
        else:
            self._head += data
            head, found, body = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            self._read(head, len(body))
        if self._missing <= 0:
            due, self._due = self._due, -1.0
            self._sender.answered(self._outcome, due)
            if self._closes:
                self.transport.close()
            else:
                self._sender.free(self)

    def _read(self, head: bytes, came: int) -> None:
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        code, retry = status.split()[1], headers.get("retry-after")
        self._outcome = f"{code}, Retry-After: {retry}" if retry else code
        self._missing = int(headers["content-length"]) - came
        self._closes = headers.get("connection") == "close"

    def connection_lost(self, _: Exception | None) -> None:
        """It can send no more."""
        self._sender.gone(self)
        if self._due >= 0:
            self._sender.answered("closed without an answer", self._due)


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A request as it goes over the wire."""
    told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\nHost: bench\r\n{told}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def _on(core: int) -> Iterator[None]:
    """On this core, and with no pause for garbage, which would be taken for the server's."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        os.sched_setaffinity(0, cores)
