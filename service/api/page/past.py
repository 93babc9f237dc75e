"""What became of the models, read for the page: seldom, in a thread, and not waited for long."""

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from service.history import Decision, DriftCheck, Evaluation, latest
from service.model.bundle import BundleRefused, Pointer, read_pointer
from service.storage import Storage, StorageError

logger = logging.getLogger(__name__)

EVALUATIONS, DECISIONS = 8, 12
"""Entries shown of each, the newest."""
KEEP_S, WAIT_S = 30.0, 2.0
"""For how long what was read counts as new, and how long the page waits for what is newer."""


@dataclass(frozen=True)
class Past:
    """The pointer and the newest entries of the history, newest first, as they were at `read_at`."""

    pointer: Pointer | None
    evaluations: list[Evaluation]
    drift: DriftCheck | None
    decisions: list[Decision]
    read_at: datetime


class PastReader:
    """Reads the past, one reading at a time; `get` gives the last one that succeeded."""

    def __init__(self, models: Storage, keep_s: float = KEEP_S, wait_s: float = WAIT_S) -> None:
        self._models, self._keep_s, self._wait_s = models, keep_s, wait_s
        self._past: Past | None = None
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def get(self) -> tuple[Past | None, bool]:
        """The past as last read, None where that never succeeded, and whether it is up to date."""
        if self._reading is None and time.monotonic() - self._read_at > self._keep_s:
            self._reading = asyncio.create_task(self._read())
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=self._wait_s)
        fresh = self._past is not None and self._reading is None
        return self._past, fresh and time.monotonic() - self._read_at <= self._keep_s

    async def _read(self) -> None:
        try:
            self._past = await asyncio.to_thread(read, self._models)
            self._read_at = time.monotonic()
        except (StorageError, BundleRefused, msgspec.DecodeError) as error:
            logger.warning("the history cannot be read", extra={"error": str(error)})
        finally:
            self._reading = None


def read(models: Storage) -> Past:
    """Read it now. Raises StorageError, BundleRefused on a malformed pointer, msgspec.DecodeError on a broken entry."""
    pointed = read_pointer(models)
    drift = latest(models, DriftCheck)
    return Past(
        pointer=pointed and pointed[0],
        evaluations=latest(models, Evaluation, EVALUATIONS)[::-1],
        drift=drift[-1] if drift else None,
        decisions=latest(models, Decision, DECISIONS)[::-1],
        read_at=datetime.now(UTC),
    )
