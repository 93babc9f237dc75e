"""Rows of a file that are no leads: totals, and the lines below a report's table."""

import re
from collections.abc import Sequence
from typing import Any

from service.model.spelling import fold, split

LAST_ROWS = 20
"""Rows at a file's end among which totals and footers are looked for."""
SUM_WORDS = 100
"""Characters of a cell beyond which it is no word for a sum."""
SPARSE_WIDTH = 3
"""Least number of columns from which on a row with one filled cell is no lead."""

_TOTAL = re.compile(
    r"((grand|sub)[ -]?)?totals?( général| generale?)?|(zwischen|gesamt)?summe|insgesamt|gesamt|somme|sous-total|"
    r"sum|count|anzahl|average|mean|mittelwert|durchschnitt|ø|Σ",
    re.IGNORECASE,
)

_SUMS = ("total", "totals", "grand total", "subtotal", "summe", "gesamt", "gesamtsumme", "zwischensumme", "somme")
TOTALS = tuple(f"{form}{end}" for word in _SUMS for form in (word, word.title(), word.upper()) for end in ("", ":"))
"""Ids of rows that hold a sum of the others."""


def below_the_table(last: Sequence[Sequence[Any]]) -> int:
    """How many of a file's last filled rows, of which no more than LAST_ROWS count, are no leads."""
    count = 0
    rows = last[-LAST_ROWS:]
    for place in reversed(range(len(rows))):
        cells = rows[place]
        if len(cells) < SPARSE_WIDTH or not (is_total(cells) or _lone(cells, rows[:place]) or _sums(cells)):
            break
        count += 1
    return count


def may_be_below_the_table(cells: Sequence[Any]) -> bool:
    """Whether a row with these among its cells may be no lead: one of them is filled, or the first is a sum's word."""
    texts = [str(cell) for cell in cells if not _blank(cell)]
    return len(texts) <= 1 or _names_a_sum(texts[0])


def is_total(cells: Sequence[Any]) -> bool:
    """Whether the first filled cell is a word for a sum, all others are numbers, and some cells are blank."""
    texts = [str(cell) for cell in cells if not _blank(cell)]
    if not texts or len(texts) == len(cells):
        return False
    return _names_a_sum(texts[0]) and all(split(text) for text in texts[1:])


def _names_a_sum(text: str) -> bool:
    if len(text) > SUM_WORDS:
        return False
    return bool(_TOTAL.fullmatch(re.sub(r"[ (]*[\d.,' ]*\)?\s*:?$", "", fold(text))))


def _lone(cells: Sequence[Any], above: Sequence[Sequence[Any]]) -> bool:
    """Whether one cell is filled, and it is no code like one in a row above.

    A lead of which only the id is known has such a code. With no row above, every code is taken for a lead's id.
    """
    filled = [place for place, cell in enumerate(cells) if not _blank(cell)]
    if len(filled) != 1:
        return False
    (place,) = filled
    text = str(cells[place]).strip()
    if not _is_code(text):
        return True
    others = [str(row[place]).strip() for row in above if len(row) > place and not _blank(row[place])]
    return bool(others) and not any(_alike(text, other) for other in others)


def _is_code(text: str) -> bool:
    return any(c.isdigit() for c in text) and not any(c.isspace() for c in text)


def _alike(code: str, other: str) -> bool:
    """Whether both are codes, equally long, as UUIDs are, or of the same runs of digits and letters, as 99 and 100."""
    return _is_code(other) and (len(code) == len(other) or _runs(code) == _runs(other))


def _runs(code: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", code))


def _sums(cells: Sequence[Any]) -> bool:
    """Whether numbers stand in at most half of the cells, and nothing else: not even the first cell is filled."""
    texts = [str(cell) for cell in cells if not _blank(cell)]
    return _blank(cells[0]) and _blank(cells[-1]) and 2 * len(texts) <= len(cells) and all(split(t) for t in texts)


def _blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())
