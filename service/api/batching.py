"""Scores together what arrives together: one call of the engine and one write of records for many requests.

One loop serves all connections. While it is busy requests arrive, and wait in one queue, in order. A few are scored,
then the loop sends their answers and reads more, and so on. What the queue has no time for is refused as it comes
(`admission.py`), so an accepted request waits no longer however many come.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, get_args

from service.api import metrics
from service.api.admission import Admission
from service.api.openapi import NO_ROOM
from service.api.problem import Problem
from service.api.scorer import BatchResult, ScoreRequest
from service.api.spool import Spool, SpoolFull
from service.api.watcher import Watcher
from service.model.decide import Decision

logger = logging.getLogger(__name__)

MAX_BATCH_BYTES = 32_000
"""Of bodies that are scored together: some hundred leads, beyond which a lead gets no cheaper."""
MAX_SLICE_S = 0.01
"""Of the processor: the longest that the loop waits for scoring."""
GATHER_PASSES = 4
"""At the connections, before what they brought is scored: the more come together, the less each costs."""
_LEADS = {decision: metrics.LEADS.labels(decision) for decision in get_args(Decision)}
_SCORES = [metrics.SCORES.labels(tenth) for tenth in metrics.TENTHS]


class _Waiting(NamedTuple):
    asked: ScoreRequest
    answer: asyncio.Future[bytes]


class Batcher:
    """What is scored together is scored by one model, and recorded before any of it is answered."""

    def __init__(self, watcher: Watcher, spool: Spool, admission: Admission) -> None:
        self._watcher, self._spool, self._admission = watcher, spool, admission
        self._queue: deque[_Waiting] = deque()
        self._left = 0.0  # when scoring last ended, by the thread's clock

    def ask(self, asked: ScoreRequest) -> asyncio.Future[bytes]:
        """The answer's body, when its turn has come. Raises Problem, or it does, where the request is refused."""
        self._admission.queue(asked.body)
        loop = asyncio.get_running_loop()
        if not self._queue:
            loop.call_soon(self._gather, GATHER_PASSES, 0)  # after all that are ready now
        waiting = _Waiting(asked, loop.create_future())
        self._queue.append(waiting)
        return waiting.answer

    def _gather(self, looks: int, before: int) -> None:
        """Wait while each look at the connections brings more."""
        if looks and len(self._queue) > before:
            asyncio.get_running_loop().call_soon(self._gather, looks - 1, len(self._queue))
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Answer some, and let the loop send that and read more before the rest.

        For as long as the loop has just taken for all else, reading and refusing above all: who asks again and again
        delays others' refusals, not their scores.
        """
        now = time.thread_time()
        until = now + min(now - self._left, MAX_SLICE_S)
        while self._queue:
            began, together = now, self._together()
            self._answer(together)
            now = time.thread_time()
            self._admission.scored(len(together), sum(len(asked.body) for asked, _ in together), now - began)
            if now > until:
                break
        self._left = now
        if self._queue:
            asyncio.get_running_loop().call_soon(self._go_on)

    def _together(self) -> list[_Waiting]:
        together = [self._queue.popleft()]
        size = len(together[0].asked.body)
        while self._queue and (size := size + len(self._queue[0].asked.body)) <= MAX_BATCH_BYTES:
            together.append(self._queue.popleft())
        return together

    def _answer(self, together: Sequence[_Waiting]) -> None:
        try:
            answers = self.score([asked for asked, _ in together])
        except Problem as refusal:
            for waiting in together:
                _refuse(waiting.answer, refusal)
        except Exception as error:
            if len(together) == 1:
                _refuse(together[0].answer, error)
                return
            for waiting in together:  # whoever breaks it does so for nobody else
                self._answer([waiting])
        else:
            for waiting, answer in zip(together, answers, strict=True):
                if isinstance(answer, Problem):
                    _refuse(waiting.answer, answer)
                elif not waiting.answer.done():
                    waiting.answer.set_result(answer)

    def score(self, together: Sequence[ScoreRequest]) -> list[bytes | Problem]:
        """Score these by the model in service and persist their records. Raises Problem if none can be answered."""
        return self.persist(self._watcher.served().score(together))

    def persist(self, scored: BatchResult) -> list[bytes | Problem]:
        """Write the records to the spool, then return the answers. Raises Problem if the records cannot be written."""
        try:
            self._spool.append(scored.lines)
        except SpoolFull as error:
            logger.error("records cannot be kept, nothing is scored", extra={"error": str(error)})
            raise Problem(503, NO_ROOM, retry_s=10) from error
        for decision, count in scored.decisions.items():
            _LEADS[decision].inc(count)
        for tenth, count in zip(_SCORES, scored.tenths, strict=True):
            if count:
                tenth.inc(count)
        metrics.RECORDS_WRITTEN.inc(sum(scored.decisions.values()))
        return scored.answers


def _refuse(answer: asyncio.Future[bytes], why: Exception) -> None:
    if not answer.done():  # its caller may have gone
        answer.set_exception(why)
