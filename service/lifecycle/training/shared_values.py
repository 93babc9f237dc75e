"""What at least MIN_LEADS leads share. Models are fitted on this, and golden rows are drawn from it.

A rare text becomes "other". A rare number becomes one that several leads stand for, so that no threshold, median or
mean of a model is one lead's number, nor lies midway between two leads' numbers.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from service.model.choices import parted
from service.model.reference import MIN_LEADS

Numbers = npt.NDArray[np.float64]

GROUP = 2 * MIN_LEADS - 2
"""Leads after which a new group of rare numbers starts. A number of at most MIN_LEADS - 1 leads may reach from one
group into the next, so that each group has at least MIN_LEADS."""


def shared_texts(cells: pd.Series) -> list[str]:
    """The values of at least MIN_LEADS leads, "" (missing) too: the most frequent first, equals by name."""
    found = cells.value_counts()
    often = found[found >= MIN_LEADS]
    return sorted(map(str, often.index), key=lambda value: (-int(often[value]), value))


def shared_choices(cells: pd.Series, separator: str) -> list[str]:
    """The choices that at least MIN_LEADS leads have, "" (missing) too: the most frequent first, equals by name."""
    return shared_texts(cells.map(lambda cell: parted(cell, separator) or [""]).explode())


def shared_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """The prepared frame with shared numbers. Categories are left to the encoder, which knows shared texts only."""
    numbers = frame.select_dtypes("float64").columns
    return frame.assign(**{name: shared_numbers(frame[name].to_numpy()) for name in numbers})


def shared_numbers(cells: Numbers) -> Numbers:
    """The cells with each rare number, one of fewer than MIN_LEADS cells, replaced by one that tells nobody apart.

    Rare numbers between two that are shared are grouped by size. A group of MIN_LEADS to 3 MIN_LEADS cells takes its
    rounded mean. Where they are too few for a group, each takes the nearest shared number; NaN where there is none.
    """
    known = ~np.isnan(cells)
    found, place, count = np.unique(cells[known], return_inverse=True, return_counts=True)
    often = count >= MIN_LEADS
    rare = found[~often]
    between = np.cumsum(often, dtype=np.int64)[~often]  # how many shared numbers are smaller
    if not len(rare):
        return cells
    replaced = found.copy()
    replaced[~often] = _means(rare, count[~often], between)
    ends = np.array([-np.inf, *found[often], np.inf])
    below, above = ends[between], ends[between + 1]
    nearest = np.where(rare - below <= above - rare, below, above)
    few = np.isnan(replaced[~often])
    replaced[np.flatnonzero(~often)[few]] = np.where(np.isfinite(nearest), nearest, np.nan)[few]
    made = cells.copy()
    made[known] = replaced[place]
    return made


def rounded(means: Numbers, spread: Numbers) -> Numbers:
    """Means of numbers that spread so far (highest less lowest), rounded to at most a tenth of that.

    So who knows all but one of the numbers learns the last one roughly, not exactly. Without a spread they stay.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        scale = 10.0 ** (1 - np.floor(np.log10(spread)))
        near = np.rint(means * scale) / scale
    return np.where(np.isfinite(near), near, means)


def _means(rare: Numbers, count: npt.NDArray[np.int64], between: npt.NDArray[np.int64]) -> Numbers:
    """For each rare number the rounded mean of its group; NaN where it has none."""
    total = np.bincount(between, count)
    groups = np.maximum(total // GROUP, 1).astype(np.int64)
    start = np.cumsum(count) - count - (np.cumsum(total) - total)[between]
    group = (np.cumsum(groups) - groups)[between] + np.minimum(start // GROUP, groups[between] - 1).astype(np.int64)
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    last = np.append(first[1:], len(rare)) - 1
    size = np.bincount(group, count)
    means = rounded(np.bincount(group, rare * count) / size, rare[last] - rare[first])
    return np.where(size >= MIN_LEADS, means, np.nan)[group]
