"""Columns that seem to know the outcome: what a CRM fills in, or changes, only after a lead was won or lost.

A model that learns from them looks excellent and is useless for leads that are still open. No figure proves a leak:
these are findings for a person who knows when the CRM fills which column.
"""

from collections.abc import Collection, Iterator
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import beta
from sklearn.model_selection import StratifiedKFold

from service.lifecycle.data.leads import Leads
from service.lifecycle.evaluation.quality import Target
from service.lifecycle.training.inputs_together import InputsTogether, Together
from service.lifecycle.training.selection import Progress
from service.lifecycle.training.skill import roc_auc
from service.model.bundle import LeakFinding, LeakReport

Cells = npt.NDArray[Any]

SUSPICIOUS_AUC = 0.8
"""A single column that ranks outcomes this well probably knows them. In the UCI bank data the best honest column
reaches .78, and the length of the call, known only after it, .82."""
SUSPICIOUS_TOGETHER = 0.9
"""The same for all inputs together. Models of honest leads reach .88."""
SUSPICIOUS_ODDS = 20.0
"""A value suspicious by itself makes one outcome this much likelier, in odds. A referral in place of a bought address
does so by 20 at most in the built-in sample."""
SURE = NormalDist().inv_cdf(0.95)
"""Standard errors by which a ROC-AUC must be beyond its limit: a smaller excess may be chance."""
MOST = 0.5
"""Share of the skill (ROC-AUC above .5) without which a column carries most of it."""
PARTNER = 0.25
"""Share of the skill lost without a column from which on it is named with another, if it is of no use without that."""

BINS = 32
LEAST = 5
"""Leads of either outcome without which nothing is said about a column."""
MIN_VALUE_LEADS = 20
"""Leads that must share a value before anything is said about it."""
ROUNDS = 6
"""Inputs removed at most in search of a plausible set; each takes up to 3 s."""


class _Alone(NamedTuple):
    """Why a column is suspicious by itself ("" where it is not), and how it ranks the outcomes."""

    why: str
    roc_auc: float


def find_leaks(leads: Leads, declared: Collection[str] = (), tell: Progress = lambda _: None) -> LeakReport:
    """Look at each column by itself, left-out ones too, and at all inputs together. `declared` are known leaks.

    As long as the inputs together are implausibly good, the one that carries most of that is removed and the rest is
    judged again. Takes two to eight rounds of `InputsTogether.judge`, at most 3 s each.
    """
    tell("looking for columns that know the outcome")
    alone = {name: _alone(cells, leads.target) for name, cells in _columns(leads)}
    findings = [
        LeakFinding(columns=(name,), why=found.why, likely=True, is_input=name in leads.frame, alone=found.roc_auc)
        for name, found in alone.items()
        if found and found.why and name not in declared
    ]
    together = InputsTogether(leads)
    names = list(leads.frame.columns)
    every = together.judge(names)
    known = [finding.columns[0] for finding in findings if finding.is_input]
    names = [name for name in names if name not in known]
    honest = together.judge(names) if known else every
    for _ in range(ROUNDS):
        if honest is None or not _implausible(honest) or len(names) == 1:
            break
        finding, names, honest = _without_the_best(together, names, honest)
        findings.append(finding)
    if honest and (carrier := _carrier(together, names, honest)):
        findings.append(carrier)
    report = LeakReport(
        findings=tuple(findings), roc_auc=every.roc_auc if every else None, honest=honest.roc_auc if honest else None
    )
    still = honest is not None and _implausible(honest)
    lines = (*_declared_lines(declared, alone), *map(_line, findings), *_together_lines(report, still))
    return report.model_copy(update={"lines": lines})


def auc_alone(column: Cells, target: Target) -> tuple[float, float] | None:
    """How well one column ranks the outcomes by itself, and the standard error; None with too few leads to tell.

    It is the ROC-AUC of cross-fitted conversion rates by value. Numbers are cut into equal-count bins and a missing
    value is one more, so that "filled only afterwards" shows.
    """
    if np.bincount(target, minlength=2).min() < LEAST:
        return None
    if column.dtype == np.float64 and len(np.unique(column)) > BINS:
        edges = np.unique(np.nanquantile(column, np.linspace(0, 1, BINS + 1)[1:-1]))
        column = np.where(np.isnan(column), -1, np.searchsorted(edges, column))
    codes = pd.factorize(column, use_na_sentinel=False)[0]
    rates, size = np.zeros(len(target)), codes.max() + 1
    for fit, rest in StratifiedKFold(5, shuffle=True, random_state=0).split(codes, target):
        positives = np.bincount(codes[fit], target[fit], minlength=size) + target.mean()
        rates[rest] = (positives / (np.bincount(codes[fit], minlength=size) + 1))[codes[rest]]
    return roc_auc(target, rates)


def _columns(leads: Leads) -> Iterator[tuple[str, Cells]]:
    yield from ((name, leads.frame[name].to_numpy()) for name in leads.frame.columns)
    yield from leads.left_out.items()


def _alone(cells: Cells, target: Target) -> _Alone | None:
    """What one column shows by itself; None with too few leads to tell."""
    judged = auc_alone(cells, target)
    if judged is None:
        return None
    filled = ~(np.isnan(cells) if cells.dtype == np.float64 else cells == "").astype(bool)
    won, lost = filled[target == 1].mean(), filled[target == 0].mean()
    if _beyond(SUSPICIOUS_AUC, *_by(filled, target)):
        return _Alone(f"it is filled for {won:.0%} of the leads that converted and {lost:.0%} of the others", judged[0])
    if _beyond(SUSPICIOUS_AUC, *judged):
        return _Alone("", judged[0])._replace(why=f"alone it ranks the outcomes with ROC-AUC {judged[0]:.2f}")
    return _Alone(next(_telling(cells, filled, target), ""), judged[0])


