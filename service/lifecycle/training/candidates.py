"""The models that compete: plain scikit-learn pipelines on the prepared lead frame."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler

from service.lifecycle.data.source import Direction
from service.lifecycle.training.monotone import MonotoneLogisticRegression, signs
from service.lifecycle.training.shared_values import shared_choices, shared_numbers, shared_texts
from service.model.reference import MIN_LEADS
from service.model.schema import LeadSchema

MAX_CATEGORIES = 64
"""Inputs that one column's values get; the rarer values share the last one with values never seen."""

OTHER = " (other)"
"""Stands in the encoder for all rarer values, which it does not name. No value of a lead begins with a blank."""

CHOICES = "choices"
"""How the steps are called, with a number behind it, that encode a column of several choices."""

MIN_VALUES = 50
"""Values that a numeric column needs to be used: the trees fail on a fold in which it is missing throughout."""


class ModelSettings(NamedTuple):
    """What a search varies. `c` is the inverse strength of a regression's penalty, `knots` are a spline's at most,
    `leaves` a tree's, of which there are `trees`."""

    c: float = 0.5
    knots: int = 6
    leaves: int = 15
    trees: int = 150


DEFAULT = ModelSettings()
"""On the sample and on the bank's contacts, each with the newest 20 % held out."""


def candidates(
    schema: LeadSchema,
    frame: pd.DataFrame,
    seed: int = 0,
    monotone: Mapping[str, Direction] | None = None,
    settings: Mapping[str, ModelSettings] | None = None,
) -> dict[str, Pipeline]:
    """Unfitted pipelines by name, for training on this prepared frame; predict_proba gives calibrated probabilities.

    They name the categories' values and choices that at least MIN_LEADS leads of this frame have, and no others. All
    hold to `monotone`; `settings`, by name, are DEFAULT unless given. Raises SourceError as `signs` does.

    The prepared frame has the schema's columns: numbers and booleans as float64 (NaN: missing), categories as
    text ("": missing), several choices as `joined` writes them. `service.lifecycle.training.onnx_export` knows exactly
    these steps.
    """
    numbers = [n for n in schema.named("number", "boolean") if frame[n].notna().sum() >= MIN_VALUES]
    bound, of = signs(schema, monotone or {}), settings or {}
    linear, spline, trees = (
        of.get(name, DEFAULT) for name in ("logistic_regression", "spline_regression", "gradient_boosting")
    )
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    knots = [_knots(frame[name], spline.knots) for name in numbers]
    own = [(i, i + 1, bound[name]) for i, name in enumerate(numbers) if name in bound]
    ends = np.cumsum([0, *map(len, knots)]).tolist()
    heights = [(ends[i], ends[i + 1], sign) for i, _, sign in own]
    return {
        "logistic_regression": _pipeline(schema, frame, numbers, scaled, _regression(linear.c, own, False)),
        "spline_regression": _pipeline(
            schema, frame, numbers, _splines(knots), _regression(spline.c, heights, chained=True)
        ),
        "gradient_boosting": _trees(schema, frame, numbers, trees, {i: sign for i, _, sign in own}, seed),
    }


def _regression(c: float, blocks: list[tuple[int, int, int]], chained: bool) -> LogisticRegression:
    """Logistic regression minimizes log loss: its probabilities are calibrated as they come."""
    if blocks:
        return MonotoneLogisticRegression(C=c, blocks=tuple(blocks), chained=chained)
    return LogisticRegression(C=c, max_iter=2_000)


def _trees(
    schema: LeadSchema,
    frame: pd.DataFrame,
    numbers: list[str],
    settings: ModelSettings,
    bound: dict[int, int],
    seed: int,
) -> Pipeline:
    # Shuffled folds: on rows in time order, contiguous ones would calibrate each month by the others.
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    trees = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=settings.trees,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=40,
        l2_regularization=1.0,
        random_state=seed,
    )
    model = CalibratedClassifierCV(trees, cv=folds, ensemble=False, method="sigmoid")
    pipeline = _pipeline(schema, frame, numbers, "passthrough", model)
    if bound:  # scikit-learn wants to hear of every column
        every = np.zeros(pipeline.named_steps["encode"].fit_transform(frame).shape[1], dtype=int)
        every[list(bound)] = list(bound.values())
        trees.set_params(monotonic_cst=every.tolist())
    return pipeline


def _splines(knots: list[list[float]]) -> FeatureUnion:
    """Each number as the heights of a line that bends at its knots, level outside; and beside all which are missing."""
    each = [
        (f"{i}", SplineTransformer(degree=1, knots=np.array(at)[:, np.newaxis], extrapolation="constant"), [i])
        for i, at in enumerate(knots)
    ]
    lines = make_pipeline(SimpleImputer(strategy="median"), ColumnTransformer(each))
    return make_union(lines, MissingIndicator(error_on_new=False))


def _knots(cells: pd.Series, most: int) -> list[float]:
    """Between which about as many leads lie: numbers of several leads each, at least two."""
    known = shared_numbers(cells.to_numpy())
    known = known[~np.isnan(known)]
    at = np.unique(np.quantile(known, np.linspace(0, 1, most), method="nearest")) if len(known) else np.zeros(1)
    return at.tolist() if len(at) > 1 else [at[0] - 1, at[0] + 1]


def _pipeline(schema: LeadSchema, frame: pd.DataFrame, numbers: list[str], scaling: Any, model: Any) -> Pipeline:
    several = schema.separators
    single = [name for name in schema.named("category") if name not in several]
    one_hot = OneHotEncoder(
        categories=[_named(frame[name]) for name in single],
        min_frequency=MIN_LEADS,
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
    )
    choices = [
        (f"{CHOICES}{i}", _each_choice(frame[name], separator), name)
        for i, (name, separator) in enumerate(several.items())
    ]
    steps = [("numbers", scaling, numbers), ("categories", one_hot, single), *choices]
    return Pipeline([("encode", ColumnTransformer(steps, sparse_threshold=0)), ("model", model)])


def _named(cells: pd.Series) -> list[str]:
    """The values that get an input of their own, in order; where others are left, OTHER, which no lead has.

    So OTHER is infrequent, and scikit-learn gives all values that are not listed its input.
    """
    shared = shared_texts(cells)
    if len(shared) == cells.nunique() <= MAX_CATEGORIES:
        return sorted(shared)
    return [*sorted(shared[: MAX_CATEGORIES - 1]), OTHER]


def _each_choice(cells: pd.Series, separator: str) -> CountVectorizer:
    """An input for each shared choice and for a missing cell: 1 where a cell holds it. Rare choices have none."""
    shared = shared_choices(cells, separator)[:MAX_CATEGORIES]
    return CountVectorizer(
        binary=True,
        lowercase=False,
        token_pattern=rf"[^{re.escape(separator)}]+|^$",
        vocabulary=sorted(shared) or [""],
        dtype=np.float64,
    )
