"""How a column's times are written: told from all of its cells, or refused where two readings are possible."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Literal

from service.model.spelling import clean

Order = Literal["year first", "day first", "month first", "yyyymmdd", "seconds", "milliseconds", "spreadsheet days"]

EXAMPLES: dict[str, str] = {"year first": "%Y/%m/%d", "day first": "%d/%m/%Y", "month first": "%m/%d/%Y"}

_CLOCK = (
    r"(?:[T ,]+(?P<h>\d{1,2}):(?P<mi>\d\d)(?::(?P<s>\d\d)(?:[.,](?P<f>\d{1,9}))?)? ?(?P<half>[AaPp]\.?[Mm]\.?)?"
    r"(?: Uhr)?)? ?(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d|[+-]\d\d)?"
)
_DIGITS = re.compile(rf"(?P<a>\d{{1,4}})(?P<mark>[./-])(?P<b>\d{{1,2}})(?P=mark)(?P<c>\d{{1,4}}){_CLOCK}")
_DAY_NAME = re.compile(rf"(?P<d>\d{{1,2}})\.?[ -](?P<m>[^\W\d_]{{3,10}})\.?[ ,-]+(?P<y>\d{{4}}|\d\d){_CLOCK}")
_NAME_DAY = re.compile(rf"(?P<m>[^\W\d_]{{3,10}})\.? (?P<d>\d{{1,2}}),? (?P<y>\d{{4}}){_CLOCK}")
_NAMED_ZONE = re.compile(r"\d:\d\d.*(Z|UTC|GMT|[+-]\d\d(:?\d\d)?)$")
_WEEKDAY = re.compile(r"(mon|tue|wed|thu|fri|sat|sun|mo|di|mi|do|fr|sa|so)[a-z]*\.?,? ", re.IGNORECASE)
_MONTH_NAMES = """jan januar january janvier janv|feb februar february février févr|mar mär mrz märz march mars
    |apr april avril avr|may mai|jun juni june juin|jul juli july juillet juil|aug august août
    |sep sept september septembre|oct okt oktober october octobre|nov november novembre
    |dec dez dezember december décembre déc"""
_MONTHS = {name: month for month, names in enumerate(_MONTH_NAMES.split("|"), 1) for name in names.split()}
_NUMBER = re.compile(r"\d{5,13}(\.\d+)?")
_TIME_WORDS = """date datum time zeit timestamp zeitpunkt created erstellt angelegt modified updated geändert closed
    geschlossen day tag jour since seit opened birthday geburtstag createdate"""
_FIRST_DAY = datetime(1899, 12, 30)
"""Day 0 of spreadsheets that count days: https://learn.microsoft.com/office/troubleshoot/excel/1900-and-1904-date-system"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def readings(value: Any, zone: tzinfo = UTC) -> dict[Order, datetime]:
    """Every time that a text may mean, by the order in which it is read; nothing for a text that is no time.

    One that names no zone is of the `zone`: of two hours that a clock shows twice the first, and of one that it leaves
    out the hour after it.
    """
    if isinstance(value, datetime):
        return {"year first": (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)}
    if isinstance(value, date):
        return {"year first": datetime.combine(value, time(), zone).astimezone(UTC)}
    if not isinstance(value, str) or not any(mark.isdigit() for mark in value):
        return {}
    text = _WEEKDAY.sub("", clean(value), count=1)
    if found := _DIGITS.fullmatch(text):
        a, b, c = found["a"], found["b"], found["c"]
        possible: dict[Order, tuple[str, str, str]] = {}
        if len(a) != 3 and (len(a) == 4 or (len(a) == len(c) == 2 and found["mark"] != ".")) and len(c) <= 2:
            possible["year first"] = (a, b, c)
        if len(c) in (2, 4) and len(a) <= 2:
            possible |= {"day first": (c, b, a), "month first": (c, a, b)}
        made = {order: _time(found, y, int(m), d, zone) for order, (y, m, d) in possible.items()}
        return {order: at for order, at in made.items() if at is not None}
    named = _DAY_NAME.fullmatch(text) or _NAME_DAY.fullmatch(text)
    if (
        named
        and (month := _MONTHS.get(named["m"].casefold()))
        and (at := _time(named, named["y"], month, named["d"], zone))
    ):
        return {"day first": at, "month first": at}
    return {}


