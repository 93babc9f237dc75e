"""Bounds on what is under way at once, beyond which a request is refused, so that accepted ones keep their latency."""

import asyncio
import math

from service.api import metrics
from service.api.problem import Problem

TITLE = "more requests than can be answered now; try again"
MAX_HELD = 64_000_000
"""Bytes of bodies that are held while they arrive, of all requests together."""
MAX_EXPLAINING = 8
"""Requests that wait for reasons, which are found for one request at a time."""
QUEUE_S = 0.06
"""How much of the processor may be waited for; the promise on latency (0.25 s) leaves room for it on the half core that
a pod has. Not of the clock: a machine that stalls has lost the time already, and refusing would only turn late answers
into none."""
REQUEST_BYTES = 500
"""What a request counts beside its leads, in bytes of them. Scoring alone takes 5 µs more for each request, as for 140
bytes at 35 ns; to answer it takes more than that."""
FIRST_GUESS_S = 25e-9
"""Processor time that a byte takes, until some were scored."""
AVERAGING_S = 0.05
"""Of the processor: what was scored longer ago says little of what a byte takes now."""


class Admission:
    """Counts what is held, and knows how long what waits will take."""

    def __init__(self, queue_s: float = QUEUE_S) -> None:
        self.held = 0
        self.explaining = 0
        self._queue_s = queue_s
        self._waiting = self._reserved = 0  # bytes
        self._took, self._scored = AVERAGING_S, AVERAGING_S / FIRST_GUESS_S  # seconds, bytes: of late
        self._most = self._most_waiting()  # kept, for it changes once a batch and is asked for twice a request

    def hold(self, count: int) -> None:
        """Take so many bytes more into the memory. Raises Problem where they are too many."""
        if self.held + count > MAX_HELD:
            raise overloaded("memory")
        self.held += count

    @property
    def full(self) -> bool:
        """Whether what waits takes longer than may be waited for."""
        return self._waiting + self._reserved > self._most

    def queue(self, body: bytes) -> None:
        """Let this one wait. Raises Problem where there is no time for it; who comes alone is always let in."""
        if self._waiting > self._most:
            raise overloaded("time")
        self._waiting += len(body) + REQUEST_BYTES

    def _most_waiting(self) -> float:
        """Bytes that can be scored in the time that may be waited."""
        return self._queue_s * self._scored / self._took

    def reserve(self, body: bytes | bytearray) -> None:
        """Reserve capacity, until the loop's next pass, for a body that was read but is not queued yet; otherwise one
        burst of reads overfills the queue. An empty queue always admits, so nothing is reserved then."""
        if self._waiting:
            size = len(body) + REQUEST_BYTES
            self._reserved += size
            asyncio.get_running_loop().call_soon(self._release, size)

    def _release(self, size: int) -> None:
        self._reserved -= size

    def scored(self, requests: int, size: int, took_s: float) -> None:
        """So many that waited, of that size together, took so long: what the next are judged by."""
        size += requests * REQUEST_BYTES
        self._waiting -= size
        fades = math.exp(-took_s / AVERAGING_S)
        self._took, self._scored = self._took * fades + took_s, self._scored * fades + size
        self._most = self._most_waiting()


def overloaded(lacking: str) -> Problem:
    """A refusal for lack of `time`, `memory` or, for reasons, `explaining`."""
    metrics.SHED.labels(lacking).inc()
    return Problem(503, TITLE, retry_s=1, close=lacking == "memory")
