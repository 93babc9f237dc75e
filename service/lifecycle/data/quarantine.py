"""Rows that cannot be used are set aside with file, row, column and reason: none is dropped silently, none stops a job.

`quarantine/<kind>/<file>-<digest>.jsonl.gz` in the leads' storage holds the rejected rows of one file. The name holds a
digest of the content, so that rows rejected by every run are there once.
"""

import contextlib
import hashlib
import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from service import records
from service.storage import Conflict, Storage

PREFIX = "quarantine/"
Kind = Literal["outcomes", "contacts", "groups", "predictions"]


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was set aside: where it stands, and why. Row 0 is the whole file, which stays where it is.

    `lead_id` is "" where the row names none; `content` is the row as it stands in the file.
    """

    file: str
    row: int
    column: str
    reason: str
    lead_id: str = ""
    content: str = ""

    @property
    def place(self) -> str:
        """File, row and column: what a log may hold of the row."""
        return f"{self.file}{f', row {self.row}' if self.row else ''}{self.column and f', {self.column}'}"

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def set_aside(leads: Storage, kind: Kind, rejected: Sequence[Rejected]) -> list[str]:
    """Keep the rejected rows; return the keys of their objects, one a file. Raises StorageError."""
    files: dict[str, list[Rejected]] = {}
    for row in rejected:
        files.setdefault(row.file, []).append(row)
    keys = []
    for file, rows in files.items():
        lines = msgspec.json.Encoder().encode_lines(rows)
        name = re.sub(r"[^A-Za-z0-9._-]", "_", file.rpartition("/")[2])[:100]
        keys.append(f"{PREFIX}{kind}/{name}-{hashlib.sha256(lines).hexdigest()[:16]}.jsonl.gz")
        with contextlib.suppress(Conflict):  # its name holds a digest of its content
            leads.create(keys[-1], records.to_object(lines))
    return keys
