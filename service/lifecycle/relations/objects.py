"""The objects of a storage as a file system of fsspec's, through which DuckDB reads Parquet in a bucket.

DuckDB's wheel has no extension for buckets, and none is loaded at run time. It asks for ranges of bytes: the footer
first, then the column chunks that a query needs.
"""

from datetime import UTC, datetime
from typing import Any

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem  # type: ignore[import-untyped]

from service.storage import Storage, StorageError

PROTOCOL = "objects"
READ_AHEAD = 1 << 20
"""Bytes that are fetched beyond those that are asked for: column chunks lie one after the other."""


class ObjectFiles(AbstractFileSystem):  # type: ignore[misc]
    """The storage's objects, read-only: `objects://KEY`. What a key names does not change while it is read."""

    protocol = PROTOCOL
    cachable = False

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self._storage = storage
        self._sizes: dict[str, int] = {}

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, size and kind."""
        key = self._strip_protocol(path)
        if key not in self._sizes:
            opened = self._storage.open(key)
            if opened is None:
                raise FileNotFoundError(f"{self._storage.url}/{key}")
            opened.file.close()
            self._sizes[key] = opened.size
        return {"name": key, "size": self._sizes[key], "type": "file"}

    def modified(self, _: str) -> datetime:
        """The same time for all: what a key names does not change."""
        return datetime(2000, 1, 1, tzinfo=UTC)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> "_ObjectFile":
        return _ObjectFile(self, self._strip_protocol(path), mode, self._storage, self.info(path)["size"])


class _ObjectFile(AbstractBufferedFile):  # type: ignore[misc]
    """One object, of which the range that was read last is kept."""

    def __init__(self, files: ObjectFiles, key: str, mode: str, storage: Storage, size: int) -> None:
        super().__init__(files, key, mode, block_size=READ_AHEAD, cache_type="readahead", size=size)
        opened = storage.open(key)
        if opened is None:
            raise StorageError(f"{storage.url}/{key} was deleted while it was read")
        self._object = opened

    def _fetch_range(self, start: int, end: int) -> bytes:
        file = self._object.file
        file.seek(start)
        parts = []
        while start < end and (part := file.read(end - start)):
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the object too."""
        super().close()
        self._object.file.close()
