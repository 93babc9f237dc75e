"""Inference: leads to one encoded matrix, the matrix to scores: trees by tables, all else by ONNX Runtime."""

import os
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Annotated

# ONNX Runtime reports its use to its makers unless told otherwise before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import msgspec
import numpy as np
import onnxruntime as ort
from pydantic import BaseModel, ConfigDict, Field

from service.model.choices import parted
from service.model.lead import features_type
from service.model.numbers import as_written
from service.model.schema import Feature, LeadSchema
from service.model.spelling import fold, is_nothing, truth
from service.model.trees import Matrix, Trees

NOWHERE = 1 << 40
"""A column beyond all matrices: of a value that has none."""
TREES = "trees"
"""Where a graph's metadata has its trees once more, in the form that is quick to score."""


class Category(BaseModel):
    """One category's columns of the matrix: its frequent values or choices each have one; all others share `other`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[str, int]
    other: int | None

    def groups(self, several: bool) -> list[list[int]]:
        """Its columns, in groups of which at most one holds 1: each is its own where a cell may hold `several`."""
        columns = [*{*self.columns.values(), *([self.other] if self.other is not None else [])}]
        return [[column] for column in columns] if several else [columns]


class Encoding(BaseModel):
    """Where each feature stands in the matrix: first the numbers, then a column for each frequent value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    numbers: tuple[str, ...]
    categories: dict[str, Category]
    width: Annotated[int, Field(gt=0)]


class Places(dict[str | None, int]):
    """The column of each value of a category, and of every other spelling of it; NOWHERE for a value that has none.

    What is not written as in training is looked up without regard to case and blanks, then as a word for yes or no,
    then as a mark for "no value".
    """

    def __init__(self, columns: dict[str | None, int], other: int | None) -> None:
        super().__init__(columns)
        self._other = NOWHERE if other is None else other
        alike: dict[str, set[int]] = {}
        said: dict[bool, set[int]] = {}
        for value, place in columns.items():
            if value:
                alike.setdefault(fold(value), set()).add(place)
                if (answer := truth(value)) is not None:
                    said.setdefault(answer, set()).add(place)
        self._alike = {value: places.pop() for value, places in alike.items() if len(places) == 1}
        both = len(said) == 2 and all(len(places) == 1 for places in said.values())
        self._said = {answer: places.pop() for answer, places in said.items()} if both else {}
        self._missing = columns.get(None, self._other)

    def __missing__(self, value: str | None) -> int:
        """The place of a value that training did not see, or not in this spelling. Nothing is kept."""
        if value is None:
            return self._missing
        if (place := self._alike.get(fold(value))) is not None:
            return place
        if self._said and (answer := truth(value)) is not None:
            return self._said[answer]
        return self._missing if is_nothing(value) else self._other

    def knows(self, value: str) -> bool:
        """Whether a value has a place of its own, in any spelling."""
        return value in self or fold(value) in self._alike or (bool(self._said) and truth(value) is not None)

    def columns(self, value: str | None) -> list[int]:
        """The column of a value, if it has one."""
        return [place for place in (self[value],) if place != NOWHERE]

    def is_missing(self, value: str) -> bool:
        """Whether a value is none."""
        return not self.is_other(value) and self[value] == self[None]

    def is_other(self, value: str) -> bool:
        """Whether a value is not missing, and none of those that have a place of their own, in any spelling."""
        return not self.knows(value) and not is_nothing(value)

    def is_new(self, value: str, known: frozenset[str]) -> bool:
        """Whether training saw a value, in any spelling, in too few leads to learn from, or never.

        `known` are the reference's values, of which not all have a place of their own.
        """
        return self.is_other(value) and fold(value) not in known


class ChoicePlaces:
    """The columns of the choices of a cell that may hold several. A choice without a column is nowhere.

    `places` are those of single choices, `missing` that of a cell without any, `marks` the cells that mean "missing".
    """

    def __init__(self, places: Places, separator: str, missing: int, marks: Iterable[str]) -> None:
        self._places, self._separator, self._marks = places, separator, frozenset(map(fold, marks))
        self._missing = [] if missing == NOWHERE else [missing]

    def columns(self, value: str | None) -> list[int]:
        """The columns of a cell's choices, or that of a missing cell; none where it has none."""
        if value is None or self.is_missing(value):
            return self._missing
        return [self._places[choice] for choice in self.choices(value) if self._places.knows(choice)]

    def choices(self, value: str) -> list[str]:
        """The choices in a cell, as they are written there."""
        return parted(value, self._separator)

    def holds(self, value: str, choice: str) -> bool:
        """Whether the cell holds this choice of the training, in any spelling."""
        return self._places[choice] in self.columns(value)

    def is_missing(self, value: str) -> bool:
        """Whether a cell holds no choice, or a mark for "no value" that is none of the training's choices."""
        choices = self.choices(value)
        unknown = is_nothing(value) and not any(map(self._places.knows, choices))
        return not choices or unknown or fold(value) in self._marks

    def is_new(self, value: str, known: frozenset[str]) -> bool:
        """Whether training saw one of the choices, in any spelling, in too few leads to learn from, or never."""
        unknown = [choice for choice in self.choices(value) if not self._places.knows(choice)]
        return not self.is_missing(value) and any(fold(choice) not in known for choice in unknown)

    def __contains__(self, value: str) -> bool:
        return not self.is_missing(value)


