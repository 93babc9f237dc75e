"""Reads outages as people describe them: a status, a share, a duration and a part, in any order.

`401 100% 6h`, `500 5% 2h at 03:00`, `pods 75% 1h`, `job batch 2d`.
"""

import re
from datetime import timedelta

import numpy as np
from cronsim import CronSim

from monitoring.review.outage import EFFECTS, Outage, Unclear
from monitoring.simulation.world import DAY, HOUR, JOBS, START

BEGINS = 10 * HOUR  # minute of the day, unless said
OUTAGE_DAY = 2  # a Tuesday: a working day goes before
LONGEST = 14  # days
AT_DOOR = ("403", "502", "504")  # by the proxy and Cloud Armor, and by a load balancer that reaches no pod
_UNITS = {"m": 1, "h": HOUR, "d": DAY}
_FORMS = {
    "share": re.compile(r"\d+(?:\.\d+)?%"),
    "status": re.compile(r"[45](?:\d\d|xx)"),
    "duration": re.compile(r"(?:\d+[mhd])+"),
    "series": re.compile(r"[a-z_:][\w:]*=(?:absent|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"),
}
_TIME = re.compile(r"\bat\s+([01]?\d|2[0-3]):([0-5]\d)(?!\S)")
_LONG_UNITS = re.compile(r"(\d)\s*(m|h|d)(?:ins?|inutes?|rs?|ours?|ays?)?(?!\S)")
_FILLING = {"the", "of", "in", "for", "lasts", "requests", "answer", "answers", "is", "are", "down", "gone"}


def parse(text: str) -> tuple[Outage, ...]:
    """The outages of a text, separated by semicolons. Raises Unclear."""
    parts = [part.strip() for part in text.split(";")]
    if not all(parts):
        raise Unclear(f"{text!r}: an outage is empty. Describe it, for example: 401 100% 6h")
    return tuple(_outage(part) for part in parts)


def parts() -> list[str]:
    """What can be named, as it is written."""
    written = {"job": "job NAME", "job fails": "job NAME fails", "series": "METRIC=VALUE"}
    return list(dict.fromkeys(written.get(name, name) for name, _ in EFFECTS))


def _outage(text: str) -> Outage:
    said = _LONG_UNITS.sub(r"\1\2", re.sub(r"\s+%", "%", text.lower()))
    begins = BEGINS
    if found := _TIME.search(said):
        begins, said = int(found[1]) * HOUR + int(found[2]), said[: found.start()] + said[found.end() :]
    given: dict[str, str] = {}
    words: list[str] = []
    for word in said.split():
        kind = next((kind for kind, form in _FORMS.items() if form.fullmatch(word)), None)
        if kind is None:
            words += [] if word in _FILLING else [word]
        elif kind in given:
            raise Unclear(f"{text!r} has two of a kind ({kind}): {given[kind]}, {word}. Join several outages by ';'")
        else:
            given[kind] = word
    status = given.get("status", "").replace("xx", "00")
    part, name = _part(text, words, status, given.get("series", ""))
    share = _share(text, given.get("share"))
    first = OUTAGE_DAY * DAY + begins
    outage = Outage(text, part, status, share, first, first + _minutes(text, given.get("duration")), *_valued(name))
    _fits(outage, "share" in given)
    return outage


def _minutes(text: str, span: str | None) -> int:
    if span is None:
        raise Unclear(f"{text!r} does not say how long it lasts. Add a duration: 30m, 6h, 2d")
    minutes = sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([mhd])", span))
    if not 1 <= minutes <= LONGEST * DAY:
        raise Unclear(f"{text!r} lasts {span}: give 1m to {LONGEST}d")
    return minutes


def _share(text: str, share: str | None) -> float:
    value = float((share or "100%").rstrip("%")) / 100
    if not 0 < value <= 1:
        raise Unclear(f"{text!r}: {share} is no share. Give one above 0 % and at most 100 %")
    return value


def _part(text: str, words: list[str], status: str, series: str) -> tuple[str, str]:
    """The part that the words name, and the name of a job or a series."""
    if series:
        if words or status:
            raise Unclear(
                f"{text!r}: give a series a duration and nothing else. Leave out: {' '.join([*words, status])}"
            )
        return "series", series
    jobs = [word for word in words if word in JOBS]
    if "job" in words and len(jobs) != 1:
        raise Unclear(f"{text!r} must name one job. There are: {', '.join(JOBS)}")
    asked = sorted(word for word in words if word not in jobs) or (["job"] if jobs else [])
    if not asked:
        if not status:
            raise Unclear(f"{text!r} does not say what fails. Add a status, for example 503, or a part: {_all()}")
        return ("front door" if status in AT_DOOR else "pods"), ""
    if asked == ["fails"] and jobs:
        asked = ["fails", "job"]
    known = {tuple(sorted(name.split())): name for name, _ in EFFECTS if name != "series"}
    part = known.get(tuple(asked))
    if part is None or bool(jobs) is not part.startswith("job"):
        raise Unclear(f"{text!r}: {' '.join(words)!r} is no part that can fail. Parts are: {_all()}")
    return part, "".join(jobs)


def _all() -> str:
    return ", ".join(parts())


def _valued(name: str) -> tuple[str, float]:
    name, _, value = name.partition("=")
    return name, np.nan if value in ("", "absent") else float(value)


def _fits(outage: Outage, shared: bool) -> None:
    """Raise Unclear for what cannot happen to the part."""
    text, part = outage.text, outage.part
    if (part, bool(outage.status)) not in EFFECTS:
        with_status = ", ".join(name for name, answers in EFFECTS if answers)
        if outage.status:
            raise Unclear(
                f"{text!r}: {part} answers no status. Leave {outage.status} out, or name one of: {with_status}"
            )
        raise Unclear(f"{text!r} does not say what {part} answers. Add a status, for example 500")
    if shared and not outage.effect.shared:
        raise Unclear(f"{text!r}: {part} fails wholly. Leave the share out")
    if part in ("job", "job fails", "scheduler"):
        begins, ends = (START + timedelta(minutes=minute) for minute in (outage.first, outage.last))
        names = [outage.name] if outage.name else list(JOBS)
        due = min(next(CronSim(JOBS[name].schedule, begins - timedelta(minutes=1))) for name in names)
        if due >= ends:
            raise Unclear(
                f"{text!r}: no run begins in it. It lasts from {begins:%A %H:%M} to {ends:%A %H:%M}, and the next run "
                f"begins on {due:%A at %H:%M}: let it last longer, or begin at another time"
            )
