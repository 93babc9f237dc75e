"""From held-out leads to the reference that travels in the bundle, and from any leads to counts in its bins."""

import itertools
from collections import Counter

import numpy as np
import numpy.typing as npt
import pandas as pd

from service.lifecycle.evaluation.quality import Scores, Target, calibration_bins
from service.lifecycle.training.shared_values import rounded, shared_choices, shared_texts
from service.model.choices import parted
from service.model.reference import (
    MAX_BINS,
    MAX_VALUES,
    MIN_LEADS,
    Categories,
    Choices,
    Column,
    Counts,
    Numbers,
    Reference,
    ScoreBin,
    counts,
)
from service.model.schema import Feature, LeadSchema

CALIBRATION_BINS = 50
LEADS_PER_BIN = 25
"""So that a bin's share is known to about a fifth."""


def describe(
    schema: LeadSchema,
    seen: pd.DataFrame,
    held_out: pd.DataFrame,
    scores: Scores,
    target: Target,
    threshold: float,
    judged: Scores | None = None,
) -> Reference:
    """The reference of a model. `seen` are all leads that it knows of, `held_out` others, like those that are to come.

    Both are prepared frames. `scores` are of the held-out leads. `target` is of them too, or of leads with the scores
    `judged` where not all of them have an outcome.
    """
    judged = scores if judged is None else judged
    bins = min(CALIBRATION_BINS, max(1, len(judged) // LEADS_PER_BIN))
    mean, rate, count = calibration_bins(target, judged, bins)
    return Reference(
        leads=len(held_out),
        contacted=int((scores >= threshold).sum()),
        features=tuple(
            _categories(f, seen[f.name], held_out[f.name])
            if f.kind == "category"
            else _numbers(f.name, held_out[f.name].to_numpy())
            for f in schema.features
        ),
        scores=_numbers("score", scores),
        calibration=tuple(
            ScoreBin(score=m, leads=int(n), converted=round(r * n)) for m, r, n in zip(mean, rate, count, strict=True)
        ),
    )


def count(column: Column, cells: npt.NDArray[np.float64] | npt.NDArray[np.object_]) -> Counts:
    """The same for these prepared cells."""
    return np.bincount(places(column, cells), minlength=len(counts(column)))


def places(column: Column, cells: npt.NDArray[np.float64] | npt.NDArray[np.object_]) -> npt.NDArray[np.intp]:
    """For each prepared cell, which of the `counts` it belongs to."""
    last = len(counts(column)) - 1
    if isinstance(column, Numbers):
        return np.where(pd.isna(cells), last, np.searchsorted(column.edges, cells.astype(np.float64)))
    place = {value: i for i, value in enumerate(column.values)} | {"": last}
    return np.array([place.get(cell, last - 1) for cell in cells], dtype=np.intp)


def labels(column: Column) -> list[str]:
    """What the `counts` are of, in words."""
    if isinstance(column, Categories):
        return [*column.values, "(other)", "(missing)"]
    shown = [f"{edge:.4g}" for edge in column.edges]
    if not shown:
        return ["(any)", "(missing)"]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(shown)]
    return [f"up to {shown[0]}", *between, f"above {shown[-1]}", "(missing)"]


def _numbers(name: str, cells: npt.NDArray[np.float64]) -> Numbers:
    """Bins of about equally many leads, cut between two values, so that no edge is a lead's own."""
    known = np.sort(cells[~np.isnan(cells)])
    bins = min(MAX_BINS, max(2, len(known) // LEADS_PER_BIN))
    edges: list[float] = []
    starts = [0]
    for edge in np.unique(np.quantile(known, np.arange(1, bins) / bins, method="inverted_cdf")) if len(known) else []:
        end = int(np.searchsorted(known, edge, side="right"))
        if min(end - starts[-1], len(known) - end) >= MIN_LEADS:
            edges.append(_between(float(edge), float(known[end])))
            starts.append(end)
    parts = np.split(known, starts[1:])
    means = [0.0]
    if len(known) >= MIN_LEADS:
        means = rounded(np.array([part.mean() for part in parts]), np.array([np.ptp(part) for part in parts])).tolist()
    return Numbers(
        name=name,
        edges=tuple(edges),
        means=tuple(means),
        counts=tuple(len(part) for part in parts),
        missing=len(cells) - len(known),
    )


def _between(low: float, high: float) -> float:
    """The number of the fewest digits near the middle of two: from a middle, one would tell the other."""
    middle = low / 2 + high / 2
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        digits = -np.floor(np.log10(high - low))
        for scale in 10.0 ** (digits + np.arange(-1, 3)):
            if low < (near := float(np.rint(middle * scale) / scale)) < high:
                return near
    return middle


def _categories(feature: Feature, seen: pd.Series, held_out: pd.Series) -> Categories:
    values = [value for value in shared_texts(seen) if value][:MAX_VALUES]
    found = held_out.value_counts()
    each = [int(found.get(value, 0)) for value in values]
    missing = int(found.get("", 0))
    return Categories(
        name=feature.name,
        values=tuple(values),
        counts=tuple(each),
        others=len(held_out) - missing - sum(each),
        missing=missing,
        choices=_choices(seen, held_out, feature.separator) if feature.separator else None,
    )


def _choices(seen: pd.Series, held_out: pd.Series, separator: str) -> Choices:
    values = [value for value in shared_choices(seen, separator) if value][:MAX_VALUES]
    cells = [parted(cell, separator) for cell in held_out]
    found = Counter(itertools.chain.from_iterable(cells))
    known = set(values)
    return Choices(
        values=tuple(values),
        counts=tuple(found[value] for value in values),
        others=sum(not known.issuperset(cell) for cell in cells),
    )
