"""Objects in a local folder or a Google Cloud Storage bucket, behind one small interface.

A key is a path such as `models/2026/model.onnx`. A generation names one state of one object; writing against
it is a compare-and-swap. Objects written by `create` are never overwritten.
"""

import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

TIMEOUT_S, RETRY_S = 10.0, 30.0
"""Seconds that one request to the bucket may take, and for how long the client tries again by itself."""


class StorageError(Exception):
    """The storage could not be read or written; the message says which object and why."""


class Conflict(StorageError):
    """The object changed, or came to be, since it was read. Read it again and decide again."""


class Stored(NamedTuple):
    """One object as read: its bytes, and the generation to swap against."""

    data: bytes
    generation: str


class Storage(Protocol):
    """What the service and the jobs need of a place that keeps objects."""

    @property
    def url(self) -> str:
        """The address it was opened with."""

    def read(self, key: str) -> Stored | None:
        """The object, or None where there is none. Raises StorageError when the storage cannot tell."""

    def create(self, key: str, data: bytes) -> None:
        """Write a new object, whole or not at all. Raises Conflict where one exists."""

    def swap(self, key: str, data: bytes, generation: str | None) -> str:
        """Replace the object read at `generation` (None: there was none); return the new generation.

        Raises Conflict when it has changed meanwhile.
        """

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that start with the prefix, sorted."""


def open_storage(url: str) -> Storage:
    """The storage at a local folder or at `gs://bucket[/prefix]`. A folder is made when it is first written."""
    if not url.startswith("gs://"):
        if "://" in url:
            raise ValueError(f"storage {url!r}: give a folder or gs://bucket/prefix")
        return Folder(Path(url))
    bucket, _, prefix = url.removeprefix("gs://").partition("/")
    if not bucket:
        raise ValueError(f"storage {url!r} names no bucket")
    return Bucket(bucket, prefix.strip("/"))


class Folder:
    """Objects as files below a local folder. Safe for several processes of one machine."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.url = str(self.root)

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or ".." in parts:
            raise ValueError(f"illegal key {key!r}")
        return self.root.joinpath(*parts)

    @contextmanager
    def _draft(self, path: Path, data: bytes) -> Iterator[Path]:
        """A temporary file beside `path` with the data on the disk, so that a rename or link is all or nothing."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.parent / f".draft-{uuid.uuid4().hex}"
            try:
                with draft.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                yield draft
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from error

    def read(self, key: str) -> Stored | None:
        """See Storage."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
        return Stored(data, hashlib.sha256(data).hexdigest())

    def create(self, key: str, data: bytes) -> None:
        """See Storage."""
        path = self._path(key)
        with self._draft(path, data) as draft:
            try:
                os.link(draft, path)
            except FileExistsError:
                raise Conflict(f"{path} exists already") from None

    def swap(self, key: str, data: bytes, generation: str | None) -> str:
        """See Storage."""
        path = self._path(key)
        with self._draft(path, data) as draft, open(path.parent / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stored = self.read(key)
            if (stored and stored.generation) != generation:
                raise Conflict(f"{path} was changed by someone else")
            os.rename(draft, path)
        return hashlib.sha256(data).hexdigest()

    def keys(self, prefix: str) -> Iterator[str]:
        """See Storage."""
        folder = self.root / prefix.rpartition("/")[0]
        files = (p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
        yield from sorted(k for p in files if (k := p.relative_to(self.root).as_posix()).startswith(prefix))


class Bucket:
    """Objects in a Google Cloud Storage bucket, below a prefix. STORAGE_EMULATOR_HOST points it elsewhere."""

    def __init__(self, bucket: str, prefix: str) -> None:
        # Imported here: it takes half a second that a local start need not wait for.
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage
        from google.cloud.storage.retry import DEFAULT_RETRY

        emulator = os.environ.get("STORAGE_EMULATOR_HOST")
        options: dict[str, Any] = {"credentials": AnonymousCredentials(), "project": "emulator"} if emulator else {}
        self.url = f"gs://{bucket}/{prefix}".rstrip("/")
        self._bucket = storage.Client(**options).bucket(bucket)
        self._prefix = f"{prefix}/" if prefix else ""
        self._patience: dict[str, Any] = {"timeout": TIMEOUT_S, "retry": DEFAULT_RETRY.with_timeout(RETRY_S)}

    def read(self, key: str) -> Stored | None:
        """See Storage."""
        from google.api_core.exceptions import NotFound

        blob = self._bucket.blob(self._prefix + key)
        with self._errors("read", key):
            try:
                data = blob.download_as_bytes(**self._patience)
            except NotFound:
                return None
        # The download's response headers set the generation of the very bytes that it brought.
        return Stored(data, str(blob.generation))

    def create(self, key: str, data: bytes) -> None:
        """See Storage."""
        self._write(key, data, 0)

    def swap(self, key: str, data: bytes, generation: str | None) -> str:
        """See Storage."""
        return self._write(key, data, int(generation or 0))

    def _write(self, key: str, data: bytes, generation: int) -> str:
        blob = self._bucket.blob(self._prefix + key)
        with self._errors("write", key):
            blob.upload_from_string(data, if_generation_match=generation, **self._patience)
        return str(blob.generation)

    def keys(self, prefix: str) -> Iterator[str]:
        """See Storage."""
        with self._errors("list", prefix):
            for blob in self._bucket.list_blobs(prefix=self._prefix + prefix, **self._patience):
                yield blob.name.removeprefix(self._prefix)

    @contextmanager
    def _errors(self, verb: str, key: str) -> Iterator[None]:
        from google.api_core.exceptions import GoogleAPIError, PreconditionFailed
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException

        try:
            yield
        except PreconditionFailed as error:
            raise Conflict(f"{self.url}/{key} was changed by someone else") from error
        except (GoogleAPIError, GoogleAuthError, RequestException) as error:
            raise StorageError(f"cannot {verb} {self.url}/{key}: {error}") from error
