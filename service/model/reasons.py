"""What moved a score: each feature in turn takes its typical value, and the same engine scores the lead again.

It tells what the model reacts to in this lead. It is not causal, and effects of features that act together do not add
up to the score. Typical is what the held-out leads of the bundle's reference mostly have.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from service.model.choices import joined, parted
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
    """A feature, by how much the score is higher than with its typical value, and that value (null: missing).

    With a `choice` it is this choice of the feature alone, and `typical` says whether a typical lead has it.
    """

    feature: str
    effect: float
    typical: float | bool | str | None
    choice: str | msgspec.UnsetType = msgspec.UNSET


class Input(NamedTuple):
    """What is exchanged at once: a feature, or one `choice` of those whose cells may hold several.

    Where a cell holds choices that the model knows, each of them is told, else the whole feature.
    """

    feature: str
    choice: str | None = None


def typical_lead(schema: LeadSchema, reference: Reference) -> dict[str, Value]:
    """For each feature the commonest value, of numbers the mean of the middle bin; None where most leads lack it."""
    columns = {column.name: column for column in reference.features}
    return {
        f.name: _typical(columns[f.name], f.kind == "boolean", f.separator) if f.name in columns else None
        for f in schema.features
    }


class Explainer:
    """Finds the reasons of leads' scores. Made once from a bundle's parts; safe to use from several threads.

    `inputs` are those whose effects are told, in the schema's order.

    Raises msgspec.ValidationError where the reference does not fit the schema.
    """

    def __init__(self, engine: Engine, encoding: Encoding, schema: LeadSchema, reference: Reference) -> None:
        self._engine, self._typical = engine, typical_lead(schema, reference)
        several = schema.separators
        self._usual = {name: parted(str(self._typical[name] or ""), mark) for name, mark in several.items()}
        known = {name: value for name, value in self._typical.items() if value is not None}
        (self._row,) = engine.encode(engine.parse(msgspec.json.encode([known])))
        columns: dict[str, dict[str | None, list[int]]] = {
            name: {None: [column]} for column, name in enumerate(encoding.numbers)
        }
        for name, category in encoding.categories.items():
            columns[name] = {None: category.groups(several=False)[0]}
            if name in several:
                columns[name] |= {choice: [column] for choice, column in category.columns.items() if choice}
        exchanged = [
            (Input(name, choice), places)
            for name in self._typical
            for choice, places in columns.get(name, {}).items()
            if places
        ]
        self.inputs = [each for each, _ in exchanged]
        # All cells to exchange, as (exchanged input, column): one assignment for a block of leads.
        self._exchanged = np.repeat(np.arange(len(exchanged)), [len(places) for _, places in exchanged])
        self._columns = np.array(list(itertools.chain.from_iterable(p for _, p in exchanged)), dtype=np.intp)
        self._choices = {
            name: [column for choice, column in encoding.categories[name].columns.items() if choice]
            for name in several
            if name in encoding.categories
        }

    def reasons(self, leads: Sequence[msgspec.Struct], scores: Sequence[float]) -> list[list[Reason]]:
        """For each lead, which got this score, the features that moved it most, at most MOST, largest effect first."""
        if not self.inputs:
            return [[] for _ in leads]
        effects = self.effects(self._engine.encode(leads), np.array(scores))
        order = np.argsort(-np.abs(effects), axis=1, kind="stable")[:, :MOST]
        return [
            [self._reason(self.inputs[i], float(row[i])) for i in places if abs(row[i]) > LEAST]
            for row, places in zip(effects, order, strict=True)
        ]

    def effects(self, matrix: Matrix, scores: Matrix) -> Matrix:
        """For leads that are encoded already: by how much each input raises the score, in the order of `inputs`."""
        block = max(1, CELLS // (len(self.inputs) * len(self._row)))
        parts = [self._without(matrix[start : start + block]) for start in range(0, len(matrix), block)]
        without: Matrix = np.concatenate(parts) if parts else np.empty((0, len(self.inputs)))
        effects: Matrix = scores[:, None] - without
        for name, columns in self._choices.items():
            some = matrix[:, columns].any(axis=1)
            for place, each in enumerate(self.inputs):
                if each.feature == name:
                    effects[some if each.choice is None else ~some, place] = 0.0
        return effects

    def _reason(self, by: Input, effect: float) -> Reason:
        typical = self._typical[by.feature]
        if by.choice is None:
            return Reason(by.feature, effect, typical)
        return Reason(by.feature, effect, by.choice in self._usual[by.feature], by.choice)

    def _without(self, matrix: Matrix) -> Matrix:
        """The leads' scores with each input exchanged, one row a lead, one column an input."""
        changed = np.repeat(matrix[:, None, :], len(self.inputs), axis=1)
        changed[:, self._exchanged, self._columns] = self._row[self._columns]
        scores = self._engine.score_matrix(changed.reshape(-1, matrix.shape[1]))
        return scores.reshape(len(matrix), len(self.inputs))


def _typical(column: Column, boolean: bool, separator: str | None) -> Value:
    if isinstance(column, Numbers):
        if column.missing > sum(column.counts):
            return None
        middle = int(np.searchsorted(np.cumsum(column.counts), sum(column.counts) / 2))
        mean = column.means[min(middle, len(column.means) - 1)]
        return mean >= 0.5 if boolean else _rounded(mean, column.edges)
    if separator and column.choices and column.choices.values:
        filled = sum(column.counts) + column.others
        if column.missing > filled:
            return None
        each = list(zip(column.choices.counts, column.choices.values, strict=True))
        return joined([choice for count, choice in each if 2 * count > filled] or [max(each)[1]], separator)
    values: list[tuple[int, str | None]] = [(n, v) for n, v in zip(column.counts, column.values, strict=True)]
    return max([*values, (column.missing, None)], key=lambda each: each[0])[1]


def _rounded(mean: float, edges: Sequence[float]) -> float:
    """To a hundredth of the column's spread, so that people can read it."""
    if len(edges) < 2:
        return float(f"{mean:.4g}")
    return round(mean, 2 - math.floor(math.log10(edges[-1] - edges[0])))
