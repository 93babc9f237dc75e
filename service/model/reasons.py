"""What moved a score: each feature in turn takes its typical value, and the same engine scores the lead again.

It tells what the model reacts to in this lead. It is not causal, and effects of features that act together do not add
up to the score. Typical is what the held-out leads of the bundle's reference mostly have.
"""

import itertools
import math
from collections.abc import Sequence

import msgspec
import numpy as np

from service.model.engine import Encoding, Engine
from service.model.reference import Column, Numbers, Reference
from service.model.schema import LeadSchema, Value
from service.model.trees import Matrix

MOST = 10
"""Features named for a lead."""
CELLS = 2_000_000
"""Cells of the matrix that is scored at once (16 MB), unless one lead alone takes more."""
LEAST = 1e-9
"""A smaller change is the engine's rounding."""


class Reason(msgspec.Struct, frozen=True):
    """A feature, by how much the score is higher than with its typical value, and that value (null: missing)."""

    feature: str
    effect: float
    typical: float | bool | str | None


def typical_lead(schema: LeadSchema, reference: Reference) -> dict[str, Value]:
    """For each feature the commonest value, of numbers the mean of the middle bin; None where most leads lack it."""
    columns = {column.name: column for column in reference.features}
    return {
        f.name: _typical(columns[f.name], f.kind == "boolean") if f.name in columns else None for f in schema.features
    }


class Explainer:
    """Finds the reasons of leads' scores. Made once from a bundle's parts; safe to use from several threads.

    Raises msgspec.ValidationError where the reference does not fit the schema.
    """

    def __init__(self, engine: Engine, encoding: Encoding, schema: LeadSchema, reference: Reference) -> None:
        self._engine, self._typical = engine, typical_lead(schema, reference)
        known = {name: value for name, value in self._typical.items() if value is not None}
        (self._row,) = engine.encode(engine.parse(msgspec.json.encode([known])))
        columns = {name: [column] for column, name in enumerate(encoding.numbers)}
        for name, category in encoding.categories.items():
            columns[name] = [*category.columns.values(), *([] if category.other is None else [category.other])]
        self._names = [name for name in self._typical if columns.get(name)]
        # All cells to exchange, as (exchanged feature, column): one assignment for a block of leads.
        self._exchanged = np.repeat(np.arange(len(self._names)), [len(columns[name]) for name in self._names])
        self._columns = np.array(list(itertools.chain.from_iterable(columns[n] for n in self._names)), dtype=np.intp)

    @property
    def names(self) -> list[str]:
        """The features whose effects are told, in the schema's order."""
        return self._names

    def reasons(self, leads: Sequence[msgspec.Struct], scores: Sequence[float]) -> list[list[Reason]]:
        """For each lead, which got this score, the features that moved it most, at most MOST, largest effect first."""
        if not self._names:
            return [[] for _ in leads]
        effects = self.effects(self._engine.encode(leads), np.array(scores))
        order = np.argsort(-np.abs(effects), axis=1, kind="stable")[:, :MOST]
        return [
            [
                Reason(self._names[i], float(row[i]), self._typical[self._names[i]])
                for i in places
                if abs(row[i]) > LEAST
            ]
            for row, places in zip(effects, order, strict=True)
        ]

    def effects(self, matrix: Matrix, scores: Matrix) -> Matrix:
        """For leads that are encoded already: by how much each feature raises the score, in the order of `names`."""
        block = max(1, CELLS // (len(self._names) * len(self._row)))
        parts = [self._without(matrix[start : start + block]) for start in range(0, len(matrix), block)]
        without: Matrix = np.concatenate(parts) if parts else np.empty((0, len(self._names)))
        return scores[:, None] - without

    def _without(self, matrix: Matrix) -> Matrix:
        """The leads' scores with each feature exchanged, one row a lead, one column a feature."""
        changed = np.repeat(matrix[:, None, :], len(self._names), axis=1)
        changed[:, self._exchanged, self._columns] = self._row[self._columns]
        scores = self._engine.score_matrix(changed.reshape(-1, matrix.shape[1]))
        return scores.reshape(len(matrix), len(self._names))


def _typical(column: Column, boolean: bool) -> Value:
    if isinstance(column, Numbers):
        if column.missing > sum(column.counts):
            return None
        middle = int(np.searchsorted(np.cumsum(column.counts), sum(column.counts) / 2))
        mean = column.means[min(middle, len(column.means) - 1)]
        return mean >= 0.5 if boolean else _rounded(mean, column.edges)
    values: list[tuple[int, str | None]] = [(n, v) for n, v in zip(column.counts, column.values, strict=True)]
    return max([*values, (column.missing, None)], key=lambda each: each[0])[1]


def _rounded(mean: float, edges: Sequence[float]) -> float:
    """To a hundredth of the column's spread, so that people can read it."""
    if len(edges) < 2:
        return float(f"{mean:.4g}")
    return round(mean, 2 - math.floor(math.log10(edges[-1] - edges[0])))
