"""What a lead source will say of a file: found in the file, or stated by a person."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.lifecycle.data.source import Source
from service.lifecycle.data.table import FileForm
from service.model.spelling import Mark

_NEUTRAL = {"conversion_value": 2.0, "contact_cost": 1.0}
"""Economics to read the leads with: how they are read does not depend on them."""


@dataclass(frozen=True)
class Proposal:
    """The keys of a lead source that a file can tell. `economics` is what a person stated, if one did.

    Without `target` and `won` nothing can be read: no column is likely enough to hold the outcome.
    """

    file: Path
    form: FileForm
    decimal: Mark | None
    target: str | None = None
    won: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    id_column: str | None = None
    time_column: str | None = None
    leaks: tuple[str, ...] = ()
    economics: dict[str, float] | None = None

    @property
    def name(self) -> str:
        """A source's name made of the file's: lower case letters, digits and hyphens."""
        stem = self.file.name.removesuffix(".gz").rpartition(".")[0] or self.file.name
        return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:63].rstrip("-") or "leads"

    def path(self, folder: Path) -> str:
        """The file's path in a source that is kept in this folder: its name alone where both are in one folder."""
        file = self.file.absolute()
        return file.name if file.parent == folder.absolute() else str(file)

    def keys(self, folder: Path) -> dict[str, Any]:
        """The keys and their values; None for a key that is not needed."""
        return {
            "name": self.name,
            "path": self.path(folder),
            "delimiter": self.form.delimiter,
            "encoding": self.form.encoding,
            "sheet": self.form.sheet,
            "decimal": self.decimal,
            "id_column": self.id_column,
            "time_column": self.time_column,
            "target_column": self.target,
            "positive": _one_or_more(self.won) if self.won else None,
            "negative": _one_or_more(self.lost) if self.lost else None,
            "leaks": self.leaks or None,
        }

    def source(self, folder: Path, **more: Any) -> Source:
        """The lead source, with economics that mean nothing where no person has stated any."""
        keys = {key: value for key, value in self.keys(folder).items() if value is not None}
        return Source.model_validate(
            {**keys, "economics": self.economics or _NEUTRAL, **more}, context={"folder": folder.absolute()}
        )


def _one_or_more(values: tuple[str, ...]) -> str | tuple[str, ...]:
    return values[0] if len(values) == 1 else values