class Engine:
    """A model ready to score. Safe to use from several threads.

    `absent` lists, by column of the matrix, the numbers that mean "missing". `categories` has, for each category of
    single values, its position in the schema and its Places; `choices` the same of those whose cells may hold several.

    Raises ValueError when the encoding does not fit the schema, and ONNX Runtime's own errors when the graph
    cannot be loaded.
    """

    def __init__(self, onnx: bytes, encoding: Encoding, schema: LeadSchema, threads: int = 1) -> None:
        self.features = features_type(schema)
        self._decode = msgspec.json.Decoder(list[self.features]).decode  # type: ignore[name-defined]
        position = {f.name: i for i, f in enumerate(schema.features)}
        if unknown := (set(encoding.numbers) | set(encoding.categories)) - set(position):
            raise ValueError(f"the encoding names features that the schema lacks: {sorted(unknown)}")
        self._numbers = [position[name] for name in encoding.numbers]
        self._width = encoding.width
        self.absent: list[tuple[int, float]] = [
            (column, value)
            for column, name in enumerate(encoding.numbers)
            for value in schema.features[position[name]].missing
            if not isinstance(value, str)
        ]
        self.categories: list[tuple[int, Places]] = []
        self.choices: list[tuple[int, ChoicePlaces]] = []
        for name, category in encoding.categories.items():
            feature = schema.features[position[name]]
            if feature.separator:
                self.choices.append((position[name], _choice_places(category, feature, feature.separator)))
            else:
                self.categories.append((position[name], _places(category, feature)))
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self._trees: Trees | None = None
        if dumped := self._session.get_modelmeta().custom_metadata_map.get(TREES):
            several = schema.separators
            groups = [group for name, c in encoding.categories.items() for group in c.groups(name in several)]
            self._trees = Trees(dumped, len(encoding.numbers), groups, encoding.width)

    @property
    def places(self) -> list[tuple[int, Places | ChoicePlaces]]:
        """Those of all categories, with their positions in the schema."""
        return [*self.categories, *self.choices]

    def parse(self, features_json: bytes) -> list[msgspec.Struct]:
        """Features from a JSON list. Raises msgspec.ValidationError where one does not fit the schema."""
        return self._decode(features_json)

    def encode(self, leads: Sequence[msgspec.Struct]) -> Matrix:
        """One row a lead, as wide as the encoding; a missing number is NaN."""
        cells = np.zeros(len(leads) * self._width + 1)  # and one for what has no column
        matrix: Matrix = cells[:-1].reshape(len(leads), self._width)
        if not leads:
            return matrix
        features = list(zip(*map(msgspec.structs.astuple, leads), strict=True))
        if self._numbers:
            # numpy turns None into NaN and True into 1.0.
            values = np.array([features[i] for i in self._numbers], dtype=np.float64)
            matrix[:, : len(self._numbers)] = as_written(values).T
            for column, value in self.absent:
                numbers = matrix[:, column]
                numbers[numbers == value] = np.nan
        if self.categories:
            hot = [map(places.__getitem__, features[i]) for i, places in self.categories]
            at = np.fromiter(chain.from_iterable(hot), np.intp, len(hot) * len(leads)).reshape(len(hot), -1)
            at += np.arange(0, len(leads) * self._width, self._width)
            cells[np.minimum(at, len(cells) - 1)] = 1.0
        for i, choices in self.choices:
            for row, value in enumerate(features[i]):
                matrix[row, choices.columns(value)] = 1.0
        return matrix

    def score(self, leads: Sequence[msgspec.Struct]) -> list[float]:
        """The probability of conversion for each lead, between 0 and 1."""
        return self.score_matrix(self.encode(leads)).tolist()  # type: ignore[no-any-return]

    def score_matrix(self, matrix: Matrix) -> Matrix:
        """The same for leads that are encoded already; one score a row."""
        return self._trees.score(matrix) if self._trees else self.run_graph(matrix)

    def run_graph(self, matrix: Matrix) -> Matrix:
        """The same by ONNX Runtime, which needs several times as long for trees."""
        scores: Matrix = self._session.run(["score"], {"leads": matrix})[0]
        return scores


def _places(category: Category, feature: Feature) -> Places:
    columns: dict[str | None, int] = dict(category.columns.items())
    # "" is how training writes a missing category; it may be rare, or not have occurred at all.
    missing = columns.get("", category.other)
    for value in (None, "", *feature.missing):
        if missing is not None and (value is None or isinstance(value, str)):
            columns[value] = missing
    return Places(columns, category.other)


def _choice_places(category: Category, feature: Feature, separator: str) -> ChoicePlaces:
    places = Places({value: column for value, column in category.columns.items() if value}, None)
    marks = (mark for mark in feature.missing if isinstance(mark, str))
    return ChoicePlaces(places, separator, category.columns.get("", NOWHERE), marks)
