"""The objects of a storage as a file system of fsspec's, through which DuckDB reads Parquet in a bucket.

DuckDB's wheel has no extension for buckets, and none is loaded at run time. It asks for ranges of bytes: the footer
first, then the column chunks that a query needs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem  # type: ignore[import-untyped]

from service.lifecycle.relations.raw_objects import gone
from service.storage import Opened, Storage, StorageError

PROTOCOL = "objects"
READ_AHEAD = 1 << 20
"""Bytes that are fetched beyond those that are asked for: column chunks lie one after the other."""


class ObjectFiles(AbstractFileSystem):  # type: ignore[misc]
    """The storage's objects, read-only: `objects://KEY`.

    An object is read as it was when it was first asked for, whatever became of it since: a bucket with versions keeps
    what is replaced or deleted. Where that is gone, or the storage fails, `failed` says so: DuckDB tells no such error
    from others.
    """

    protocol = PROTOCOL
    cachable = False

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self._storage = storage
        self._known: dict[str, tuple[int, str]] = {}
        self.failed: StorageError | None = None

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, size and kind."""
        key = self._strip_protocol(path)
        if key not in self._known:
            opened = self.opened(key)
            opened.file.close()
            self._known.setdefault(key, (opened.size, opened.generation))
        return {"name": key, "size": self._known[key][0], "type": "file"}

    def glob(self, path: str, **_: Any) -> list[str]:
        """The path itself: `[1]` in a key is no pattern."""
        return [self._strip_protocol(path)]

    def opened(self, key: str) -> Opened:
        """The object, as it was when it was first asked for. Raises StorageError."""
        with self.noting():
            opened = self._storage.open(key, self._known[key][1] if key in self._known else None)
            if opened is None:
                raise gone(self._storage, key)
            return opened

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Keep an error of the storage for who asks why DuckDB failed."""
        try:
            yield
        except StorageError as error:
            self.failed = error
            raise

    def modified(self, _: str) -> datetime:
        """The same time for all: what a key names does not change."""
        return datetime(2000, 1, 1, tzinfo=UTC)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> "_ObjectFile":
        if mode != "rb":
            raise PermissionError(f"{path} can be read only")
        return _ObjectFile(self, self._strip_protocol(path), mode, self.info(path)["size"])


class _ObjectFile(AbstractBufferedFile):  # type: ignore[misc]
    """One object, of which the range that was read last is kept."""

    def __init__(self, files: ObjectFiles, key: str, mode: str, size: int) -> None:
        self._files, self._object = files, files.opened(key)
        super().__init__(files, key, mode, block_size=READ_AHEAD, cache_type="readahead", size=size)

    def _fetch_range(self, start: int, end: int) -> bytes:
        file = self._object.file
        file.seek(start)
        parts = []
        with self._files.noting():
            while start < end and (part := file.read(end - start)):
                parts.append(part)
                start += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the object too."""
        super().close()
        self._object.file.close()
