"""Scores together what arrives together: one call of the engine and one write of records for many requests.

One loop serves all connections. While it is busy requests arrive, and its next turn finds them all: the turn is the
queue. They are scored in order, some at a time, until the turn's time is up; what is left then is refused, before
anything of it is decoded. So an accepted request waits for at most two turns, however many come and however slow the
machine is. Once a turn has shown how much there is time for, what is beyond that is refused as it comes: who waits for
a refusal holds a connection and a body, and the more of them there are, the longer all wait.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, get_args

from service.api import metrics
from service.api.admission import overloaded
from service.api.describe import NO_ROOM
from service.api.problem import Problem
from service.api.scorer import Asked, Scored
from service.api.spool import Spool, SpoolFull
from service.api.watcher import Watcher
from service.model.decide import Decision

logger = logging.getLogger(__name__)

TURN_S = 0.05
"""How much of the processor a turn may take; the promise on latency (0.25 s) leaves room for two, on the half core that
a pod has. Not of the clock: a machine that stalls has lost the time already, and refusing would only turn late answers
into none."""
TOGETHER_BYTES = 32_000
"""Of bodies that are scored together: some hundred leads, beyond which a lead gets no cheaper."""
LOOKS = 4
"""At the connections, before what they brought is scored: the more come together, the less each costs."""
REQUEST_BYTES = 1_500
"""What a request costs beside its leads, in bytes of them: by `scripts/bench serve` 70 µs, where a byte takes 47 ns."""
_LEADS = {decision: metrics.LEADS.labels(decision) for decision in get_args(Decision)}
_SCORES = [metrics.SCORES.labels(tenth) for tenth in metrics.TENTHS]


class _Waiting(NamedTuple):
    asked: Asked
    answer: asyncio.Future[bytes]


class Batcher:
    """What is scored together is scored by one model, and recorded before any of it is answered."""

    def __init__(self, watcher: Watcher, spool: Spool, turn_s: float = TURN_S) -> None:
        self._watcher, self._spool, self._turn_s = watcher, spool, turn_s
        self._turn: deque[_Waiting] = deque()
        self._next: deque[_Waiting] = deque()
        self._began = 0.0
        self._coming, self._done, self._room = 0, 0, math.inf  # bytes: of the next turn, of this one, what is possible

    def ask(self, asked: Asked) -> asyncio.Future[bytes]:
        """The answer's body, when its turn has come. Raises Problem, or it does, where the request is refused."""
        if self._coming >= self._room:
            raise overloaded("time")
        self._coming += len(asked.body) + REQUEST_BYTES
        loop = asyncio.get_running_loop()
        if not self._turn and not self._next:
            loop.call_soon(self._gather, LOOKS, 0)  # after all that are ready now
        waiting = _Waiting(asked, loop.create_future())
        self._next.append(waiting)
        return waiting.answer

    def _gather(self, looks: int, before: int) -> None:
        """Wait while each look at the connections brings more."""
        if looks and len(self._next) > before:
            asyncio.get_running_loop().call_soon(self._gather, looks - 1, len(self._next))
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Answer some of the turn, and let the loop send that and read more before the rest."""
        if not self._turn:
            self._turn, self._next, self._began = self._next, self._turn, time.thread_time()
            self._coming = self._done = 0
        elif time.thread_time() - self._began > self._turn_s:
            while self._turn:
                _refuse(self._turn.popleft().answer, overloaded("time"))
        if self._turn:
            self._answer(self._together())
        if not self._turn:
            self._room = self._possible()
        if self._turn or self._next:
            asyncio.get_running_loop().call_soon(self._go_on)

    def _possible(self) -> float:
        """How much a turn has time for, as this one showed. A short one shows nothing: a pause would look like work."""
        took = time.thread_time() - self._began
        return self._done * self._turn_s / took if self._next and took > self._turn_s / 2 else math.inf

    def _together(self) -> list[_Waiting]:
        together = [self._turn.popleft()]
        size = len(together[0].asked.body)
        while self._turn and (size := size + len(self._turn[0].asked.body)) <= TOGETHER_BYTES:
            together.append(self._turn.popleft())
        self._done += sum(len(asked.body) + REQUEST_BYTES for asked, _ in together)
        return together

    def _answer(self, together: Sequence[_Waiting]) -> None:
        try:
            answers = self.score([asked for asked, _ in together])
        except Problem as refusal:
            for each in together:
                _refuse(each.answer, refusal)
        except Exception as error:
            if len(together) == 1:
                _refuse(together[0].answer, error)
                return
            for each in together:  # whoever breaks it does so for nobody else
                self._answer([each])
        else:
            for each, answer in zip(together, answers, strict=True):
                if isinstance(answer, Problem):
                    _refuse(each.answer, answer)
                elif not each.answer.done():
                    each.answer.set_result(answer)

    def score(self, together: Sequence[Asked]) -> list[bytes | Problem]:
        """Score these by the model in service and keep their records. Raises Problem where none can be answered."""
        return self.keep(self._watcher.served().score(together))

    def keep(self, scored: Scored) -> list[bytes | Problem]:
        """Keep the records, and only then give the answers. Raises Problem where they cannot be kept."""
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
