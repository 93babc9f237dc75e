"""A storage whose process dies between two of its operations."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from service.storage import Opened, Storage, StorageError, Stored


class Died(BaseException):
    """The process is gone."""


class Dying:
    """A storage that dies after its operation number `at` - 1, before the next, and then answers nothing any more."""

    def __init__(self, inner: Storage, at: int) -> None:
        self.inner, self.url, self._at = inner, inner.url, at
        self.operations, self.dead = 0, False
        self.changed: list[str] = []
        """Keys that were written or deleted, in order."""

    def _step(self, key: str, act: Callable[[], Any], changes: bool = False) -> Any:
        if self.dead:
            raise StorageError("dead")
        if key.startswith("leases/"):
            return act()
        self.operations += 1
        if self.operations == self._at:
            self.dead = True
            raise Died
        if changes:
            self.changed.append(key)
        return act()

    def read(self, key: str) -> Stored | None:
        return self._step(key, lambda: self.inner.read(key))  # type: ignore[no-any-return]

    def open(self, key: str, generation: str | None = None) -> Opened | None:
        return self._step(key, lambda: self.inner.open(key, generation))  # type: ignore[no-any-return]

    def create(self, key: str, data: bytes) -> None:
        self._step(key, lambda: self.inner.create(key, data), True)

    def swap(self, key: str, data: bytes, generation: str | None) -> str:
        return self._step(key, lambda: self.inner.swap(key, data, generation), True)  # type: ignore[no-any-return]

    def delete(self, key: str, generation: str) -> None:
        self._step(key, lambda: self.inner.delete(key, generation), True)

    def keys(self, prefix: str) -> Iterator[str]:
        return iter(self._step(prefix, lambda: list(self.inner.keys(prefix))))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        return iter(self._step(prefix, lambda: list(self.inner.sizes(prefix))))

    @contextmanager
    def writing(self, key: str, generation: str | None) -> Iterator[Any]:
        whole = io.BytesIO()
        whole.close = lambda: None  # type: ignore[method-assign]
        self._step(key, lambda: None)
        yield whole
        self._step(key, lambda: self.inner.swap(key, whole.getvalue(), generation), True)


def free_the_lease(predictions: Storage) -> None:
    """As when its seconds have passed."""
    for key in predictions.keys("leases/"):
        stored = predictions.read(key)
        assert stored
        predictions.delete(key, stored.generation)
