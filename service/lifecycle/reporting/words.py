"""Numbers, days and amounts as people say them."""

import math
from datetime import datetime

from service.history import Estimate


def amount(value: float) -> str:
    """An amount without decimals."""
    return f"{round(value):,}"


def more(value: float) -> str:
    """A difference: so much more, or less."""
    return f"{amount(abs(value))} {'less' if value < 0 else 'more'}"


def counted(number: int, thing: str) -> str:
    """So many of a thing."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def day(time: datetime) -> str:
    """A day, such as 2 March 2026."""
    return f"{time.day} {time:%B %Y}"


def give_or_take(estimate: Estimate, sign: int = 1) -> str:
    """The estimate, such as "31,000, give or take 4,000": half of the interval, the wider one, and as many digits.

    One digit says how far off it may be, two where the first is a 1.
    """
    half = max(estimate.high - estimate.value, estimate.value - estimate.low)
    if half <= 0:
        return amount(sign * estimate.value)
    magnitude = 10.0 ** math.floor(math.log10(half))
    unit = max(1.0, magnitude / 10 if half < 2 * magnitude else magnitude)
    value, spread = (round(number / unit) * unit for number in (sign * estimate.value, half))
    return f"{amount(value)}, give or take {amount(spread)}"
