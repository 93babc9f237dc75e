"""The reasons of a score as sentences for people who sell: "Visits is 12: more than most, raises the score".

A sentence depends on the bundle, the cell and the direction of its effect alone, is one line of at most MAX_SENTENCE
characters, and is plain text: whoever puts it into HTML or a spreadsheet escapes it there.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from service.model.engine import Engine
from service.model.reasons import Input, Reason
from service.model.reference import Numbers, Reference
from service.model.schema import LeadSchema, Value
from service.model.spelling import clean, is_nothing

SAID = 3
"""Reasons that are said of a lead."""
SEEN = 0.0005
"""A smaller effect is not said: in per cent with one decimal it would read 0.0."""
MOST = 2 / 3
"""The share of the reference's leads that "most" stands for."""
TYPICAL = "No field stands out: this lead is like a typical one"
"""What is said of a lead without reasons."""
MAX_NAME, MAX_VALUE, MAX_SENTENCE = 60, 40, 160


class Wording:
    """Says what moved the scores of one bundle. Safe to use from several threads."""

    def __init__(self, engine: Engine, schema: LeadSchema, reference: Reference) -> None:
        self._features = {feature.name: feature for feature in schema.features}
        self._places = {schema.features[position].name: places for position, places in engine.places}
        self._choices = {schema.features[position].name: places for position, places in engine.choices}
        self._numbers = {column.name: column for column in reference.features if isinstance(column, Numbers)}
        self._known = {column.name: column.known for column in reference.features if not isinstance(column, Numbers)}

    def say(
        self, reasons: Sequence[Reason], lead: msgspec.Struct, written: Mapping[str, str] | None = None
    ) -> list[str]:
        """One to SAID sentences, the strongest reason first. `written` are the cells as the lead's file has them."""
        values = dict(zip(self._features, msgspec.structs.astuple(lead), strict=True))
        said = [
            self.sentence(
                Input(each.feature, each.choice if isinstance(each.choice, str) else None),
                values[each.feature],
                each.effect > 0,
                (written or {}).get(each.feature),
            )
            for each in reasons[:SAID]
            if abs(each.effect) >= SEEN
        ]
        return said or [TYPICAL]

    def sentence(self, by: Input, value: Value, raises: bool, written: str | None = None) -> str:
        """What one input does to the score. `value` is the field's, `written` the cell as the file has it, if known."""
        direction, name = "raises the score" if raises else "lowers the score", by.feature
        subject = _cut(label(name), MAX_NAME)
        if self._is_missing(name, value):
            return f"{subject} is missing: {direction}"
        if by.choice:
            includes = "includes" if self._choices[name].holds(str(value), by.choice) else "does not include"
            return f"{subject} {includes} {_cut(by.choice, MAX_VALUE)}: {direction}"
        shown = _cut(clean(written) if written and clean(written) else _shown(value), MAX_VALUE)
        note = self._note(name, value)
        return f"{subject} is {shown}: {f'{note}, ' if note else ''}{direction}"

    def _is_missing(self, name: str, value: Value) -> bool:
        if value is None or value != value or value in self._features[name].missing:
            return True
        if not isinstance(value, str):
            return False
        places = self._places.get(name)
        known = places is not None and value in places
        return not value.strip() or (not known and is_nothing(value))

    def _note(self, name: str, value: Value) -> str:
        """How the value lies among those of the reference; empty where nothing can be said."""
        if isinstance(value, str):
            places = self._places.get(name)
            known = self._known.get(name, frozenset())
            return "rare or new" if places is not None and places.is_new(value, known) else ""
        column = self._numbers.get(name)
        if isinstance(value, bool) or self._features[name].kind == "boolean" or column is None or value is None:
            return ""
        count, place = sum(column.counts), sum(edge < value for edge in column.edges)
        if len(column.counts) < 3 or not count:  # of two values, such as 0 and 1, none is in the middle
            return ""
        if sum(column.counts[:place]) >= MOST * count:
            return "more than most"
        return "less than most" if sum(column.counts[place + 1 :]) >= MOST * count else "in the middle range"


def label(name: str) -> str:
    """A column's name as people would write it: `lead_source` as Lead source."""
    words = " ".join(re.sub(r"_|\.(?=\S)", " ", name).split())
    return words[:1].upper() + words[1:] or name


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.10g}" if isinstance(value, float | int) else clean(str(value))


def _cut(text: str, most: int) -> str:
    """The text in one line of at most so many characters."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(line.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
