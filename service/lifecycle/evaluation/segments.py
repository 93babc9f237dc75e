"""The large segments of leads, on which models are also compared one by one."""

import numpy as np
import pandas as pd

from service.lifecycle.evaluation.quality import Mask, Target
from service.model.schema import LeadSchema


def segments(
    schema: LeadSchema, frame: pd.DataFrame, target: Target, min_share: float, min_outcomes: int
) -> dict[str, Mask]:
    """Masks of the large segments of prepared leads, by name: one for each value of a category or boolean, missing too.

    A large segment has at least `min_share` of the leads, and `min_outcomes` leads of each outcome.
    """
    large: dict[str, Mask] = {}
    for name in schema.named("category", "boolean"):
        column = frame[name].fillna("") if frame[name].dtype == np.float64 else frame[name]
        for value in column.unique():
            mask = (column == value).to_numpy(dtype=bool)
            converted = int(target[mask].sum())
            if mask.mean() >= min_share and min(converted, mask.sum() - converted) >= min_outcomes:
                large[f"{name} {value!r}" if value != "" else f"{name} missing"] = mask
    return large
