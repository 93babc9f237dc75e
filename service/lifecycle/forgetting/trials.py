"""Tells which trials on the service's page are of a lead: the page gives each an id of its own, `page-...`.

A trial is a lead's where all features that its record stores hold the lead's values, and the other features of the same
model are missing for the lead too. Numbers are compared as numbers however a file writes them, texts without case and
blanks. The lead's values come from its prediction records and from every file that has its row. A trial in which one
field was changed is another lead's.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from service.model.spelling import clean, fold, is_nothing, split, truth

Reading = tuple[str, object]
"""One thing that a cell may mean: a kind of value, and the value."""


class Trials:
    """What is known of the leads, learnt by a first search, and which trials are theirs, asked in a second one.

    Trials scored before `older_than` are removed whatever they hold. `absent` are a source's marks for "missing".
    """

    def __init__(self, older_than: datetime | None = None, absent: Collection[str] = ()) -> None:
        self._older_than, self._absent = older_than, frozenset(map(fold, absent))
        self._rows: dict[frozenset[tuple[str, frozenset[Reading]]], dict[str, frozenset[Reading]]] = {}
        self._holding: dict[tuple[str, Reading], list[dict[str, frozenset[Reading]]]] = defaultdict(list)
        self._features: dict[str, set[str]] = defaultdict(set)
        self._names: dict[str, set[str]] = defaultdict(set)
        self.learning = True

    def learn(self, lead: str, row: Mapping[Any, Any]) -> None:
        """Remember a row of the lead, with the names of its columns."""
        read = {fold(str(name)): readings(cell, self._absent) for name, cell in row.items()}
        filled = {name: meant for name, meant in read.items() if meant}
        self._names[lead] |= filled.keys()
        key = frozenset(filled.items())
        if key in self._rows:
            return
        self._rows[key] = filled
        for name, meant in filled.items():
            for reading in meant:
                self._holding[name, reading].append(filled)

    def see(self, record: Mapping[str, Any]) -> None:
        """Remember which features the record's model has."""
        if isinstance(inputs := record.get("inputs"), dict):
            self._features[str(record.get("model_version"))] |= set(map(fold, inputs))

    def without_values(self, leads: Collection[str]) -> list[str]:
        """Those of the leads of which no feature's value is known, so that no trial can be told to be theirs."""
        features = set[str]().union(*self._features.values())
        return [lead for lead in leads if not self._names[lead] & features]

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Whether the trial is of one of the leads, or old enough. Always False while learning."""
        if self.learning:
            return False
        if self._older_than and (scored := _time(record.get("time"))) and scored < self._older_than:
            return True
        inputs = record.get("inputs")
        if not isinstance(inputs, dict):
            return False
        stored = {fold(name): _stored(value) for name, value in inputs.items() if value is not None}
        if not stored:
            return False
        others = self._features[str(record.get("model_version"))] - stored.keys()
        likely = min((self._holding.get(cell, []) for cell in stored.items()), key=len)
        return any(
            all(reading in row.get(name, ()) for name, reading in stored.items()) and others.isdisjoint(row)
            for row in likely
        )


def readings(cell: Any, absent: Collection[str] = ()) -> frozenset[Reading]:
    """What a cell of any file may mean to a model; nothing where it is missing."""
    if cell is None or cell != cell or (isinstance(cell, str) and fold(cell) in absent):
        return frozenset()
    if isinstance(cell, bool):
        return frozenset({("boolean", cell), ("text", fold(str(cell))), ("number", float(cell))})
    if isinstance(cell, int | float | Decimal):
        number = float(cell)
        text = str(int(number)) if number.is_integer() else str(cell)
        switch = {("boolean", bool(number))} if number in (0, 1) else set()
        return frozenset({("number", number), ("text", text), *switch})
    text = clean(str(cell))
    if is_nothing(text, among_numbers=True):
        # "unknown" among texts may be an answer, which the page sends as it is.
        return frozenset({("text", fold(text))}) if not is_nothing(text) else frozenset()
    found: set[Reading] = {("text", fold(text))}
    if (said := truth(text)) is not None:
        found.add(("boolean", said))
    if parts := split(text):
        ways = (
            parts.value(decimal, group) for decimal in ".," for group in ("", ".", ",", "'", " ") if group != decimal
        )
        found |= {("number", number) for number in ways if number is not None}
    return frozenset(found)


def _stored(value: object) -> Reading:
    """What a record's value means: it has the feature's own type."""
    if isinstance(value, bool):
        return "boolean", value
    return ("number", float(value)) if isinstance(value, int | float) else ("text", fold(str(value)))


def _time(text: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
