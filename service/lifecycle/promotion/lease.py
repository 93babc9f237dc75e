"""One at a time: a lease is an object in the models' storage, taken and kept by compare-and-swap.

Who holds it renews it while it works; one that was not renewed in time is taken over. The clock is the real one, for a
lease is about programs that run. A holder that lost its lease finds out by `check`, before it changes what is served;
the pointer's own compare-and-swap stands behind it.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from service.lifecycle.runtime.runner import JobFailed, Progress
from service.storage import Conflict, Storage, StorageError

FOLDER = "leases/"
SECONDS = 60.0
"""How long a lease lasts without being renewed; it is renewed three times as often."""


class Terms(msgspec.Struct, frozen=True):
    """What the object says; `until` is in seconds since 1970, in the past once it was given back."""

    holder: str
    until: float


class Lease:
    """A lease that is held; see `hold`."""

    def __init__(self, models: Storage, name: str, seconds: float, holder: str, generation: str | None) -> None:
        self._models, self._key, self._seconds, self._holder = models, _key(name), seconds, holder
        self._lost = ""
        self._ended = threading.Event()
        self._generation = generation
        self._renew(seconds)
        self._renewing = threading.Thread(target=self._keep, daemon=True)
        self._renewing.start()

    def check(self) -> None:
        """Raise JobFailed if somebody else may have taken over."""
        if not self._lost and time.time() >= self._until:
            self._lost = "it was not renewed in time"
        if self._lost:
            raise JobFailed(f"the lease {self._models.url}/{self._key} was lost: {self._lost}; nothing was changed")

    def end(self) -> None:
        """Give it back."""
        self._ended.set()
        self._renewing.join()
        if not self._lost:
            with suppress(StorageError):  # it runs out by itself
                self._renew(0)

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds / 3):
            try:
                self._renew(self._seconds)
            except Conflict:
                self._lost = "somebody else holds it"
                return
            except StorageError:
                continue  # tried again until it has run out

    def _renew(self, seconds: float) -> None:
        terms = Terms(self._holder, time.time() + seconds)
        data = msgspec.json.encode(terms)
        try:
            self._generation = self._models.swap(self._key, data, self._generation)
        except Conflict:
            # A write that was answered too late to be heard is tried again by the client, and conflicts with itself.
            stored = self._models.read(self._key)
            if stored is None or stored.data != data:
                raise
            self._generation = stored.generation
        self._until = terms.until


@contextmanager
def hold(models: Storage, name: str, tell: Progress = lambda _: None, seconds: float = SECONDS) -> Iterator[Lease]:
    """Hold the lease `leases/<name>.json` while the block runs.

    A lease held by somebody else is waited for until it runs out, at most `seconds`. Raises JobFailed where its
    holder renews it, and StorageError.
    """
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    stored = models.read(_key(name))
    if stored and (left := _terms(stored.data).until - time.time()) > 0:
        tell(f"waiting up to {min(left, seconds):.0f} s for the lease of {_terms(stored.data).holder}")
        time.sleep(min(left, seconds))
        again = models.read(_key(name))
        if again and again.generation != stored.generation and _terms(again.data).until > time.time():
            raise JobFailed(f"{_terms(again.data).holder} is at work: it holds {models.url}/{_key(name)}; try later")
        stored = again
    try:
        lease = Lease(models, name, seconds, holder, stored.generation if stored else None)
    except Conflict as error:
        raise JobFailed(f"somebody else took {models.url}/{_key(name)} first; try later") from error
    try:
        yield lease
    finally:
        lease.end()


def _key(name: str) -> str:
    return f"{FOLDER}{name}.json"


def _terms(data: bytes) -> Terms:
    try:
        return msgspec.json.decode(data, type=Terms)
    except msgspec.DecodeError:
        return Terms("a lease that cannot be read", time.time() + SECONDS)
