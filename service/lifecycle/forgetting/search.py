"""Which leads are looked for, and how a line or a row is told to be one of theirs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from service.lifecycle.data.source import ID_COLUMN, SourceError
from service.lifecycle.forgetting.trials import Trials
from service.reading.ids import WHOLE, join_key, spellings

NUMBER_AS_ID = re.compile(rb'"%b"\s*:\s*[-0-9]' % ID_COLUMN.encode())
"""A JSON object whose id is a number, not a text."""

TEXT_AS_ID = re.compile(rb'"%b"\s*:\s*"([^"\\]+)"' % ID_COLUMN.encode())
"""A JSON object whose id is a text that is not empty and has nothing escaped."""

FEW = 4
"""Up to so many ids a line is searched for each of them, which takes less time than to find and compare its id."""


@dataclass(frozen=True)
class Search:
    """The leads to be found, the columns that may name them, and delimiter and encoding of CSV files where given.

    With `trials` what is found teaches it the leads' values, and trials on the page that match these are found too.
    """

    leads: frozenset[str]
    id_columns: tuple[str, ...] = (ID_COLUMN,)
    delimiter: str | None = None
    encoding: str | None = None
    trials: Trials | None = None

    @cached_property
    def ids(self) -> frozenset[str]:
        """The leads as `join_key` writes them."""
        return frozenset(join_key(lead) for lead in self.leads)

    @cached_property
    def spelled(self) -> frozenset[str]:
        """The leads in every spelling that stands for them."""
        return frozenset(text for lead in self.ids for text in spellings(lead))

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Those of the ids that are whole numbers."""
        return tuple(int(lead) for lead in self.ids if WHOLE.match(f"{lead}.0"))

    @cached_property
    def _literal(self) -> tuple[bytes, ...] | None:
        """The ids as JSON holds them; None where they are many, or where one may be escaped in several ways."""
        plain = len(self.ids) <= FEW and all(re.fullmatch(r"[\w.-]+", lead, re.ASCII) for lead in self.ids)
        return tuple(lead.encode() for lead in self.ids) if plain else None

    def may_be_in(self, line: bytes) -> bool:
        """Whether a line of JSON has to be parsed."""
        if self._literal is not None and any(lead in line for lead in self._literal):
            return True
        if self._literal is not None:
            return bool(self.numbers and NUMBER_AS_ID.search(line))
        named = TEXT_AS_ID.search(line)
        return named is None or join_key(named[1].decode(errors="replace")) in self.ids

    def stated_in(self, text: str) -> bool:
        """Whether a text names one of the leads, not just as a part of another word: 1007 is not in "L-1007"."""
        return any(re.search(rf"(?<![\w.-]){re.escape(lead)}(\.0+)?(?![\w-]|\.\w)", text) for lead in self.spelled)

    def holds(self, cells: Sequence[object]) -> bool:
        """Whether one of the cells is the id of one of the leads."""
        return not self.ids.isdisjoint(map(join_key, cells))

    def lead_of(self, cells: Iterable[object]) -> str:
        """The lead that one of these cells names, as `ids` has it. Raises StopIteration where none does."""
        return next(key for key in map(join_key, cells) if key in self.ids)

    def no_column(self, origin: str) -> SourceError:
        """What to raise for a file that has no column of ids."""
        return SourceError(
            f"{origin}: has no column {' or '.join(map(repr, self.id_columns))}; name it with --id-column"
        )


class Tally(NamedTuple):
    """Rows of an object: those that stay, those that are the leads', and how many of these are trials on the page.

    While the leads' values are being learnt, `trials` counts all trials, and none is gone.
    """

    rows: int = 0
    gone: int = 0
    trials: int = 0
