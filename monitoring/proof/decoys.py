"""What production has beside the series that a story tells: its case must end as it would without them.

- Parts: what a selector reads is told by several pods, zones and answers. What is summed is divided among them; of what
  the largest or smallest counts there is a copy, and another far on the harmless side. One counter resets.
- Series of others: each differs from what a selector takes in exactly one label, and is either far louder than anything
  in the story or stands at nothing. The alert reads none of them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import promql_parser as promql

from monitoring.alerts import Alert
from monitoring.proof.cases import Case, Series, Value
from monitoring.proof.labels import BESIDE, VALUES, documented

ELSEWHERE = "elsewhere"  # begins or ends a value that no selector asks for
AMONG = ", among others"  # ends the name of a story that is told so
LOUD = 1e6  # times what is the loudest in the story
SHARES = (0.5, 0.5)  # exact in binary: the parts add up to what was told, to the last digit
RESETS = 7  # steps
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_TAKES = {"5..": "503", "401|403": "403", "scoring-.+": "scoring-7d4"}  # an example of what a pattern takes
_ALONE = frozenset(["max", "min", "count"])  # aggregations that a copy does not change, a count's presence included


@dataclass(frozen=True, slots=True)
class Reading:
    """A selector, the innermost aggregation around it, the labels that it keeps, and whether it is subtracted in it."""

    selector: promql.VectorSelector
    op: str = ""
    kept: frozenset[str] = frozenset()
    falling: bool = False


def readings(expr: str) -> tuple[Reading, ...]:
    """Every selector of an expression, from left to right."""
    return tuple(_read(promql.parse(expr), "", frozenset(), falling=False))


def _read(node: promql.Expr, op: str, kept: frozenset[str], *, falling: bool) -> Iterator[Reading]:
    match node:
        case promql.VectorSelector():
            yield Reading(node, op, kept, falling)
        case promql.MatrixSelector():
            yield Reading(node.vector_selector, op, kept, falling)
        case promql.ParenExpr() | promql.SubqueryExpr():
            yield from _read(node.expr, op, kept, falling=falling)
        case promql.BinaryExpr():
            yield from _read(node.lhs, op, kept, falling=falling)
            yield from _read(node.rhs, op, kept, falling=falling is not (str(node.op) == "-"))
        case promql.AggregateExpr():
            labels = frozenset(node.modifier.labels) if node.modifier else frozenset()
            yield from _read(node.expr, str(node.op), labels, falling=False)
        case promql.Call():
            for argument in node.args:
                yield from _read(argument, op, kept, falling=falling)


def takes(selector: promql.VectorSelector, name: str, labels: dict[str, str]) -> bool:
    """Whether a selector reads a series."""
    return str(selector.name) == name and all(
        _matches(str(each.op).removeprefix("MatchOp."), labels.get(each.name, ""), each.value)
        for each in selector.matchers.matchers
    )


def _matches(how: str, value: str, asked: str) -> bool:
    same = value == asked if how.endswith("Equal") else re.fullmatch(asked, value) is not None
    return same is not how.startswith("Not")


def among_others(case: Case, alerts: Iterable[Alert]) -> Case:
    """The case as production tells it, among the series of others, of which its alerts must take no notice."""
    if case.everything:
        return case
    named = [alert for alert in alerts if alert.name in {*case.fires, *case.stays_silent}]
    read = [reading for alert in named for reading in readings(alert.expr)]
    told = tuple(part for number, series in enumerate(case.series) for part in parts(series, read, number))
    return replace(case, story=f"{case.story}{AMONG}", series=(*told, *decoys(case, named)), named_only=True)


def parts(series: Series, read: Sequence[Reading], number: int = 0) -> Iterator[Series]:
    """What several pods tell in place of one series, so that all that reads it has the same result."""
    name, labels = _split(series)
    by = [reading for reading in read if takes(reading.selector, name, labels)]
    ops = {reading.op for reading in by}
    labels = {**documented(name), **labels}
    first, second, third = (
        replace(series, selector=_told(name, each)) for each in _pods(name, labels, by, read, number)
    )
    yield first if ops != {"sum"} else _times(first, SHARES[0])
    if ops == {"sum"}:
        yield replace(_times(second, SHARES[1]), resets=RESETS if series.counts else 0)
    elif ops and ops <= _ALONE:
        yield second
        if "count" not in ops and len(sides := {(reading.op == "min") is not reading.falling for reading in by}) == 1:
            yield _far(third, higher=sides.pop())


def _pods(
    name: str, labels: dict[str, str], by: Sequence[Reading], read: Sequence[Reading], number: int
) -> Iterator[dict[str, str]]:
    """The labels of three pods, which the same readings take."""
    kept = frozenset[str]().union(*(reading.kept for reading in by))
    asked = {matcher.name for reading in by for matcher in reading.selector.matchers.matchers}
    own = (*BESIDE, *documented(name))
    yield labels
    for pod in (f"beside-{number}", f"third-{number}"):  # of no two series the same
        there = labels | {label: pod for label in own if label not in kept | asked | VALUES.keys()}
        for label in VALUES.keys() & labels.keys() - kept:
            there[label] = next(
                (
                    other
                    for other in VALUES[label]
                    if other != labels[label]
                    and all(takes(each.selector, name, {**there, label: other}) is (each in by) for each in read)
                ),
                labels[label],
            )
        yield there


def _times(series: Series, share: float) -> Series:
    return _mapped(series, lambda value: value * share)


def _far(series: Series, *, higher: bool) -> Series:
    """Where the largest counts far below, where the smallest does far above."""
    if series.counts:
        return _times(series, 3 if higher else 0)
    return _mapped(series, lambda value: value + LOUD * (abs(value) + 1) * (1 if higher else -1))


def _mapped(series: Series, change: Callable[[float], float]) -> Series:
    def changed(value: Value) -> Value:
        return None if value is None else change(value)

    after = tuple((minutes, changed(value)) for minutes, value in series.after)
    return replace(series, before=changed(series.before), after=after)


def decoys(case: Case, alerts: Iterable[Alert]) -> Iterator[Series]:
    """For each label of each selector of these alerts loud series and some at nothing that differ in it alone."""
    read = [reading.selector for alert in alerts for reading in readings(alert.expr)]
    have = {each.selector for each in case.series}
    for selector in read:
        name = str(selector.name)
        for series, labels in _neighbours(selector, case.series):
            if any(takes(each, name, labels) for each in read):
                continue
            for decoy in _loud_and_silent(series, name, labels):
                if decoy.selector not in have:
                    have.add(decoy.selector)
                    yield decoy


def _neighbours(selector: promql.VectorSelector, told: Iterable[Series]) -> Iterator[tuple[Series, dict[str, str]]]:
    """The first and the last series that a selector reads, or an example, with one label changed that it asks for."""
    name = str(selector.name)
    series = [(each, labels) for each in told for known, labels in [_split(each)] if known == name]
    own = [(each, labels) for each, labels in series if takes(selector, name, labels)]
    for each, labels in [*own[:1], *own[1:][-1:]] or [(Series(name, 0.0, counts=True), _example(selector))]:
        for label in dict.fromkeys(matcher.name for matcher in selector.matchers.matchers):
            value = labels.get(label, "")
            for other in (f"{value}-{ELSEWHERE}", f"{ELSEWHERE}-{value}", *VALUES.get(label, ())):
                yield each, {**labels, label: other}


def _loud_and_silent(series: Series, name: str, labels: dict[str, str]) -> Iterator[Series]:
    """The one always; what stands at nothing once for each label is enough for what is compared with less."""
    most = max((abs(v) for v in (series.before, *(v for _, v in series.after)) if v), default=1.0)
    values = {"loud": LOUD * most}
    if any(f"-{ELSEWHERE}" in value or f"{ELSEWHERE}-" in value for value in labels.values()):
        values["silent"] = 0.0
    for whose, value in values.items():
        yield replace(series, selector=_told(name, {**labels, "whose": whose}), before=value, after=())


def _split(series: Series) -> tuple[str, dict[str, str]]:
    name, _, labels = series.selector.partition("{")
    return name, dict(_LABEL.findall(labels))


def _told(name: str, labels: dict[str, str]) -> str:
    return f"{name}{{" + ",".join(f'{label}="{value}"' for label, value in labels.items()) + "}"


def _example(selector: promql.VectorSelector) -> dict[str, str]:
    """Labels of a series that a selector takes and no story tells."""
    return {each.name: _TAKES.get(each.value, each.value) for each in selector.matchers.matchers}
