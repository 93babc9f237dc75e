"""Whether the cells of a column of text hold several choices each, such as "Webinar;Demo request", and their separator.

Names ("Smith, John"), addresses and titles hold the same marks. So a column counts as one of choices only where few
choices, each also alone in a cell, occur in many combinations and numbers; in doubt a cell is one value.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from service.model.choices import SEPARATORS, parted
from service.model.reference import MIN_LEADS
from service.model.spelling import fold

LEAST_SEVERAL, SEVERAL_SHARE = 20, 0.05
"""Cells, and share of all cells, that hold more than one choice."""
COVERED = 0.95
"""Share of the cells all choices of which are known: shared by MIN_LEADS leads."""
FREE = 0.9
"""Share of the cells with several choices all of which also stand alone, and in three cells that differ."""
MOST_CHOICES = 200
SIZES = (1, 2, 3)
"""Numbers of choices in a cell that each occur in MIN_LEADS cells: two parts are often a name's or a place's."""


def separator_of(texts: Sequence[str], counts: npt.NDArray[np.int64]) -> str:
    """What stands between choices in these distinct texts, each in so many cells; "" where a cell is one value."""
    return next((mark for mark in SEPARATORS if _parts(texts, counts, mark)), "")


def _parts(texts: Sequence[str], counts: npt.NDArray[np.int64], separator: str) -> bool:
    """Whether the texts are combinations of choices separated by this mark."""
    several = sum(int(n) for text, n in zip(texts, counts, strict=True) if separator in text)
    if several < max(LEAST_SEVERAL, SEVERAL_SHARE * int(counts.sum())):
        return False
    cells: Counter[frozenset[str]] = Counter()
    for text, count in zip(texts, counts, strict=True):
        cells[frozenset(map(fold, parted(text, separator)))] += int(count)
    del cells[frozenset()]
    leads: Counter[str] = Counter()
    differing: Counter[str] = Counter()
    for cell, count in cells.items():
        leads.update(dict.fromkeys(cell, count))
        differing.update(cell)
    known = {choice for choice, count in leads.items() if count >= MIN_LEADS}
    if not 3 <= len(known) <= MOST_CHOICES or (separator == "," and any(c.isdecimal() for c in known)):
        return False
    sizes: Counter[int] = Counter()
    for cell, count in cells.items():
        sizes[len(cell)] += count
    if any(sizes[size] < MIN_LEADS for size in SIZES):
        return False
    free = {choice for choice in known if differing[choice] >= 3 and cells[frozenset([choice])]}
    combined = {cell: count for cell, count in cells.items() if len(cell) > 1}
    return (
        sum(count for cell, count in cells.items() if cell <= known) >= COVERED * cells.total()
        and sum(count for cell, count in combined.items() if cell <= free) >= FREE * sum(combined.values())
        and sum(cell <= known for cell in combined) >= len(known)
    )
