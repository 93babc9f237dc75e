"""Counts, by column, the cells of a scored file that could not be read or hold a value that is rare or new.

A file with a column of hardly any other cells is refused: the column cannot be the one that training read.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from service.lifecycle.data.source import SourceError
from service.model.bundle import Bundle
from service.reading.unlike import LEAST_CELLS, is_unlike, rare_in_training, unlike

NAMED = 3
"""Values of a column that are named as examples."""


@dataclass
class CellCounts:
    """A column's filled cells, how many of them could not be read, and how many hold a rare or new value.

    `examples` are the first of these values.
    """

    filled: int = 0
    unread: int = 0
    unseen: int = 0
    examples: tuple[str, ...] = ()

    def add(self, filled: int, unread: int = 0, unseen: Counter[str] | None = None) -> None:
        """Add the cells of a batch."""
        self.filled, self.unread = self.filled + filled, self.unread + unread
        if unseen:
            self.unseen += unseen.total()
            if len(self.examples) < NAMED:
                self.examples = tuple(dict.fromkeys((*self.examples, *unseen)))[:NAMED]


@dataclass
class ColumnCounts:
    """The counts of a file's columns."""

    by_column: dict[str, CellCounts] = field(default_factory=dict)

    def of(self, column: str) -> CellCounts:
        """The counts of this column."""
        return self.by_column.setdefault(column, CellCounts())

    def update(self, other: "ColumnCounts") -> None:
        """Add the counts of a batch."""
        for name, cells in other.by_column.items():
            mine = self.of(name)
            mine.filled, mine.unread = mine.filled + cells.filled, mine.unread + cells.unread
            mine.unseen += cells.unseen
            mine.examples = tuple(dict.fromkeys((*mine.examples, *cells.examples)))[:NAMED]

    def lines(self, quote: bool = False) -> Iterator[str]:
        """A line for each column with cells that could not be read, or with rare or new values.

        With `quote` examples are given: for a person's own screen, never for a log, as a cell may name a person.
        """
        for name, cells in self.by_column.items():
            share = f"of {cells.filled:,} filled cells"
            if cells.unread:
                yield f"{name!r}: {cells.unread:,} {share} could not be read"
            if cells.unseen:
                named = f" ({', '.join(value[:40] for value in cells.examples)})" if quote else ""
                yield f"{name!r}: {cells.unseen:,} {share} hold values rare or never seen in training{named}"


def may_be_unlike(counts: ColumnCounts, bundle: Bundle, accepted: Collection[str]) -> bool:
    """Whether a part of a file has a column as that of a file has which `check_like_training` refuses.

    Of a file that is refused at least one part has: where fewer cells are strange in each, so are they in all.
    """
    rare = rare_in_training(bundle.reference)
    return any(
        # As if each cell were there so often: few cells of this part may be some of many.
        is_unlike(LEAST_CELLS * cells.filled, LEAST_CELLS * (cells.unread + cells.unseen), rare.get(name, 0.0))
        for name, cells in counts.by_column.items()
        if cells.filled and name not in accepted
    )


def check_like_training(
    counts: ColumnCounts, bundle: Bundle, origin: str, accepted: Collection[str], quote: bool = False
) -> None:
    """Raise SourceError where a column is wholly unlike training and was not accepted as such by its name.

    With `quote` the message gives examples, as in `ColumnCounts.lines`.
    """
    rare = rare_in_training(bundle.reference)
    for name, cells in counts.by_column.items():
        strange = cells.unread + cells.unseen
        if name in accepted or not is_unlike(cells.filled, strange, rare.get(name, 0.0)):
            continue
        named = f" (for instance {', '.join(map(repr, cells.examples))})" if quote and cells.examples else ""
        raise SourceError(
            f"{origin}, column {name!r}: {unlike(cells.filled, strange)}{named}; is it the same column, in the same "
            f"language? To score the file all the same: --accept-unlike {name!r}"
        )
