"""What one column, or two, tell about the outcomes: how they rank them, and which of their values decide alone."""

from collections.abc import Iterator
from itertools import combinations
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit
from scipy.stats import beta
from sklearn.model_selection import StratifiedKFold

from service.lifecycle.evaluation.quality import Scores, Target
from service.lifecycle.training.skill import roc_auc

Cells = npt.NDArray[Any]
Codes = npt.NDArray[np.intp]

SUSPICIOUS_AUC = 0.8
"""A single column that ranks outcomes this well probably knows them. In the UCI bank data the best honest column
reaches .78, and the length of the call, known only after it, .82."""
SUSPICIOUS_ODDS = 20.0
"""A value suspicious by itself makes one outcome this much likelier, in odds. In the UCI bank data an earlier success
does so by 17."""
SUSPICIOUS_EXCESS = 0.1
"""ROC-AUC by which two suspicious columns rank better by pairs of values than by the sum of what each value tells."""
SURE = NormalDist().inv_cdf(0.95)
"""Standard errors by which a ROC-AUC must be beyond its limit: a smaller excess may be chance."""

BINS = 32
LEAST = 5
"""Leads of either outcome without which nothing is said about a column."""
MIN_VALUE_LEADS = 20
"""Leads that must share a value before anything is said about it."""
PAIR_BINS, PAIR_LEADS, PAIR_COLUMNS = 8, 4_000, 32
"""Values of a column that are told apart in a pair, and leads and columns that are looked at: 500 pairs in 2 s."""


class Alone(NamedTuple):
    """Why a column is suspicious by itself ("" where it is not), and how it ranks the outcomes."""

    why: str
    roc_auc: float


class Pair(NamedTuple):
    """Two columns that tell the outcome by the pairs of their values, and how these rank the outcomes."""

    names: tuple[str, str]
    roc_auc: float


def auc_alone(column: Cells, target: Target) -> tuple[float, float] | None:
    """How well one column ranks the outcomes by itself, and the standard error; None with too few leads to tell.

    It is the ROC-AUC of cross-fitted conversion rates by value. Numbers are cut into equal-count bins and a missing
    value is one more, so that "filled only afterwards" shows.
    """
    if np.bincount(target, minlength=2).min() < LEAST:
        return None
    return roc_auc(target, _rates(_codes(column, BINS), target, _folds(target)))


def judge_alone(cells: Cells, target: Target) -> Alone | None:
    """What one column shows by itself; None with too few leads to tell."""
    judged = auc_alone(cells, target)
    if judged is None:
        return None
    filled = ~(np.isnan(cells) if cells.dtype == np.float64 else cells == "").astype(bool)
    won, lost = filled[target == 1].mean(), filled[target == 0].mean()
    if beyond(SUSPICIOUS_AUC, *_by(filled, target)):
        return Alone(f"it is filled for {won:.0%} of the leads that converted and {lost:.0%} of the others", judged[0])
    if beyond(SUSPICIOUS_AUC, *judged):
        return Alone(f"alone it ranks the outcomes with ROC-AUC {judged[0]:.2f}", judged[0])
    return Alone(max(_telling(cells, filled, target), default=(0, ""))[1], judged[0])


def _by(mask: npt.NDArray[np.bool_], target: Target) -> tuple[float, float]:
    """ROC-AUC, and its error, of this mask or its opposite, whichever ranks better."""
    value, error = roc_auc(target, mask.astype(np.float64))
    return max(value, 1 - value), error


def beyond(limit: float, value: float, error: float) -> bool:
    """Whether a figure with this standard error is above a limit, with 95 % confidence."""
    return value - SURE * error >= limit


def _telling(cells: Cells, filled: npt.NDArray[np.bool_], target: Target) -> Iterator[tuple[float, str]]:
    """Groups of leads, by whether the cell is filled or by its value, that have one outcome far more often than others.

    Each with the share of its commoner outcome. No value is named that fewer than MIN_VALUE_LEADS leads share: the
    bundle keeps the sentence.
    """
    groups = [("an empty cell", ~filled), ("a filled cell", filled)]
    values, counts = np.unique(cells[filled], return_counts=True)
    if cells.dtype == np.float64 and counts.max(initial=0) >= MIN_VALUE_LEADS:
        common = f"{values[counts.argmax()]:g}"
        is_common = cells == values[counts.argmax()]
        groups += [(f"the value {common}", is_common), (f"another value than {common}", filled & ~is_common)]
    elif cells.dtype != np.float64:
        groups += [(f"the value {v!r}", cells == v) for v in values[counts >= MIN_VALUE_LEADS]]
    for label, group in groups:
        if MIN_VALUE_LEADS <= group.sum() < len(group) and _odds(group, target) >= SUSPICIOUS_ODDS:
            inside, others = target[group].mean(), target[~group].mean()
            said = f"of the {group.sum():,} leads with {label} {inside:.0%} converted, of the others {others:.0%}"
            yield max(inside, 1 - inside), said


