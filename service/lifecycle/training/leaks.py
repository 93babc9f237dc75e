"""Columns that seem to know the outcome: what a CRM fills in, or changes, only after a lead was won or lost.

A model that learns from them looks excellent and is useless for leads that are still open. No figure proves a leak:
these are findings for a person who knows when the CRM fills which column.
"""

from collections.abc import Collection, Iterator

from service.lifecycle.data.leads import Leads
from service.lifecycle.training.columns_alone import Alone, Cells, Pair, beyond, judge_alone, telling_pairs
from service.lifecycle.training.inputs_together import InputsTogether, Together
from service.lifecycle.training.selection import Progress
from service.model.bundle import LeakFinding, LeakReport

SUSPICIOUS_TOGETHER = 0.9
"""Inputs that together rank outcomes this well probably hold a leak. It is .02 above what honest ones should reach."""
SKILLED = 0.6
"""ROC-AUC that a model must be beyond before it is asked which column carries that."""
MOST = 0.5
"""Share of the skill (ROC-AUC above .5) without which a column carries most of it."""
PARTNER = 0.25
"""Share of the skill lost without a column from which on it is named with another, if it is of no use without that."""

ROUNDS = 6
"""Inputs removed at most in search of a plausible set."""


def find_leaks(leads: Leads, declared: Collection[str] = (), tell: Progress = lambda _: None) -> LeakReport:
    """Look at each column by itself, left-out ones too, and at all inputs together. `declared` are known leaks.

    As long as the inputs together are implausibly good, the one that carries most of that is removed and the rest is
    judged again, at most ROUNDS times. The 41,188 leads and 19 inputs of the UCI bank data take 2 s of processor time,
    and each further round 1 s.
    """
    tell("looking for columns that know the outcome")
    alone = {name: judge_alone(cells, leads.target) for name, cells in _columns(leads)}
    findings = [
        LeakFinding(columns=(name,), why=found.why, likely=True, is_input=name in leads.frame, alone=found.roc_auc)
        for name, found in alone.items()
        if found and found.why and name not in declared
    ]
    together = InputsTogether(leads)
    names = list(leads.frame.columns)
    every = together.judge(names)
    known = [finding.columns[0] for finding in findings if finding.is_input]
    for pair in telling_pairs(leads.frame.drop(columns=known), leads.target):
        findings.append(_pair(pair))
        known.append(pair.names[0])
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


def _columns(leads: Leads) -> Iterator[tuple[str, Cells]]:
    yield from ((name, leads.frame[name].to_numpy()) for name in leads.frame.columns)
    yield from leads.left_out.items()


def _pair(pair: Pair) -> LeakFinding:
    why = f"together they rank the outcomes with ROC-AUC {pair.roc_auc:.2f}, and by the one or the other far worse"
    return LeakFinding(columns=pair.names, why=why, likely=True, is_input=True)


def _implausible(found: Together) -> bool:
    return beyond(SUSPICIOUS_TOGETHER, found.roc_auc, found.error)


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
    if len(names) < 2 or not beyond(SKILLED, found.roc_auc, found.error) or found.drops[best] < MOST * skill:
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


def _declared_lines(declared: Collection[str], alone: dict[str, Alone | None]) -> Iterator[str]:
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
