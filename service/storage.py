"""Objects in a local folder or a Google Cloud Storage bucket, behind one small interface.

A key is a path such as `models/2026/model.onnx`. A generation names one state of one object; writing against
it is a compare-and-swap. Objects written by `create` are never overwritten.
"""

import fcntl
import hashlib
import io
import mimetypes
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

from service.read_ahead import ReadAhead

CHUNK = 8 << 20
"""Bytes of an object being streamed that are held at once, and sent in one request."""

DRAFT = ".draft-"
"""How the names of files begin that are being written in a folder."""

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


Writable = io.RawIOBase | io.BufferedIOBase
"""A file that bytes are written to."""


class Opened(NamedTuple):
    """One state of an object, to be read in parts: a seekable file without a buffer, its size and generation.

    What a bucket's file is to fetch ahead is told it by `service.read_ahead.expect`.
    """

    file: io.RawIOBase
    size: int
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

    def open(self, key: str, generation: str | None = None) -> Opened | None:
        """The object as it is now, to be read in parts, or None where there is none. Close the file.

        What is read belongs to this one generation; where it was replaced meanwhile, reading may raise StorageError.
        With a generation it is opened as it was then, None where that is gone: a bucket with versions keeps it.
        """

    def writing(self, key: str, generation: str | None) -> AbstractContextManager[Writable]:
        """`swap` for what is too large for the memory: the object appears whole when the block ends without an error.

        Where the block raises, or the process dies in it, all stays as it was. Raises Conflict.
        """

    def delete(self, key: str, generation: str) -> None:
        """Remove the object read at `generation`. Raises Conflict when it has changed meanwhile."""

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that start with the prefix, sorted."""

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """The same keys, each with the size of its object in bytes."""


TYPES = mimetypes.MimeTypes()
"""Python's own table: that of `mimetypes` itself differs between machines."""


