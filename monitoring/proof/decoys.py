"""Series of others: what an alert would read if one label of one of its selectors were not asked for.

Each differs from what a selector takes in exactly one label, and is either far louder than anything in the story or
stands at nothing. None is read by the alert as it is, so a story must end as it would without them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import promql_parser as promql

from monitoring.alerts import Alert
from monitoring.proof.cases import Case, Series

ELSEWHERE = "elsewhere"  # a value that no selector asks for
AMONG = ", among others"  # ends the name of a story that is told so
LOUD = 1e6  # times what is the loudest in the story
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_TAKES = {"5..": "503", "401|403": "403", "scoring-.+": "scoring-7d4"}  # an example of what a pattern takes


def selectors(expr: str) -> list[promql.VectorSelector]:
    """Every selector of an expression, from left to right."""
    found: list[promql.VectorSelector] = []

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)

    promql.walk(promql.parse(expr), visit)
    return found


def takes(selector: promql.VectorSelector, name: str, labels: dict[str, str]) -> bool:
    """Whether a selector reads a series."""
    return str(selector.name) == name and all(
        _matches(str(each.op).removeprefix("MatchOp."), labels.get(each.name, ""), each.value)
        for each in selector.matchers.matchers
    )


def _matches(how: str, value: str, asked: str) -> bool:
    same = value == asked if how.endswith("Equal") else re.fullmatch(asked, value) is not None
    return same is not how.startswith("Not")


def decoys(case: Case, alerts: Iterable[Alert]) -> Iterator[Series]:
    """For each label of each selector of these alerts a loud series and one at nothing that differ in it alone."""
    read = [selector for alert in alerts for selector in selectors(alert.expr)]
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
    """Each series that a selector reads, or an example, with one label changed that the selector asks for."""
    name = str(selector.name)
    series = [
        (each, dict(_LABEL.findall(labels))) for each in told for known, labels in [_split(each)] if known == name
    ]
    own = [(each, labels) for each, labels in series if takes(selector, name, labels)]
    for each, labels in own or [(Series(name, 0.0, counts=True), _example(selector))]:
        for label in dict.fromkeys(matcher.name for matcher in selector.matchers.matchers):
            yield each, {**labels, label: ELSEWHERE}


def _loud_and_silent(series: Series, name: str, labels: dict[str, str]) -> Iterator[Series]:
    most = max((abs(v) for v in (series.before, *(v for _, v in series.after)) if v), default=1.0)
    for value, whose in ((LOUD * most, "loud"), (0.0, "silent")):
        yield replace(series, selector=_told(name, {**labels, "whose": whose}), before=value, after=())


def _split(series: Series) -> tuple[str, str]:
    name, _, labels = series.selector.partition("{")
    return name, labels


def _told(name: str, labels: dict[str, str]) -> str:
    return f"{name}{{" + ",".join(f'{label}="{value}"' for label, value in labels.items()) + "}"


def _example(selector: promql.VectorSelector) -> dict[str, str]:
    """Labels of a series that a selector takes and no story tells."""
    return {each.name: _TAKES.get(each.value, each.value) for each in selector.matchers.matchers}


def among_others(case: Case, alerts: Iterable[Alert]) -> Case:
    """The case among the series of others, of which its alerts must take no notice."""
    if case.everything:
        return case
    named = [alert for alert in alerts if alert.name in {*case.fires, *case.stays_silent}]
    return replace(case, story=f"{case.story}{AMONG}", series=(*case.series, *decoys(case, named)), named_only=True)
