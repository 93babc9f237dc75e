"""The little PromQL that is written and read here: durations, numbers, metric names."""

import re
from datetime import timedelta
from fractions import Fraction

_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)))

# What to cut out of an expression so that only functions, keywords and metric names are left.
_NOT_A_METRIC = re.compile(
    r"""
      "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*'                                            # strings
    | \{(?:"(?:\\.|[^"\\])*"|[^{}"])*\} | \[[^\[\]]*\]                                 # matchers, ranges
    | \b(?:by|without|on|ignoring|group_left|group_right)\b\s*(?:\([^()]*\))?          # label lists
    | \b(?:and|or|unless|bool|offset|inf|nan)\b                                        # keywords
    | \b[a-zA-Z_]\w*\s*(?=\(|\bby\b|\bwithout\b)                                       # functions
    | (?<![\w:])\d[\w.]*(?:(?<=e)[+-]\d+)?                                             # numbers, durations
    """,
    re.VERBOSE | re.IGNORECASE,
)


def duration(value: timedelta) -> str:
    """A time span in the largest unit that divides it: 2h, 90m, 45s.

    Raises ValueError for what PromQL ranges cannot say: negative spans and parts of a second.
    """
    if value < timedelta(0) or value.microseconds:
        raise ValueError(f"{value} is no PromQL duration: it must be whole seconds, not negative")
    if not value:
        return "0s"
    for unit, size in _UNITS:
        if value % size == timedelta(0):
            return f"{value // size}{unit}"
    return f"{value // timedelta(seconds=1)}s"


def number(value: Fraction) -> str:
    """Six significant digits: 0.01344, never 0.013440000000000012."""
    return f"{float(value):.6g}"


def metric_names(expr: str) -> frozenset[str]:
    """Every metric that an expression reads."""
    return frozenset(re.findall(r"[a-zA-Z_:][\w:]*", _NOT_A_METRIC.sub(" ", expr)))
