"""Bounds on what is under way at once, beyond which a request is refused, so that accepted ones keep their latency."""

from service.api import metrics
from service.api.problem import Problem

MAX_HELD = 64_000_000
"""Bytes of bodies that are held while they arrive, of all requests together."""
MAX_WAITING = 8
"""Requests that wait for reasons, which are found for one request at a time."""


class Admission:
    """Counts what is held."""

    def __init__(self) -> None:
        self.held = 0
        self.waiting = 0

    def hold(self, count: int) -> None:
        """Take so many bytes more into the memory. Raises Problem where they are too many."""
        if self.held + count > MAX_HELD:
            raise overloaded("memory")
        self.held += count


def overloaded(lacking: str) -> Problem:
    """A refusal for lack of `time`, `memory` or, for reasons, `explaining`."""
    metrics.SHED.labels(lacking).inc()
    return Problem(503, "more requests than can be answered now; try again", retry_s=1, close=lacking == "memory")
