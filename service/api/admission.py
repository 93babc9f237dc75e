"""Sheds what would wait too long, so that what is accepted keeps its latency.

One loop scores one request after the other. All that arrive while it is busy are run in its next turn, in order: the
turn is the queue. What a turn has no time left for is refused at once, before anything of it is decoded. So an
accepted request waits for at most two turns, however many come and however slow the machine is.
"""

import asyncio
import time

from service.api import metrics
from service.api.problem import Problem

TURN_S = 0.1
"""How much of the processor a turn may take; the promise on latency leaves room for two. Not of the clock: a machine
that stalls has lost the time already, and refusing would only turn late answers into none."""
MAX_HELD = 64_000_000
"""Bytes of bodies that are held while they arrive, of all requests together."""
MAX_WAITING = 8
"""Requests that wait for reasons, which are found for one request at a time."""


class Admission:
    """Says of each request, when its turn comes, whether there is still time for it."""

    def __init__(self, turn_s: float = TURN_S) -> None:
        self._turn_s = turn_s
        self._began: float | None = None
        self.held = 0
        self.waiting = 0

    def enter(self) -> None:
        """Raise Problem where this turn has no time left."""
        if self._began is None:
            self._began = time.thread_time()
            asyncio.get_running_loop().call_soon(self._end)  # after all that are ready now
        elif time.thread_time() - self._began > self._turn_s:
            raise overloaded("time")

    def hold(self, count: int) -> None:
        """Take so many bytes more into the memory. Raises Problem where they are too many."""
        if self.held + count > MAX_HELD:
            raise overloaded("memory")
        self.held += count

    def _end(self) -> None:
        self._began = None


def overloaded(lacking: str) -> Problem:
    """A refusal for lack of `time`, `memory` or, for reasons, `explaining`."""
    metrics.SHED.labels(lacking).inc()
    return Problem(503, "more requests than can be answered now; try again", retry_s=1, close=lacking == "memory")
