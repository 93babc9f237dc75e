"""What a machine's own folders hold besides objects: the spools of services, and drafts of writes that were cut short.

A service holds the lock of its instance's folder in the spool while it lives (`service.api.spool`), and whoever writes
an object holds its draft (`service.storage.Folder`). So what nobody holds belongs to a process that died.
"""

import contextlib
import fcntl
import io
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from service.lifecycle.data.source import SourceError
from service.lifecycle.forgetting.erasure import without
from service.lifecycle.forgetting.places import Target
from service.lifecycle.forgetting.search import Search
from service.lifecycle.forgetting.sweep import Removed, Swept
from service.lifecycle.runtime.runner import Progress
from service.storage import DRAFT, Conflict, Folder, Opened, StorageError

UPLOAD_WAIT_S = 30.0
"""Seconds that records of a running service are waited for: it uploads every few seconds."""

_DRAFT = re.compile(rf"{re.escape(DRAFT)}[0-9a-f]{{32}}")

YOUNG_S = 60.0
"""Seconds after its last change in which a draft may be of a process that has not locked it yet."""


class InstanceFolder(Folder):
    """An instance's folder of the spool. Its segments are rewritten under the instance's own lock."""

    @contextlib.contextmanager
    def _unchanged(self, key: str, generation: str) -> Iterator[None]:
        """Raises StorageError where a service has adopted the folder: waiting for its lock would last as long as it."""
        with _locked(self.root) as free:
            if not free:
                raise StorageError(f"{self.root}: a service that was started meanwhile uploads it; start again")
            stored = self.read(key)
            if stored is None or stored.generation != generation:
                raise Conflict(f"{self.root}/{key} was changed by someone else")
            yield


def left_instances(spool: Path) -> list[Target]:
    """The folders of instances that are gone."""
    free = []
    for folder in _instances(spool):
        with _locked(folder) as is_free:
            free += [folder] if is_free else []
    return [Target(InstanceFolder(folder), "", "records of a service that is gone") for folder in free]


def live_segments(spool: Path) -> list[Path]:
    """Segments of instances that live."""
    found = []
    for folder in _instances(spool):
        with _locked(folder) as is_free:
            found += [] if is_free else sorted(folder.glob("*.jsonl"))
    return found


def wait_for_uploads(spool: Path, tell: Progress) -> None:
    """Return when all that waits now in the spools of running services is uploaded, or the time is up."""
    waiting, until = live_segments(spool), time.monotonic() + UPLOAD_WAIT_S
    while waiting := [segment for segment in waiting if segment.exists()]:
        if time.monotonic() > until:
            return
        tell(f"waiting until a running service has uploaded {len(waiting)} segments of {spool}")
        time.sleep(0.2)


def search_live(spool: Path, search: Search) -> Swept:
    """Search what running services still hold: a lead that is there cannot be removed, and is named as such."""
    swept = Swept(str(spool), "records that running services hold")
    for segment in live_segments(spool):
        try:
            data = segment.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]  # the service may be writing the last line
            found = without(str(segment), Opened(io.BytesIO(whole), len(whole), ""), None, search)  # type: ignore[arg-type]
        except FileNotFoundError:
            continue  # uploaded meanwhile
        except (OSError, SourceError) as error:
            swept.fail(str(segment), error)
            continue
        swept.objects += 1
        if found.gone:
            swept.failed.append(
                f"{segment}: a running service holds {found.gone} rows of these leads and does not upload them; "
                "see its log, or stop it, and start again"
            )
    return swept


def sweep_drafts(roots: Sequence[Path], dry_run: bool) -> Swept:
    """Delete the drafts that nobody is writing. One that is being written, or may be, is named.

    A draft is told by the name that `service.storage.Folder` gives it: files of others that are called alike stay.
    """
    swept = Swept(", ".join(f"{root}/**/{DRAFT}*" for root in roots), "unfinished files")
    for draft in sorted({draft for root in roots for draft in root.rglob(f"{DRAFT}*") if _DRAFT.fullmatch(draft.name)}):
        try:
            with draft.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - draft.stat().st_mtime < YOUNG_S:
                    raise BlockingIOError
                if not dry_run:
                    draft.unlink()
        except FileNotFoundError:
            continue  # finished meanwhile
        except BlockingIOError:
            swept.failed.append(f"{draft}: is being written, or was a minute ago; start again when that job is done")
            continue
        except OSError as error:
            swept.fail(str(draft), error)
            continue
        swept.objects += 1
        swept.removed.append(Removed(str(draft), 0, 0, True))
    return swept


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of an instance's folder; whether it was free."""
    with open(folder / ".lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _instances(spool: Path) -> list[Path]:
    return sorted(folder for folder in spool.iterdir() if folder.is_dir()) if spool.is_dir() else []