def _by(mask: npt.NDArray[np.bool_], target: Target) -> tuple[float, float]:
    """ROC-AUC, and its error, of this mask or its opposite, whichever ranks better."""
    value, error = roc_auc(target, mask.astype(np.float64))
    return max(value, 1 - value), error


def _beyond(limit: float, value: float, error: float) -> bool:
    return value - SURE * error >= limit


def _telling(cells: Cells, filled: npt.NDArray[np.bool_], target: Target) -> Iterator[str]:
    """Groups of leads, by whether the cell is filled or by its value, that nearly all have one outcome."""
    groups = [("an empty cell", ~filled), ("a filled cell", filled)]
    values, counts = np.unique(cells[filled], return_counts=True)
    if cells.dtype == np.float64 and len(counts):
        common = f"{values[counts.argmax()]:g}"
        is_common = cells == values[counts.argmax()]
        groups += [(f"the value {common}", is_common), (f"another value than {common}", filled & ~is_common)]
    else:
        groups += [(f"the value {v!r}", cells == v) for v in values[counts >= MIN_VALUE_LEADS]]
    for label, group in groups:
        if MIN_VALUE_LEADS <= group.sum() < len(group) and _odds(group, target) >= SUSPICIOUS_ODDS:
            inside, others = target[group].mean(), target[~group].mean()
            yield f"of the {group.sum():,} leads with {label} {inside:.0%} converted, of the others {others:.0%}"


def _odds(group: npt.NDArray[np.bool_], target: Target) -> float:
    """How many times likelier, in odds, one outcome is in a group than outside, at least (99 %); 0 in a mixed group."""
    size, outside = int(group.sum()), target[~group]
    converted = int(target[group].sum())
    few = min(converted, size - converted)
    if few > 0.05 * size:
        return 0.0
    at_most = beta.ppf(0.99, few + 1, size - few)
    rate = outside.mean() if few == converted else 1 - outside.mean()
    return float((rate / max(1 - rate, 1 / len(outside))) / (at_most / (1 - at_most)))


def _implausible(found: Together) -> bool:
    return _beyond(SUSPICIOUS_TOGETHER, found.roc_auc, found.error)


def _without_the_best(
    together: InputsTogether, names: list[str], found: Together
) -> tuple[LeakFinding, list[str], Together | None]:
    """The input that carries most of an implausible figure, the other inputs, and how well they do without it.

    Named with it are inputs that did much and are of little use without it: two that tell the outcome only jointly.
    """
    best = max(found.drops, key=lambda name: found.drops[name])
    rest = [name for name in names if name != best]
    after = together.judge(rest)
    least = PARTNER * (found.roc_auc - 0.5)
    partners = [n for n in rest if after and found.drops[n] >= least and after.drops[n] <= found.drops[n] / 2]
    finding = LeakFinding(
        columns=(best, *partners),
        why="all inputs together rank the outcomes better than honest ones do, and it carries most of that",
        likely=True,
        is_input=True,
        before=found.roc_auc,
        after=after.roc_auc if after else None,
    )
    return finding, rest, after


def _carrier(together: InputsTogether, names: list[str], found: Together) -> LeakFinding | None:
    """The input without which most of the skill is gone, if there is one. It may well be honest."""
    skill = found.roc_auc - 0.5
    best = max(found.drops, key=lambda name: found.drops[name])
    if len(names) < 2 or skill <= SURE * found.error or found.drops[best] < MOST * skill:
        return None
    after = together.judge([name for name in names if name != best])
    if after is None or found.roc_auc - after.roc_auc < MOST * skill:
        return None
    return LeakFinding(
        columns=(best,),
        why="it carries most of the skill: check that it is known before the call",
        likely=False,
        is_input=True,
        before=found.roc_auc,
        after=after.roc_auc,
    )


def _declared_lines(declared: Collection[str], alone: dict[str, _Alone | None]) -> Iterator[str]:
    for name in declared:
        figure = f"; alone it ranks the outcomes with ROC-AUC {found.roc_auc:.2f}" if (found := alone.get(name)) else ""
        yield f"{name}: left out as a leak{figure}"


def _line(finding: LeakFinding) -> str:
    name = " with ".join(finding.columns)
    figures = f" (ROC-AUC {finding.before:.3f}, without it {finding.after:.3f})" if finding.after is not None else ""
    if not finding.likely:
        return f"{name}: {finding.why}{figures}"
    todo = (
        "if it is known only afterwards, list it under leaks"
        if finding.is_input
        else "it is no input; look for others that are filled at the same time"
    )
    return f"{name}: LIKELY LEAK, {finding.why}{figures}; {todo}"


def _together_lines(report: LeakReport, still: bool) -> Iterator[str]:
    if report.roc_auc is None:
        yield "There are too few leads to look for leaks among the inputs together."
        return
    if not any(finding.likely and finding.is_input for finding in report.findings):
        yield f"No input looks like a leak; a quick model of all of them has ROC-AUC {report.roc_auc:.3f}."
        return
    if report.honest is None:
        yield f"Without likely leaks no input is left; with them a quick model ranks with ROC-AUC {report.roc_auc:.3f}."
        return
    yield (
        f"Without likely leaks a quick model ranks the outcomes with ROC-AUC {report.honest:.3f}, with them "
        f"{report.roc_auc:.3f}: expect the former of leads that are still open."
    )
    if still:
        yield "Even that is implausible: look for more columns that are filled afterwards."
