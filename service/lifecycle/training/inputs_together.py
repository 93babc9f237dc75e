"""How well a set of inputs together ranks the outcomes, and which of them carry that.

Two quick models stand for all: boosted trees, which see steps and combinations, and a logistic regression, which sees
sums and differences. The better one counts. Both are judged on leads that they have not seen, later ones where the
order in time is known.
"""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from threadpoolctl import threadpool_limits

from service.lifecycle.data.leads import Leads
from service.lifecycle.evaluation.quality import Target
from service.lifecycle.training.shared_values import shared_choices
from service.lifecycle.training.skill import roc_auc
from service.model.choices import parted

Matrix = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

MAX_LEADS = 10_000
"""Leads that are looked at: more would cost time and change no verdict."""
MAX_VALUES = 32
"""Values of a category that are told apart; the rarer ones are one."""
CUTS = (0.4, 0.6, 0.8, 1.0)
"""Shares of leads, in time order: each stretch is ranked by models of all leads before it."""
LEAST = 10
"""Leads of either outcome that a fold needs to be judged."""


class Together(NamedTuple):
    """ROC-AUC of a set of inputs, its standard error, and by input the ROC-AUC lost where its cells are shuffled."""

    roc_auc: float
    error: float
    drops: dict[str, float]


class _Fold(NamedTuple):
    """A model, the leads that it has not seen, as it takes them, and their outcomes."""

    model: Any
    unseen: Matrix
    target: Target

    def figure(self) -> tuple[float, float]:
        return roc_auc(self.target, self.model.predict_proba(self.unseen)[:, 1])


class InputsTogether:
    """The inputs of leads, made ready once so that any set of them can be judged."""

    def __init__(self, leads: Leads) -> None:
        rows = _looked_at(leads)
        frame, self._target = leads.frame.iloc[rows], leads.target[rows]
        several = {name: _choices(frame[name], mark) for name, mark in leads.schema.separators.items()}
        single = [name for name in frame.columns if name not in several]
        self._coded = {name: _coded(frame[name]) for name in single} | several
        self._linear = {name: _linear(frame[name], self._coded[name]) for name in single} | several
        self._categories = {name for name in single if frame[name].dtype == object}
        self._folds = [
            (train, rest)
            for train, rest in _folds(self._target, leads.in_time_order)
            if min(np.bincount(self._target[part], minlength=2).min() for part in (train, rest)) >= LEAST
        ]

    def judge(self, names: Sequence[str]) -> Together | None:
        """How well these inputs rank the outcomes; None where there are too few leads to tell, or no inputs."""
        if not names or not self._folds:
            return None
        with threadpool_limits(limits=1):  # see selection.fit
            trees = self._fit(names, [self._coded[name] for name in names], linear=False)
            lines = self._fit(names, [self._linear[name] for name in names], linear=True)
            (auc, error), folds, blocks = max(trees, lines, key=lambda judged: judged[0])
            drops = {name: auc - _shuffled(folds, blocks[name]) for name in names}
        return Together(auc, error, drops)

    def _fit(
        self, names: Sequence[str], parts: list[Matrix], linear: bool
    ) -> tuple[tuple[float, float], list[_Fold], dict[str, slice]]:
        """Figure and error over all folds, the folds, and by input its columns in the matrix."""
        ends = np.cumsum([part.shape[1] for part in parts])
        blocks = {name: slice(end - part.shape[1], end) for name, part, end in zip(names, parts, ends, strict=True)}
        matrix, folds = np.hstack(parts), []
        for train, rest in self._folds:
            model = LogisticRegression(C=0.5, max_iter=200) if linear else self._trees(names, parts)
            # Trees fail on a column that is missing throughout.
            known = np.where(np.isnan(matrix[train]).all(axis=0), 0.0, matrix)
            folds.append(_Fold(model.fit(known[train], self._target[train]), known[rest], self._target[rest]))
        figures = np.array([fold.figure() for fold in folds])
        error = np.sqrt((figures[:, 1] ** 2).sum()) / len(folds)
        return (float(figures[:, 0].mean()), float(error)), folds, blocks

    def _trees(self, names: Sequence[str], parts: list[Matrix]) -> HistGradientBoostingClassifier:
        categorical = [[name in self._categories] * part.shape[1] for name, part in zip(names, parts, strict=True)]
        return HistGradientBoostingClassifier(
            max_iter=60,
            max_leaf_nodes=15,
            min_samples_leaf=20,
            categorical_features=list(chain.from_iterable(categorical)),
            early_stopping=False,
            random_state=0,
        )


def _looked_at(leads: Leads) -> Rows:
    rows = np.arange(len(leads.target))
    if len(rows) <= MAX_LEADS:
        return rows
    if leads.in_time_order:
        return np.linspace(0, len(rows) - 1, MAX_LEADS).astype(np.intp)
    kept: Rows = train_test_split(rows, train_size=MAX_LEADS, stratify=leads.target, random_state=0)[0]
    return kept


def _folds(target: Target, in_time_order: bool) -> list[tuple[Rows, Rows]]:
    rows = np.arange(len(target))
    if not in_time_order:
        few = min(np.bincount(target, minlength=2)) < LEAST
        return [] if few else list(StratifiedKFold(3, shuffle=True, random_state=0).split(rows, target))
    ends = [round(cut * len(rows)) for cut in CUTS]
    return [(rows[:begin], rows[begin:end]) for begin, end in pairwise(ends)]


def _coded(column: pd.Series) -> Matrix:
    """Numbers as they are; categories by how frequent they are, the rarer ones as one; missing as NaN."""
    if column.dtype != object:
        return column.to_numpy(dtype=np.float64).reshape(-1, 1)
    ranks = {value: rank for rank, value in enumerate(column[column != ""].value_counts().index)}
    codes = column.map(lambda value: min(ranks[value], MAX_VALUES) if value else np.nan)
    return codes.to_numpy(dtype=np.float64).reshape(-1, 1)


def _choices(column: pd.Series, separator: str) -> Matrix:
    """A column for each of the most frequent choices, and for a missing cell: 1 where a cell holds it."""
    shared = shared_choices(column, separator)[:MAX_VALUES]
    cells = [set(parted(cell, separator) or [""]) for cell in column]
    return np.array([[float(choice in cell) for choice in shared or [""]] for cell in cells])


def _linear(column: pd.Series, coded: Matrix) -> Matrix:
    """Standardized numbers and whether they are missing, or a column a category."""
    missing = np.isnan(coded)
    if column.dtype == object:
        known = np.where(missing, MAX_VALUES + 1, coded)
        found: Matrix = (known == np.unique(known)).astype(np.float64)
        return found
    if missing.all():
        return missing.astype(np.float64)
    filled = np.where(missing, np.nanmedian(coded), coded)
    scaled = (filled - filled.mean()) / (filled.std() or 1.0)
    return np.hstack([scaled, missing.astype(np.float64)]) if missing.any() else scaled


def _shuffled(folds: list[_Fold], block: slice) -> float:
    """The ROC-AUC where these columns hold other leads' cells."""
    figures = []
    for fold in folds:
        unseen = fold.unseen.copy()
        unseen[:, block] = unseen[np.random.default_rng(0).permutation(len(unseen)), block]
        figures.append(fold._replace(unseen=unseen).figure()[0])
    return float(np.mean(figures))
