"""Invented leads by which engines are compared: at export, and wherever a bundle is loaded.

No cell of them is one lead's own: each is drawn, column by column, from what at least MIN_LEADS leads share, or is a
threshold of the model, which was itself trained on shared numbers.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from service.lifecycle.training.shared_values import shared_choices, shared_frame, shared_texts
from service.model.bundle import Golden
from service.model.choices import joined
from service.model.schema import Feature, LeadSchema, Value

NEVER_SEEN = "a value that was never seen"
EXTREMES = (-1e100, -1e12, 1e12, 1e100)


def golden(pipeline: Pipeline, schema: LeadSchema, frame: pd.DataFrame) -> list[Golden]:
    """Probes with the scores that scikit-learn gives them: what a bundle is verified by wherever it is loaded."""
    rows = probes(pipeline, schema, frame)
    scores = pipeline.predict_proba(rows)[:, 1]
    leads = (as_received(schema, row) for row in rows.to_dict("records"))
    return [Golden(features=lead, score=float(score)) for lead, score in zip(leads, scores, strict=True)]


def probes(pipeline: Pipeline, schema: LeadSchema, frame: pd.DataFrame, each: int = 1, count: int = 64) -> pd.DataFrame:
    """Invented leads, prepared: `count` plain ones, and `each` with a feature missing, never seen, extreme.

    With trees also `each` on both sides of thresholds: the threshold itself, and the next number.
    """
    draw, shared = np.random.default_rng(0), shared_frame(frame)
    for feature in schema.features:
        cells = shared[feature.name]
        if feature.separator:
            shared[feature.name] = _invented(cells, feature.separator, draw)
        elif feature.kind == "category":
            shared[feature.name] = cells.where(cells.isin(["", *shared_texts(cells)]), NEVER_SEEN)
    plain = pd.DataFrame({name: draw.choice(shared[name].to_numpy(), count) for name in shared.columns})
    odd_cells = {feature.name: _odd(feature) * each for feature in schema.features}
    for name, found in thresholds(pipeline).items():
        odd_cells[name] += _both_sides(found, each) if name in schema.named("number") else []
    variants = [
        plain.iloc[draw.integers(count, size=len(odd))].assign(**{name: odd}) for name, odd in odd_cells.items()
    ]
    rows = pd.concat([plain, *variants], ignore_index=True)
    for feature in schema.features:
        if feature.kind == "number":  # a mean or a threshold may be a number that means "missing" to a caller
            rows[feature.name] = rows[feature.name].mask(rows[feature.name].isin(feature.missing))
    return rows


def _invented(cells: pd.Series, separator: str, draw: np.random.Generator) -> list[str]:
    """As many cells, of up to three shared choices and one never seen: a lead's own combination may be rare."""
    choices = [NEVER_SEEN, *shared_choices(cells, separator)]
    return [joined(filter(None, draw.choice(choices, draw.integers(4))), separator) for _ in range(len(cells))]


def _odd(feature: Feature) -> list[Any]:
    """Cells that are missing, never seen, or extreme."""
    if feature.kind == "category":
        return ["", NEVER_SEEN]
    return [np.nan, *EXTREMES] if feature.kind == "number" else [np.nan]


def thresholds(pipeline: Pipeline) -> dict[str, npt.NDArray[np.float64]]:
    """The numbers that fitted trees compare each column with, ascending; none for other models."""
    encoder, model = pipeline.named_steps["encode"], pipeline.named_steps["model"]
    if not isinstance(model, CalibratedClassifierCV):
        return {}
    (calibrated,) = model.calibrated_classifiers_
    nodes = np.concatenate([predictor.nodes for (predictor,) in calibrated.estimator._predictors])
    asks = nodes[(nodes["is_leaf"] == 0) & np.isfinite(nodes["num_threshold"])]
    names = {name: list(columns) for name, _, columns in encoder.transformers_}.get("numbers", [])
    return {name: np.unique(asks["num_threshold"][asks["feature_idx"] == i]) for i, name in enumerate(names)}


def as_received(schema: LeadSchema, row: dict[Any, Any]) -> dict[str, Value]:
    """A prepared row as a caller would send it: a missing value is null, a boolean is one again."""
    lead: dict[str, Value] = {}
    for feature in schema.features:
        value = row[feature.name]
        if value == "" or value != value:
            lead[feature.name] = None
        else:
            lead[feature.name] = bool(value) if feature.kind == "boolean" else value
    return lead


def _both_sides(found: npt.NDArray[np.float64], each: int) -> list[float]:
    """At most `each` of the thresholds, evenly from all of them, and behind each the next number."""
    if not len(found):
        return []
    places = np.unique(np.linspace(0, len(found) - 1, each + 2).round().astype(int)[1:-1])
    return [side for at in found[places] for side in (float(at), float(np.nextafter(at, np.inf)))]
