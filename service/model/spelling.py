"""How people and programs write numbers, yes and no, and "nothing" in a cell of text, and what each cell means.

Training decides how a column is written from all of its cells (`service.lifecycle.data.inference`); the decision is a
NumberSpelling, which the lead schema keeps, so that scoring reads a column as training did.
"""

import math
import re
import unicodedata
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

_MARKS = """#n/a #na #nv #div/0! #value! #wert! #valeur! #ref! #bezug! #name? #nom? #num! #zahl! #nombre! #null!
    n/a n/d null <null> (null) none (none) nil nan <na> \\n - -- --- \u2013 \u2014 . ? ?? n.a. k.a. k.a
    (blank) (leer) (vide) (empty)"""
NOTHING = frozenset(_MARKS.split()) | {
    "n. a.",
    "k. a.",
    "keine angabe",
    "nicht angegeben",
    "non renseigné",
    "not available",
    "no value",
}
"""Marks for "no value" in every column, in lower case: of spreadsheets, databases and CRMs."""

NOTHING_AMONG_NUMBERS = NOTHING | {"na", "nd", "unknown", "unbekannt", "inconnu", "leer", "tbd"}
"""These mean "no value" among numbers and dates; among texts NA may be North America, and "unknown" an answer."""

_YES, _NO = (
    "true yes y ja j wahr oui vrai si sí sì verdadero vero checked on t 1",
    "false no n nein falsch non faux falso unchecked off f 0",
)
TRUE, FALSE = frozenset(_YES.split()), frozenset(_NO.split())

CURRENCIES = {
    "€": "EUR", "eur": "EUR", "euro": "EUR", "$": "USD", "us$": "USD", "usd": "USD", "£": "GBP", "gbp": "GBP",
    "chf": "CHF", "sfr": "CHF", "sfr.": "CHF", "fr.": "CHF", "¥": "JPY", "jpy": "JPY", "sek": "SEK", "nok": "NOK",
    "dkk": "DKK", "pln": "PLN", "zł": "PLN", "czk": "CZK", "kč": "CZK", "aud": "AUD", "cad": "CAD", "inr": "INR",
    "₹": "INR", "brl": "BRL", "r$": "BRL", "cny": "CNY", "try": "TRY", "₺": "TRY",
}  # fmt: skip
_UNIT = "|".join(sorted(map(re.escape, [*CURRENCIES, "%"]), key=len, reverse=True))
_CELL = re.compile(
    rf"(?P<open>\()?(?P<sign>[+-])?(?P<before>{_UNIT})? ?(?P<inner>[+-])?"
    rf"(?P<body>\d[\d.,' ]*|[.,]\d+)(?P<exponent>e[+-]?\d+)? ?(?P<after>{_UNIT})?(?P<trailing>-)?(?P<close>\))?",
    re.IGNORECASE,
)
_SAME = str.maketrans(
    dict.fromkeys("\u2212\u2012\u2013\ufe63\uff0d", "-")
    | dict.fromkeys("\u2019\u02bc\u00b4", "'")
    | dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u200e\u200f")
)
"""Other characters for minus and apostrophe, and characters that cannot be seen."""

UNSEEN = "\0\u200b\ufeff"
"""Characters that are no part of a text: programs leave them behind."""
_UNSEEN = str.maketrans(dict.fromkeys(UNSEEN))
BLANKS = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""What `str.split` takes for blanks."""

Mark = Literal[".", ","]
Grouping = Literal["", ".", ",", "'", " "]


class NumberSpelling(BaseModel):
    """How the numbers of one column are written: decimal mark, mark between thousands, and the unit beside them.

    `unit` is a currency's code, "%", or "" for none. `whole`: training saw whole numbers without a mark only, so that
    the mark in 1.158 may be one between thousands.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    decimal: Mark = "."
    grouping: Grouping = ""
    unit: Annotated[str, Field(max_length=3)] = ""
    whole: bool = False

    @property
    def plain(self) -> bool:
        """Whether numbers are written as programs write them: 1234.5."""
        return self == PLAIN

    def __str__(self) -> str:
        number = "1234" if self.whole else f"1{self.grouping}234{self.decimal}5"
        return f"{number} {self.unit}".rstrip()

    def number(self, text: str) -> float | None:
        """The number in a cell, or None where it is written otherwise, or where a mark may mean either of two things.

        A percentage is the number before the sign.
        """
        parts = split(text)
        if parts is None or parts.unit not in ("", self.unit) or (self.unit == "%" and not parts.unit):
            return None
        return None if self.whole and parts.ambiguous else parts.value(self.decimal, self.grouping)

    def doubtful(self, text: str) -> bool:
        """Whether a cell is no number only because its mark may be the decimal one or one between thousands."""
        parts = split(text) if self.whole else None
        return parts is not None and parts.ambiguous


PLAIN = NumberSpelling()
WHOLE = NumberSpelling(whole=True)


class Parts(NamedTuple):
    """A cell that may be a number: its sign, its digits with their marks, its exponent and its unit."""

    negative: bool
    body: str
    exponent: str
    unit: str

    @property
    def ambiguous(self) -> bool:
        """Whether the number is another with the other decimal mark: 1.158 and 1,158 are, 1.5 and 0.158 are not."""
        one, other = self.value(".", ","), self.value(",", ".")
        return None not in (one, other) and one != other and not self.exponent

    def value(self, decimal: str, grouping: str) -> float | None:
        """The number under this reading of the marks, or None where they do not stand where it puts them."""
        whole, _, fraction = self.body.partition(decimal)
        if grouping and grouping in whole:
            first, *groups = whole.split(grouping)
            if not (1 <= len(first) <= 3 and first[0] != "0" and all(len(group) == 3 for group in groups)):
                return None
            whole = first + "".join(groups)
        if not (whole + fraction).isdecimal():
            return None
        number = float(f"{'-' if self.negative else ''}{whole}.{fraction or 0}{self.exponent}")
        return number if math.isfinite(number) else None


def split(text: str) -> Parts | None:
    """The parts of a cell that may be a number; None for any other text."""
    found = _CELL.fullmatch(clean(text).translate(_SAME).strip())
    if found is None:
        return None
    signs = [mark for mark in (found["sign"], found["inner"], found["trailing"]) if mark]
    units = {CURRENCIES.get(mark.lower(), mark) for mark in (found["before"], found["after"]) if mark}
    brackets = bool(found["open"])
    if len(signs) + brackets > 1 or len(units) > 1 or brackets != bool(found["close"]) or found["before"] == "%":
        return None
    return Parts(
        negative=brackets or "-" in signs,
        body=found["body"].strip(),
        exponent=found["exponent"] or "",
        unit=units.pop() if units else "",
    )


def clean(text: str) -> str:
    """The text without blanks around it, each run of blanks one space, composed characters in one form (NFC).

    `service.lifecycle.relations.prepared.clean_in_sql` says the same to the engines.
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    return " ".join(unicodedata.normalize("NFC", text.translate(_UNSEEN)).split())


def fold(text: str) -> str:
    """Equal for texts that differ in case and blanks only."""
    return clean(text).casefold()


def truth(text: str) -> bool | None:
    """What a word for yes or no in English, German, French, Spanish or Italian says; None for any other text."""
    word = fold(text)
    return True if word in TRUE else False if word in FALSE else None


def is_nothing(text: str, among_numbers: bool = False) -> bool:
    """Whether a cell is blank or holds a known mark for "no value"."""
    word = fold(text)
    return not word or word in (NOTHING_AMONG_NUMBERS if among_numbers else NOTHING)
