"""A lead's id as text: the one reading of ids for training, outcomes, batch and forget."""

import math
import re
from decimal import Decimal

from service.model.spelling import clean
from service.reading.formulas import exact

WHOLE = re.compile(r"^(0|-?[1-9][0-9]*)\.0+$")
"""A whole number that a spreadsheet or a data frame wrote as a decimal one."""

_FORMULA = re.compile(r'="(.*)"')
"""A text that an export protects from being read as a number by a spreadsheet."""
_SALESFORCE = re.compile(r"[A-Za-z0-9]{15}([A-Z0-5]{3})")
CHECK_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def as_id(value: object) -> str:
    """An id as text. 1007, 1007.0, "1007.00" and '="1007"' are one id; "01007" is another, "" is none.

    An id that a file for people marks as text, as in '=1007, is the one without the mark.
    """
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        value = int(value)
    text = "" if value is None or value != value else clean(exact(str(value)))
    if protected := _FORMULA.fullmatch(text):
        text = clean(protected[1])
    return WHOLE.sub(r"\1", text)


def join_key(value: object) -> str:
    """Equal for ids of one lead: of Salesforce's ids of 18 characters the first 15, where the last three check them.

    Each of the three tells which of five characters are capitals:
    https://prats23.wordpress.com/2014/03/03/salesforce-15-digit-vs-18-digit-id/
    """
    text = as_id(value)
    found = _SALESFORCE.fullmatch(text)
    return text[:15] if found and found[1] == _check_characters(text[:15]) else text


def spellings(key: str) -> frozenset[str]:
    """The texts, as `as_id` writes them, whose `join_key` this is."""
    salesforce = re.fullmatch(r"[A-Za-z0-9]{15}", key)
    return frozenset({key, key + _check_characters(key)} if salesforce else {key})


def _check_characters(text: str) -> str:
    parts = (text[start : start + 5] for start in (0, 5, 10))
    return "".join(CHECK_CHARACTERS[sum(mark.isupper() << place for place, mark in enumerate(part))] for part in parts)
