"""The large segments of leads, on which models are also compared one by one."""

import pandas as pd

from service.lifecycle.evaluation.quality import Mask, Target
from service.model.choices import parted
from service.model.schema import LeadSchema


def segments(
    schema: LeadSchema, frame: pd.DataFrame, target: Target, min_share: float, min_outcomes: int
) -> dict[str, Mask]:
    """Masks of the large segments of prepared leads, by name: one for each value of a category or boolean, missing too.

    Where a cell may hold several choices, there is one for each choice.
    A large segment has at least `min_share` of the leads, and `min_outcomes` leads of each outcome.
    """
    large: dict[str, Mask] = {}
    several = schema.separators
    for name in schema.named("category", "boolean"):
        column = frame[name].astype(object).where(frame[name].notna(), "")
        mark = several.get(name)
        cells_with: dict[object, list[object]] = {}
        for cell in column.unique():
            for value in (parted(cell, mark) or [""]) if mark else [cell]:
                cells_with.setdefault(value, []).append(cell)
        for value, cells in cells_with.items():
            mask = column.isin(cells).to_numpy(dtype=bool)
            converted = int(target[mask].sum())
            if mask.mean() >= min_share and min(converted, mask.sum() - converted) >= min_outcomes:
                shown = value + 0.0 if isinstance(value, float) else value  # -0.0 is 0.0
                large[f"{name} {shown!r}" if value != "" else f"{name} missing"] = mask
    return large
