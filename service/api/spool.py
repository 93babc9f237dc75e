"""The spool: records wait in a local folder, bounded, until they are uploaded; none is lost, none is doubled.

    <spool>/<instance>/.lock               held while the instance lives
    <spool>/<instance>/<segment>.jsonl     the last one is being written, the others wait for upload

A segment becomes one create-only object named after it and its content, so that an upload tried twice changes
nothing. Segments of an instance that died are adopted by the next one on the same folder.
"""

import contextlib
import fcntl
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from service import records
from service.api import metrics
from service.storage import Conflict, Storage, StorageError

logger = logging.getLogger(__name__)

SEGMENT_BYTES = 16_000_000
"""A segment is closed at this size, which bounds the memory of its upload."""

COUNT_CHUNK = 500_000
"""Bytes whose lines are counted at once."""

UPLOAD_NICENESS = 10
"""How far uploads stand behind all else that wants the processor."""

MIN_FREE_BYTES = 500_000
"""Bytes that must be free for the service to be ready: the records of some thousand leads."""


class SpoolFull(Exception):
    """The spool cannot take these records: too much waits for upload, or the disk refuses."""


class Spool:
    """The writing side, for one thread; `closed`, `done` and `postpone` may be called from another."""

    def __init__(self, folder: Path, max_bytes: int, fsync: bool = False, now: Callable[[], float] = time.time) -> None:
        self._root, self._max_bytes, self._fsync, self._now = folder, max_bytes, fsync, now
        self._locks: list[IO[str]] = []
        self._own = self._enter()
        self._guard = threading.Lock()
        self._file = -1
        self._size = self._hour = self._count = 0
        self._current: Path | None = None
        self._closed: dict[Path, int] = {}
        """Segments that wait for upload, in the order of their turns, with their bytes."""
        self.due = threading.Event()
        """Set when a segment is full; whoever uploads clears it."""
        self._adopt()
        self._waiting = sum(self._closed.values())

    @property
    def waiting(self) -> int:
        """Bytes that wait, those being written included."""
        return self._waiting

    @property
    def has_room(self) -> bool:
        """Whether a large request's records would be taken now, by what is known without writing."""
        disk = os.statvfs(self._own)
        return self._waiting + MIN_FREE_BYTES <= self._max_bytes and disk.f_bavail * disk.f_frsize >= MIN_FREE_BYTES

    def append(self, lines: bytes) -> None:
        """Take whole lines, all or none. When this returns they are with the operating system (fsync: on the disk)."""
        with self._guard:
            if self._waiting + len(lines) > self._max_bytes:
                raise SpoolFull(f"{self._waiting} bytes wait for upload, of at most {self._max_bytes}")
            try:
                now = self._now()
                if self._current and (self._size > SEGMENT_BYTES or int(now) // 3600 != self._hour):
                    self._close()
                    self.due.set()
                if self._current is None:
                    self._open(now)
                self._write(lines)
            except OSError as error:
                raise SpoolFull(f"{self._own}: {error.strerror}") from error
            self._size += len(lines)
            self._waiting += len(lines)

    def closed(self, current: bool = True) -> list[Path]:
        """Close the current segment, unless told not to, and give all that wait for upload, oldest first."""
        with self._guard:
            if current:
                self._close()
            return list(self._closed)

    def done(self, segment: Path) -> None:
        """Forget an uploaded segment."""
        with self._guard:
            segment.unlink(missing_ok=True)
            self._waiting -= self._closed.pop(segment)

    def postpone(self, segment: Path) -> None:
        """Let a segment that could not be uploaded wait behind the others: it must not block them."""
        with self._guard:
            self._closed[segment] = self._closed.pop(segment)

    def stop(self) -> None:
        """Release the folder: what still waits is adopted by the next instance."""
        with self._guard:
            self._close()
            for lock in self._locks:
                folder = Path(lock.name).parent
                if not any(folder.glob("*.jsonl")):
                    with contextlib.suppress(OSError):
                        (folder / ".lock").unlink()
                        folder.rmdir()
                lock.close()
            self._locks.clear()

    def _open(self, now: float) -> None:
        self._count += 1
        self._hour = int(now) // 3600
        moment = datetime.fromtimestamp(now, UTC)
        segment = self._own / f"{moment:%Y%m%dT%H%M%SZ}-{self._own.name[:12]}-{self._count:06d}.jsonl"
        self._file = os.open(segment, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._current, self._size = segment, 0

    def _write(self, lines: bytes) -> None:
        try:
            written = os.write(self._file, lines)
            if written != len(lines):
                raise OSError(28, "the disk took only a part of it")
            if self._fsync:
                os.fdatasync(self._file)
        except OSError:
            # Nothing of a refused request may stay: its caller will send it again.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise

    def _close(self) -> None:
        if self._current is None:
            return
        segment, self._current = self._current, None
        if self._size:
            self._closed[segment] = self._size
        else:
            segment.unlink(missing_ok=True)
        os.close(self._file)

    def _enter(self) -> Path:
        """A folder of our own, locked. Another instance that starts may adopt it before it is: take the next."""
        while True:
            own = self._root / uuid.uuid4().hex
            own.mkdir(parents=True)
            if self._hold(own):
                return own

    def _hold(self, folder: Path) -> bool:
        """Lock an instance's folder; False when its instance is alive."""
        lock = open(folder / ".lock", "w")  # noqa: SIM115 - held until stop
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._locks.append(lock)
        return True

    def _adopt(self) -> None:
        """Take over the segments of instances that are gone."""
        for folder in sorted(self._root.iterdir()):
            if folder == self._own or not folder.is_dir() or not self._hold(folder):
                continue
            for segment in sorted(folder.glob("*.jsonl")):
                try:
                    self._adopt_segment(segment)
                except OSError as error:  # a folder, or a file of somebody else: what can be read is adopted
                    metrics.UPLOAD_FAILURES.inc()
                    logger.error(
                        "not a segment that can be read, left for the next start",
                        extra={"segment": str(segment), "error": str(error)},
                    )
            logger.info("adopted the records of an instance that is gone", extra={"folder": folder.name})

    def _adopt_segment(self, segment: Path) -> None:
        data = segment.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):  # a line that a crash cut short was never acknowledged
            os.truncate(segment, whole)
        if whole:
            self._closed[segment] = whole
        else:
            segment.unlink()


class Uploader:
    """Uploads closed segments, in a thread of its own. No error ends the thread: each is counted, and tried again.

    A full segment is uploaded at once, because several in a row would delay requests; a smaller one waits `every_s`.
    """

    def __init__(self, spool: Spool, predictions: Storage, every_s: float) -> None:
        self._spool, self._predictions, self._every_s = spool, predictions, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uploader", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Upload what is left, for at most this long; the rest waits in the folder for the next instance."""
        self._stop.set()
        self._spool.due.set()
        self._thread.join(grace_s)
        if self._thread.is_alive() or self._spool.waiting:
            logger.error("records left in the spool", extra={"bytes": self._spool.waiting})

    def _run(self) -> None:
        # Linux gives a thread a priority of its own: scoring goes first. https://man7.org/linux/man-pages/man7/sched.7.html
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), UPLOAD_NICENESS)
        done = time.monotonic()
        while not self._stop.is_set():
            full = self._spool.due.wait(max(0.0, done + self._every_s - time.monotonic()))
            self._spool.due.clear()
            if not self.upload(current=not full):
                self._stop.wait(self._every_s)
            if not full:
                done = time.monotonic()
        self.upload()

    def upload(self, current: bool = True) -> bool:
        """Upload the waiting segments in turn; return whether all of them were.

        A segment that fails waits behind the others. An error of the storage ends the turn, for it would meet them too.
        """
        try:
            segments = self._spool.closed(current)
        except OSError as error:
            self._failed("the segment being written cannot be closed", error)
            return False
        good = True
        for segment in segments:
            try:
                lines = self._upload(segment)
                self._spool.done(segment)
            except Exception as error:  # without this thread the spool fills up and scoring stops
                self._spool.postpone(segment)
                self._failed(segment.name, error)
                good = False
                if isinstance(error, StorageError):
                    break
            else:
                metrics.RECORDS_UPLOADED.inc(lines)
                metrics.SPOOL_BYTES.set(self._spool.waiting)
        return good

    def _failed(self, what: str, error: Exception) -> None:
        metrics.UPLOAD_FAILURES.inc()
        logger.warning(
            "records could not be uploaded, will try again",
            extra={"segment": what, "error": f"{type(error).__name__}: {error}"},
        )

    def _upload(self, segment: Path) -> int:
        lines = segment.read_bytes()
        # The name holds what ends a gzip file (RFC 1952), the CRC-32 and the length of the lines: an object of this
        # name holds these very lines, uploaded by an attempt that died or whose answer was lost. The service may
        # create objects there, not read them.
        data = records.to_object(lines)
        with contextlib.suppress(Conflict):
            self._predictions.create(records.object_key(f"{segment.stem}-{data[-8:].hex()}"), data)
        # Piece by piece: the interpreter's lock is held for each, and scoring waits for it.
        return sum(lines.count(b"\n", start, start + COUNT_CHUNK) for start in range(0, len(lines), COUNT_CHUNK))
