"""Which columns of a file may hold the lead's id, and which the time at which it arrived."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC

import pandas as pd

from service.lifecycle.data.columns import Column
from service.lifecycle.data.inference import key_of_numbers, shortened
from service.lifecycle.data.source import SourceError
from service.lifecycle.inspection.names import words
from service.reading.ids import as_id

_ID = words("id ids key kennung uuid guid leadid schlüssel")
_NUMBER = words("number nr no nummer")
"""A name with one of these may also be of a count: only different cells make it an id's."""
_ARRIVED = words(
    "created create erstellt angelegt anlage eingang eingegangen received inquiry anfrage registered opened arrival "
    "signup createdate datum date timestamp"
)
_LATER = words(
    "closed close geschlossen abschluss updated modified geändert aktualisiert last letzte letzter won converted "
    "signed ended end"
)


@dataclass(frozen=True)
class RoleCandidate:
    """A column that may hold ids or times. `problem` is why it cannot be taken as it is; `fits`: it may be guessed."""

    column: str
    evidence: str
    problem: str = ""
    fits: bool = True


def id_candidates(columns: Collection[Column]) -> list[RoleCandidate]:
    """Columns whose name says that they hold ids, and a first column of codes; the likeliest first."""
    found = [
        _id(column)
        for place, column in enumerate(columns)
        if words(column.name) & _ID or ((place == 0 or words(column.name) & _NUMBER) and _codes(column))
    ]
    return sorted(found, key=lambda candidate: (bool(candidate.problem), not candidate.fits))


def time_candidates(columns: Collection[Column]) -> list[RoleCandidate]:
    """Columns of times; first those whose name says that the lead arrived then, last those of later events."""
    found = [(_time(column), words(column.name)) for column in columns if column.kind() == "time"]
    return [
        candidate
        for candidate, _ in sorted(
            found,
            key=lambda pair: (bool(pair[0].problem), not pair[0].fits, not pair[1] & _ARRIVED),
        )
    ]


def guess(candidates: list[RoleCandidate]) -> RoleCandidate | None:
    """The candidate that can be taken unless a person names another."""
    return candidates[0] if candidates and candidates[0].fits and not candidates[0].problem else None


def _id(column: Column) -> RoleCandidate:
    if cut := shortened(column.values):
        problem = f"{cut!r} is a number that a spreadsheet has shortened, and its digits are lost"
        return RoleCandidate(column.name, "", problem, fits=False)
    missing, cells = len(column.codes) - len(column.present), len(column.present)
    texts = [as_id(value) for value in column.values]
    counts = pd.Series(column.counts).groupby(texts).sum().to_numpy()
    repeated = int(cells - len(counts))
    if len(counts) <= 1:
        return RoleCandidate(column.name, "", f"all {cells:,} leads hold {texts[0]!r}" if texts else "it is empty")
    said = f"{len(counts):,} different values in {cells:,} leads"
    if missing:
        return RoleCandidate(column.name, said, f"{missing:,} leads have none")
    if 10 * repeated > cells:
        return RoleCandidate(column.name, said, f"{repeated:,} leads have the value of another")
    again = f"; {repeated:,} leads have the id of another" if repeated else ""
    return RoleCandidate(column.name, f"{said}, none missing{again}")


def _time(column: Column) -> RoleCandidate:
    if missing := len(column.codes) - len(column.present):
        return RoleCandidate(column.name, "", f"{missing:,} of {len(column.codes):,} leads have none")
    try:
        times = column.times(None, UTC)
    except SourceError as error:
        return RoleCandidate(column.name, "", _short(error, column))
    order = f", read {column.finding.order}" if column.finding.order not in (None, "year first") else ""
    said = f"from {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}{order}"
    if times.is_monotonic_increasing:
        said += "; the rows are in this order"
    later = words(column.name) & _LATER
    return RoleCandidate(column.name, said + ("; its name speaks of a later event" if later else ""), fits=not later)


def _short(error: SourceError, column: Column) -> str:
    """The message without the names of file and column, which stand before it."""
    return str(error).removeprefix(f"{column.table.origin}, ").replace(f", column {column.name!r}", "", 1)


def _codes(column: Column) -> bool:
    """Whether each cell holds another text, no long one, or another number of a sequence."""
    if len(column.values) != len(column.codes) or column.finding.refusal:
        return False
    if column.kind() == "number":
        return bool(key_of_numbers(column.prepare("number")))
    return column.identifier(0.0) == "texts"