def content_type(key: str) -> str:
    """The media type that the key's suffix states: a browser shows a report by it. Compressed objects have none."""
    found, compression = TYPES.guess_type(key)
    return "application/octet-stream" if found is None or compression else found


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

    def open(self, key: str, generation: str | None = None) -> Opened | None:
        """See Storage."""
        path = self._path(key)
        try:
            file = io.FileIO(path)
            found = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            file.seek(0)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
        if generation not in (None, found):
            file.close()
            return None
        return Opened(file, size, found)

    def create(self, key: str, data: bytes) -> None:
        """See Storage."""
        with self.writing(key, None) as file:
            file.write(data)

    def swap(self, key: str, data: bytes, generation: str | None) -> str:
        """See Storage."""
        with self.writing(key, generation) as file:
            file.write(data)
        return hashlib.sha256(data).hexdigest()

    @contextmanager
    def writing(self, key: str, generation: str | None) -> Iterator[Writable]:
        """See Storage. A temporary file beside the object, on the disk before a rename or link puts it in place."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.parent / f"{DRAFT}{uuid.uuid4().hex}"
            try:
                with draft.open("xb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX)  # a draft that nobody holds is of a process that died
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                    if generation is None:
                        self._link(draft, path)
                    else:
                        with self._unchanged(key, generation):
                            os.rename(draft, path)
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from error

    def delete(self, key: str, generation: str) -> None:
        """See Storage."""
        path = self._path(key)
        try:
            with self._unchanged(key, generation):
                path.unlink()
        except OSError as error:
            raise StorageError(f"cannot delete {path}: {error.strerror}") from error

    def _link(self, draft: Path, path: Path) -> None:
        try:
            os.link(draft, path)
        except FileExistsError:
            raise Conflict(f"{path} exists already") from None

    @contextmanager
    def _unchanged(self, key: str, generation: str) -> Iterator[None]:
        """Keeps others from changing the object as long as the block lasts. Raises Conflict where one has already."""
        path = self._path(key)
        with open(path.parent / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            opened = self.open(key)
            if opened:
                opened.file.close()
            if opened is None or opened.generation != generation:
                raise Conflict(f"{path} was changed by someone else")
            yield

    def keys(self, prefix: str) -> Iterator[str]:
        """See Storage."""
        return (key for key, _ in self.sizes(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See Storage."""

        def refuse(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):  # a folder that is not there is empty
                raise StorageError(f"cannot list {error.filename}: {error.strerror}") from error

        walk = os.walk(self.root / prefix.rpartition("/")[0], onerror=refuse)
        files = (
            p for place, _, names in walk for n in names if not n.startswith(".") and (p := Path(place, n)).is_file()
        )
        named = ((path.relative_to(self.root).as_posix(), path) for path in files)
        for key, path in sorted(each for each in named if each[0].startswith(prefix)):
            with suppress(FileNotFoundError):  # deleted since it was listed
                yield key, path.stat().st_size


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
            return Stored(data, self._generation(blob))

    def create(self, key: str, data: bytes) -> None:
        """See Storage."""
        self._write(key, data, 0)

    def swap(self, key: str, data: bytes, generation: str | None) -> str:
        """See Storage."""
        return self._write(key, data, int(generation or 0))

    def open(self, key: str, generation: str | None = None) -> Opened | None:
        """See Storage."""
        wanted = int(generation) if generation else None
        with self._errors("read", key):
            blob = self._bucket.get_blob(self._prefix + key, generation=wanted, **self._patience)
            if blob is None:
                return None
            generation = self._generation(blob)
        pinned = self._bucket.blob(blob.name, generation=blob.generation)

        def part(start: int, end: int) -> bytes:
            with self._errors("read", key):
                data = bytes(pinned.download_as_bytes(start=start, end=end, checksum=None, **self._patience))
            if len(data) != end + 1 - start:
                raise StorageError(f"{self.url}/{key}: {len(data)} bytes came where {end + 1 - start} were asked for")
            return data

        return Opened(ReadAhead(part, blob.size), blob.size, generation)

    @contextmanager
    def writing(self, key: str, generation: str | None) -> Iterator[Writable]:
        """See Storage. Beyond CHUNK a resumable upload, which makes no object before its end.

        https://cloud.google.com/storage/docs/resumable-uploads
        """
        blob = self._bucket.blob(self._prefix + key)
        condition = {"if_generation_match": int(generation or 0), **self._upload(key)}
        head = io.BytesIO()
        with self._errors("write", key):
            with _Spill(head, lambda: blob.open("wb", chunk_size=CHUNK, ignore_flush=True, **condition)) as file:
                yield file
            if file.spilled is None:
                blob.upload_from_string(head.getvalue(), **condition)
                self._generation(blob)

    def delete(self, key: str, generation: str) -> None:
        """See Storage."""
        from google.api_core.exceptions import NotFound

        with self._errors("delete", key):
            try:
                self._bucket.blob(self._prefix + key).delete(if_generation_match=int(generation), **self._patience)
            except NotFound as error:
                raise Conflict(f"{self.url}/{key} was deleted by someone else") from error

    def _write(self, key: str, data: bytes, generation: int) -> str:
        blob = self._bucket.blob(self._prefix + key)
        with self._errors("write", key):
            blob.upload_from_string(data, if_generation_match=generation, **self._upload(key))
            return self._generation(blob)

    def _upload(self, key: str) -> dict[str, Any]:
        return {"content_type": content_type(key), **self._patience}

    @staticmethod
    def _generation(blob: Any) -> str:
        """The object's generation as the answer states it. Raises StorageError where it states none.

        Every object has a positive one, so an answer without it is not the bucket's, and proves nothing.
        https://cloud.google.com/storage/docs/json_api/v1/objects#resource
        """
        with _object_expected():
            generation = blob.generation
        if generation is None or generation <= 0:
            raise StorageError(f"gs://{blob.bucket.name}/{blob.name}: the answer states no generation of the object")
        return str(generation)

    def keys(self, prefix: str) -> Iterator[str]:
        """See Storage."""
        return (key for key, _ in self.sizes(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See Storage."""
        with self._errors("list", prefix):
            for blob in self._bucket.list_blobs(prefix=self._prefix + prefix, **self._patience):
                yield blob.name.removeprefix(self._prefix), blob.size

    @contextmanager
    def _errors(self, verb: str, key: str) -> Iterator[None]:
        from google.api_core.exceptions import GoogleAPIError, PreconditionFailed
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
        from requests.exceptions import RequestException

        try:
            yield
        except PreconditionFailed as error:
            raise Conflict(f"{self.url}/{key} was changed by someone else") from error
        except (GoogleAPIError, GoogleAuthError, RequestException, DataCorruption, InvalidResponse) as error:
            raise StorageError(f"cannot {verb} {self.url}/{key}: {error}") from error


@contextmanager
def _object_expected() -> Iterator[None]:
    """Raise StorageError where Google's client fails because an answer is not the JSON of an object."""
    try:
        yield
    except (AttributeError, TypeError, ValueError) as error:
        raise StorageError(f"the answer is not that of a bucket: {error}") from error


class _Spill(io.RawIOBase):
    """What is written goes to `head`, and, as soon as it is more than CHUNK, all of it to what `opened` gives."""

    def __init__(self, head: io.BytesIO, opened: Callable[[], Any]) -> None:
        self._head, self._opened = head, opened
        self.spilled: Any = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.spilled is None and self._head.tell() + len(data) > CHUNK:
            self.spilled = self._opened()
            with _object_expected():
                self.spilled.write(self._head.getvalue())
        if self.spilled is None:
            return self._head.write(data)
        with _object_expected():
            return int(self.spilled.write(data))

    def __exit__(self, kind: Any, *_: object) -> None:
        if self.spilled is None:
            return
        if kind is None:
            with _object_expected():
                self.spilled.close()
        else:
            with suppress(Exception):  # an upload that is not finished ends by itself after a week
                self.spilled.terminate()