def _odds(group: npt.NDArray[np.bool_], target: Target) -> float:
    """How many times likelier, in odds, its commoner outcome is in a group than outside, at least (99 %)."""
    size, outside = int(group.sum()), target[~group]
    converted = int(target[group].sum())
    few = min(converted, size - converted)
    at_most = beta.ppf(0.99, few + 1, size - few)
    rate = outside.mean() if few == converted else 1 - outside.mean()
    return float((rate / max(1 - rate, 1 / len(outside))) / (at_most / (1 - at_most)))


def telling_pairs(frame: pd.DataFrame, target: Target) -> Iterator[Pair]:
    """Pairs of columns, at most one with each, that tell the outcome by their values together.

    By which pair of values it is (both are equal, or one of them alone holds), or by how far one number is from where
    the other puts it (a total then and now). The models see little of that.
    """
    rows = np.linspace(0, len(target) - 1, min(len(target), PAIR_LEADS)).astype(np.intp)
    target = target[rows]
    if np.bincount(target, minlength=2).min() < LEAST:
        return
    folds, done = _folds(target), set[str]()
    cells = {name: frame[name].to_numpy()[rows] for name in frame.columns[:PAIR_COLUMNS]}
    coded = {name: _codes(column, PAIR_BINS) for name, column in cells.items()}
    alone = {name: logit(_rates(codes, target, folds)) for name, codes in coded.items()}
    for one, other in combinations(coded, 2):
        views = [coded[one] * (coded[other].max() + 1) + coded[other]]
        if cells[one].dtype == cells[other].dtype == np.float64:
            views.append(_codes(_beside_the_line(cells[one], cells[other]), BINS))
        value, error = max(roc_auc(target, _rates(codes, target, folds)) for codes in views)
        if beyond(SUSPICIOUS_AUC, value, error) and not done & {one, other}:
            independent, _ = roc_auc(target, alone[one] + alone[other])
            if value - independent >= SUSPICIOUS_EXCESS:
                done |= {one, other}
                yield Pair((one, other), value)


def _beside_the_line(one: Cells, other: Cells) -> Cells:
    """How far each number is from the straight line that foretells it from the other column's."""
    known = ~np.isnan(one + other)
    if not known.any() or other[known].std() == 0:
        return np.full(len(one), np.nan)
    mean, to = one[known].mean(), other[known].mean()
    slope = ((one[known] - mean) * (other[known] - to)).mean() / other[known].var()
    residual: Cells = one - mean - slope * (other - to)
    return residual


def _codes(column: Cells, most: int) -> Codes:
    """Numbers by equal-count bins, texts as they are; with few bins the rare texts are one. Missing is one more."""
    if column.dtype == np.float64 and len(np.unique(column)) > most:
        edges = np.unique(np.nanquantile(column, np.linspace(0, 1, most + 1)[1:-1]))
        column = np.where(np.isnan(column), -1, np.searchsorted(edges, column))
    codes: Codes = pd.factorize(column, use_na_sentinel=False)[0]
    if most == PAIR_BINS:
        ranks = np.argsort(np.argsort(-np.bincount(codes), kind="stable"), kind="stable")
        codes = np.minimum(ranks[codes], 2 * most)
    return codes


def _folds(target: Target) -> list[tuple[Codes, Codes]]:
    return list(StratifiedKFold(5, shuffle=True, random_state=0).split(target, target))


def _rates(codes: Codes, target: Target, folds: list[tuple[Codes, Codes]]) -> Scores:
    """Each lead's conversion rate by its value, as that of the leads in the other folds."""
    rates, size = np.zeros(len(target)), codes.max() + 1
    for fit, rest in folds:
        positives = np.bincount(codes[fit], target[fit], minlength=size) + target.mean()
        rates[rest] = (positives / (np.bincount(codes[fit], minlength=size) + 1))[codes[rest]]
    return rates
