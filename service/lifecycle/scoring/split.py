"""Which parts of a large file are scored each by itself: the same for all tasks, in every start of them.

`parts/<name>.jsonl` below the scores holds the division once and for all, a part a line. Tasks that are started again,
more or fewer of them, or from a later version of this code, so score the same parts: none twice, none never. The lines
are JSON objects, which `forget` can search like all else there.
"""

from collections.abc import Callable
from contextlib import suppress

import msgspec

from service.lifecycle.data.file_parts import LEAST, FilePart
from service.lifecycle.data.lead_file import LeadFile
from service.lifecycle.data.source import SourceError
from service.lifecycle.scoring.batch_scoring import Counts, FileJob
from service.lifecycle.scoring.cell_counts import may_be_unlike
from service.storage import Conflict, Storage, StorageError

DIVISIONS = "parts/"

WHOLE: tuple[FilePart, ...] = ()
"""The division of a file that is scored as a whole."""


def may_be_divided(size: int, job: FileJob) -> bool:
    """Whether a file of so many bytes may have parts. One for people has none: it is opened as one table."""
    return size >= LEAST and job.wish is None


def division(out: Storage, name: str, opened: Callable[[], LeadFile]) -> tuple[FilePart, ...]:
    """The parts of the file, as the first task that asked divided it. Raises StorageError."""
    key = f"{DIVISIONS}{name}.jsonl"
    if (stored := out.read(key)) is None:
        with suppress(Conflict):  # another task was faster, and divided it alike
            out.create(key, msgspec.json.Encoder().encode_lines(_parts(opened)))
        stored = out.read(key)
    try:
        return tuple(msgspec.json.Decoder(FilePart).decode_lines(stored.data if stored else b""))
    except msgspec.MsgspecError as error:
        raise StorageError(f"{out.url}/{key}: is no division of a file ({error}); delete it and its scores") from error


def _parts(opened: Callable[[], LeadFile]) -> tuple[FilePart, ...]:
    try:
        with opened() as leads:
            parts = leads.parts()
    except SourceError:  # told when the file is scored
        return WHOLE
    return tuple(parts) if len(parts) > 1 else WHOLE


class Judge:
    """Judges the parts of a file by the whole, which is read once more where a part alone would be refused.

    A file may be sorted, so that one part holds all rows of a new kind. Of a file that would be refused as a whole at
    least one part is refused.
    """

    def __init__(self, job: FileJob, count: Callable[[], Counts]) -> None:
        self._job, self._count = job, count
        self._whole: Counts | None = None

    def __call__(self, part: Counts) -> Counts:
        """The counts to judge by: those of this part where it is beyond doubt. Raises SourceError."""
        unlike = may_be_unlike(part.columns, self._job.bundle, self._job.accepted)
        if not unlike and (part.scored or not part.set_aside):
            return part
        self._whole = self._whole or self._count()
        return self._whole
