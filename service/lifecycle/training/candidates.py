"""The models that compete: plain scikit-learn pipelines on the prepared lead frame."""

import re

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from service.lifecycle.training.shared_values import shared_choices, shared_texts
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


def candidates(schema: LeadSchema, frame: pd.DataFrame, seed: int = 0) -> dict[str, Pipeline]:
    """Unfitted pipelines by name, for training on this prepared frame; predict_proba gives calibrated probabilities.

    They name the categories' values and choices that at least MIN_LEADS leads of this frame have, and no others.

    The prepared frame has the schema's columns: numbers and booleans as float64 (NaN: missing), categories as
    text ("": missing), several choices as `joined` writes them. `service.lifecycle.training.onnx_export` knows exactly
    these steps.
    """
    numbers = [n for n in schema.named("number", "boolean") if frame[n].notna().sum() >= MIN_VALUES]
    # Shuffled folds: on rows in time order, contiguous ones would calibrate each month by the others.
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    trees = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=150,
        max_leaf_nodes=15,
        min_samples_leaf=40,
        l2_regularization=1.0,
        random_state=seed,
    )
    linear = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    models: dict[str, tuple[Pipeline | str, BaseEstimator]] = {
        # Logistic regression minimizes log loss: its probabilities are calibrated as they come.
        "logistic_regression": (linear, LogisticRegression(C=0.5, max_iter=2_000)),
        "gradient_boosting": (
            "passthrough",
            CalibratedClassifierCV(trees, cv=folds, ensemble=False, method="sigmoid"),
        ),
    }
    several = schema.separators
    single = [name for name in schema.named("category") if name not in several]
    one_hot = OneHotEncoder(
        categories=[_named(frame[name]) for name in single],
        min_frequency=MIN_LEADS,
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
    )
    return {
        name: Pipeline(
            [
                (
                    "encode",
                    ColumnTransformer(
                        [
                            ("numbers", scaling, numbers),
                            ("categories", one_hot, single),
                            *(
                                (f"{CHOICES}{i}", _each_choice(frame[name], separator), name)
                                for i, (name, separator) in enumerate(several.items())
                            ),
                        ],
                        sparse_threshold=0,
                    ),
                ),
                ("model", model),
            ]
        )
        for name, (scaling, model) in models.items()
    }


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
