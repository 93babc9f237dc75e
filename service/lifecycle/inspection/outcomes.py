"""Which columns of a file may hold the outcome, and which of their values look like won, lost and open."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from service.lifecycle.data.columns import Column
from service.lifecycle.data.outcome import meaning
from service.lifecycle.inspection.names import words
from service.model.spelling import truth
from service.reading.cells import as_text

MAX_VALUES = 20
"""An outcome has no more different values: a CRM's pipeline has up to a dozen stages."""
CLEAR_SCORE = 2
"""From here on a name or the values themselves speak of an outcome; yes and no alone do not."""

_OUTCOME = words("converted conversion convert won outcome gewonnen konvertiert target y abschluss")
_STATE = words("status stage phase result ergebnis success erfolg deal closed state label sold verkauft")
_WON = words(
    "won converted gewonnen konvertiert customer kunde sold verkauft signed success successful erfolg erfolgreich "
    "gagné ganado vinto booked"
)
_LOST = words(
    "lost verloren perdu perdido perso rejected abgelehnt disqualified unqualified failure failed dead declined "
    "abgesagt not nicht non unconverted churned"
)
_OPEN = words("open offen offene pipeline pending negotiation new neu working progress proposal contacted qualified")

Verdict = Literal["won", "lost", ""]


@dataclass(frozen=True)
class OutcomeCandidate:
    """A column that may hold the outcome.

    `counts` are the leads by value, the most frequent first, spellings that differ in case alone as one; `empty` are
    leads without a value. `won` and `lost` are values that look so; all others are open leads.
    """

    column: str
    counts: dict[str, int]
    empty: int
    won: tuple[str, ...]
    lost: tuple[str, ...]
    score: int
    evidence: str

    @property
    def open(self) -> int:
        """How many leads are still open by this reading."""
        return self.empty + sum(count for value, count in self.counts.items() if value not in (*self.won, *self.lost))

    def reading(self, won: Collection[str]) -> "OutcomeCandidate":
        """These as winning values; lost is what looks so, and the only other value unless that looks open."""
        rest = [value for value in self.counts if value not in won]
        lost = [value for value in rest if verdict(value) == "lost"]
        if len(rest) == 1 and not words(rest[0]) & _OPEN:
            lost = rest
        return OutcomeCandidate(
            self.column, self.counts, self.empty, tuple(won), tuple(lost), self.score, self.evidence
        )


def outcome_candidates(columns: Collection[Column]) -> list[OutcomeCandidate]:
    """The candidates, the likeliest first; of equally likely ones the last in the file, where outcomes often are."""
    found = [candidate for column in columns if (candidate := as_candidate(column))]
    found.reverse()
    return sorted(found, key=lambda candidate: -candidate.score)


def as_candidate(column: Column, named: bool = False) -> OutcomeCandidate | None:
    """The column as a candidate, if its values allow it. `named`: a person says that it holds the outcome."""
    if len(column.values) > MAX_VALUES or not len(column.present):
        return None
    counts = _counts(column)
    by_name = _named(column.name)
    if not named and 2 * len(counts) > len(column.present):
        return None
    if not named and column.kind() == "number" and not set(counts) <= {"0", "1"}:
        return None
    verdicts = {value: verdict(value) for value in counts}
    won, lost = ([v for v, said in verdicts.items() if said == side] for side in ("won", "lost"))
    speaking = any(words(value) & (_WON | _LOST) for value in counts)
    both = bool(won and lost)
    by_values = 2 if speaking and (both or len(counts) == 1) else 1 if both else 0
    if not named and (not by_name + by_values or (len(counts) == 1 and not by_name)):
        return None
    said = [
        *(["its name speaks of an outcome"] if by_name else []),
        *(
            ["its values speak of won and lost"]
            if by_values == 2
            else ["its values read as yes and no"]
            if by_values
            else []
        ),
    ]
    found = OutcomeCandidate(
        column.name,
        counts,
        len(column.codes) - len(column.present),
        tuple(won),
        tuple(lost),
        by_name + by_values,
        "; ".join(said) or "named by a person",
    )
    return found.reading(won) if won else found


def clear(candidates: list[OutcomeCandidate]) -> OutcomeCandidate | None:
    """The candidate that stands out and whose winning value is known, if there is one."""
    if not candidates or candidates[0].score < CLEAR_SCORE or not candidates[0].won:
        return None
    return candidates[0] if len(candidates) == 1 or candidates[1].score < candidates[0].score else None


def verdict(value: str) -> Verdict:
    """What a value of an outcome says by its words; empty for one that says neither."""
    said = truth(value)
    if said is not None:
        return "won" if said else "lost"
    found = words(value)
    return "lost" if found & _LOST else "won" if found & _WON else ""


def _counts(column: Column) -> dict[str, int]:
    spelled: dict[str | float, str] = {}
    counts: dict[str, int] = {}
    for value, count in sorted(zip(_texts(column), column.counts.tolist(), strict=True), key=lambda pair: -pair[1]):
        name = spelled.setdefault(meaning(value), value)
        counts[name] = counts.get(name, 0) + count
    return counts


def _texts(column: Column) -> Iterator[str]:
    for value in column.values:
        yield as_text(value) or str(value)


def _named(name: str) -> int:
    found = words(name)
    return 2 if found & _OUTCOME else 1 if found & _STATE else 0