def counted(value: Any, zone: tzinfo = UTC) -> dict[Order, datetime]:
    """Every time that a number may mean; days are those of the `zone`."""
    text = str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        return {}
    number, whole = float(text), text.partition(".")[0]
    found: dict[Order, datetime] = {}
    if len(whole) == 8 and number.is_integer():
        try:
            at = datetime.strptime(whole, "%Y%m%d").replace(tzinfo=zone).astimezone(UTC)
        except ValueError:
            return {}
        return {"yyyymmdd": at} if 1900 <= at.year < 2100 else {}
    if 20_000 <= number < 80_000:
        local = _FIRST_DAY + timedelta(seconds=round(number * 86_400))
        found["spreadsheet days"] = local.replace(tzinfo=zone).astimezone(UTC)
    if 6e8 <= number < 4e9:
        found["seconds"] = _EPOCH + timedelta(seconds=number)
    if 6e11 <= number < 4e12:
        found["milliseconds"] = _EPOCH + timedelta(milliseconds=number)
    return found


def names_a_zone(value: Any) -> bool:
    """Whether a cell with a time says of which zone it is; numbers of seconds do."""
    if isinstance(value, datetime):
        return value.tzinfo is not None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return bool(_NAMED_ZONE.search(clean(value)))
    return not isinstance(value, date) and not counted(value).keys() & {"yyyymmdd", "spreadsheet days"}


def names_a_time(name: str) -> bool:
    """Whether a column's name says that it holds times: a number of five digits alone may be anything."""
    words = re.sub(r"(?<=[a-zäöü])(?=[A-Z])", " ", name).casefold()
    return not frozenset(_TIME_WORDS.split()).isdisjoint(re.findall(r"[^\W\d_]+", words)) or words.endswith(
        ("date", "datum", "time", "_at")
    )


def orders(values: Sequence[Any], read: Callable[[Any], dict[Order, datetime]]) -> list[Order]:
    """The orders in which all of these values are times; day first alone where they are written with dots."""
    possible: set[Order] | None = None
    for value in values:
        possible = set(read(value)) if possible is None else possible & set(read(value))
        if not possible:
            return []
    if "day first" in (possible or ()) and all(isinstance(v, str) and re.match(r"\d+\.", clean(v)) for v in values):
        return ["day first"]
    by_order: dict[Order, list[datetime]] = {
        order: [read(value)[order] for value in values] for order in possible or ()
    }
    kept: list[Order] = []
    for order in sorted(by_order):
        if not any(by_order[order] == by_order[other] for other in kept):
            kept.append(order)
    return kept


def _time(found: re.Match[str], year: str, month: int, day: str, naive: tzinfo) -> datetime | None:
    number = int(year) + (0 if len(year) == 4 else 2000 if int(year) < 69 else 1900)
    hour, half = int(found["h"] or 0), (found["half"] or "")[:1].lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
    fraction = int((found["f"] or "").ljust(6, "0")[:6])
    try:
        at = datetime(
            number, month, int(day), hour, int(found["mi"] or 0), int(found["s"] or 0), fraction, _zone(found, naive)
        )
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _zone(found: re.Match[str], naive: tzinfo) -> tzinfo:
    zone = (found["zone"] or "").replace(":", "")
    if zone in ("", "Z", "UTC", "GMT"):
        return UTC if zone else naive
    minutes = int(zone[1:3]) * 60 + int(zone[3:] or 0)
    return timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes))
