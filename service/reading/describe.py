"""How the cells of a field may be written, and what means "missing" there, in words: for the API's documentation."""

from service.model.schema import Feature
from service.model.spelling import FALSE, NOTHING, NOTHING_AMONG_NUMBERS, PLAIN, TRUE

SHOWN = 12
"""Marks for "no value" that are listed."""
DATES = "Dates and times are no input of this model: a column that holds them is ignored."


def written(feature: Feature) -> str:
    """How a cell of this field may be written in a file."""
    if feature.kind == "boolean":
        return f"yes or no, in any case: {_listed(TRUE)}; or {_listed(FALSE)}"
    if feature.separator:
        return f"one or several choices, separated by {feature.separator!r}; their order, case and blanks do not matter"
    if feature.kind == "category":
        return "text; case and blanks around it do not matter"
    spelling = feature.spelling or PLAIN
    if spelling.whole:
        unit = f", with or without {spelling.unit}" if spelling.unit else ""
        return f"a whole number such as 1234{unit}; 1.234 and 1,234 are refused, for the mark may mean either"
    rest = []
    if spelling.grouping:
        rest.append(f"the mark {spelling.grouping!r} between thousands may be left out")
    if spelling.unit:
        rest.append("the % sign must be there" if spelling.unit == "%" else f"{spelling.unit} may be left out")
    return f"a number such as {spelling}" + "".join(f"; {each}" for each in rest)


def missing(feature: Feature) -> str:
    """What means "missing" in this field, beside an empty cell."""
    known = NOTHING if feature.kind == "category" else NOTHING_AMONG_NUMBERS
    more = f" and {len(known) - SHOWN} other known marks, in any case" if len(known) > SHOWN else ""
    common = ("n/a", "na", "null", "none", "#n/a", "-", "--", "nan", "nil", "k.a.", "(blank)", "?", "unknown", "tbd")
    marks = ", ".join([mark for mark in common if mark in known][:SHOWN])
    own = ", ".join(f"{marker:g}" if isinstance(marker, float) else repr(marker) for marker in feature.missing)
    return f"{own + ', ' if own else ''}{marks}{more}"


def _listed(words: frozenset[str]) -> str:
    return ", ".join(sorted(words, key=lambda word: (len(word), word), reverse=True))
