"""Texts that a spreadsheet would take for formulas, and run.

An apostrophe before such a text keeps it one: https://owasp.org/www-community/attacks/CSV_Injection and, for NUL,
requirement 1.2.10 of https://github.com/OWASP/ASVS/blob/master/5.0/en/0x10-V1-Encoding-and-Sanitization.md. A number
such as -12,50 is no formula, and stays one.

The page's script has the same rule, `service/api/page/static/csv.js`. Blanks and digits are stated for both, as the two
languages differ in what they take for such.
"""

import re

STARTS = "=+-@\uff1d\uff0b\uff0d\uff20"
"""First characters of a formula, and their full-width forms; blanks may stand before them."""
_BLANKS = r"\s\x1c-\x1f\x85\ufeff"
_FORMULA = re.compile(rf"'*(?:[{_BLANKS}]*[{re.escape(STARTS)}]|[\t\r\n\0])")
_NUMBER = re.compile(r"'*-[0-9]+(?:[.,][0-9]+)*")


def safe(text: str) -> str:
    """The text in a form that no spreadsheet takes for a formula. `exact` undoes it."""
    return f"'{text}" if is_formula(text) else text


def exact(text: str) -> str:
    """Undo `safe`. A text that `safe` leaves as it is stays as it is."""
    return text[1:] if text.startswith("'") and is_formula(text) else text


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may run the text, or would without the apostrophes before it."""
    return _FORMULA.match(text) is not None and _NUMBER.fullmatch(text) is None
