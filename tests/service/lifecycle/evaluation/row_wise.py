"""Scored leads and figures with intervals, row by row: the reference of what relations and cells compute."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from service.history import Estimate
from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.evaluation.bootstrap import SIMPLE, figure, resamples
from service.lifecycle.evaluation.confidence import by_rank, rank
from service.lifecycle.evaluation.quality import NAMES, Scores, Target, figures
from service.lifecycle.evaluation.scored import COLUMNS, ScoredLeads
from service.model.bundle import Economics
from service.model.schema import Value
from service.reading.ids import join_key
from service.records import PredictionRecord


def estimates(
    target: Target, scores: Scores, threshold: float, economics: Economics, draws: int
) -> dict[str, Estimate]:
    """The figures by NAMES but the calibration error, with 95 % intervals, of resamples with as many leads each."""
    values = figures(target, scores, threshold, economics)
    simple = {name: figure(name, target, scores, threshold, economics) for name in SIMPLE}
    ranked = rank(target, scores)
    chunks = [
        {name: each(weights) for name, each in simple.items()} | by_rank(ranked, weights)
        for weights in resamples(len(target), draws, seed=0)
    ]
    resampled = [name for name in NAMES if name != "calibration_error"]
    drawn = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in resampled}
    found = {}
    for name, each in drawn.items():
        low, high = np.quantile(each, (0.025, 0.975)) - (each.mean() - values[name])
        found[name] = Estimate(values[name], float(low), float(high))
    return found


def as_scored(found: Sequence[PredictionRecord[dict[str, Value]]], broken: Sequence[Rejected] = ()) -> ScoredLeads:
    """The leads of these records."""
    # A retried request has a record of its own; the earliest is the score that was acted on.
    leads = [r for r in found if not r.is_trial and r.role != "shadow"]
    ordered = sorted(leads, key=lambda r: (r.time, r.request_id, r.model_version, r.score))
    first: dict[str, PredictionRecord[dict[str, Value]]] = {}
    for record in ordered:
        first.setdefault(join_key(record.lead_id), record)
    kept = list(first.values())
    table = pd.DataFrame({name: [getattr(r, name) for r in kept] for name in COLUMNS}, columns=list(COLUMNS))
    table["time"] = pd.to_datetime(table["time"], utc=True)
    return ScoredLeads(table, [r.inputs for r in kept], len(found), len(leads) - len(kept), tuple(broken))
