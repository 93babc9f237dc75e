"""The figures of a scored set of leads, whom of them the team contacts, and the bands that follow from the scores."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from service.lifecycle.evaluation.calibration import calibration_error
from service.model.bundle import Band, Economics
from service.model.decide import contacts_made

Scores = npt.NDArray[np.float64]
Target = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]
"""One entry a lead."""

BANDS = (("A", 0.1), ("B", 0.3), ("C", 0.6))
"""Band and the share of leads, from the best, in which it ends; the rest are D."""

NAMES = ("precision", "recall", "f1", "roc_auc", "accuracy", "profit", "pr_auc", "brier", "calibration_error", "lift")


def figures(
    target: Target,
    scores: Scores,
    threshold: float,
    economics: Economics,
    made: Mask | None = None,
    weights: Scores | None = None,
) -> dict[str, float]:
    """All figures by NAMES, and `contacts`. The decision is to contact leads that score at least the threshold.

    `profit` and `contacts` are per 1,000 leads, the former in the currency of the economics, and of the contacts that
    were `made`: by default those that the team can make of these leads. `lift` is that of the best tenth; the others
    are shares. With no contact precision and f1 are 0. `weights` say how many leads each stands for, 1 unless given.
    Needs outcomes of both kinds: raises ValueError otherwise.
    """
    if not 0 < target.sum() < len(target):
        raise ValueError(f"of {len(target)} leads {target.sum()} converted: no figure ranks one kind of outcome alone")
    decided = scores >= threshold
    made = contacts_reached(scores, decided, economics, weights) if made is None else made
    squares = None if weights is None else weights**2
    return {
        "precision": float(precision_score(target, decided, zero_division=0, sample_weight=weights)),
        "recall": float(recall_score(target, decided, sample_weight=weights)),
        "f1": float(f1_score(target, decided, zero_division=0, sample_weight=weights)),
        "roc_auc": float(roc_auc_score(target, scores, sample_weight=weights)),
        "accuracy": float(accuracy_score(target, decided, sample_weight=weights)),
        "profit": profit(target, made, economics, weights),
        "pr_auc": float(average_precision_score(target, scores, sample_weight=weights)),
        "brier": float(brier_score_loss(target, scores, sample_weight=weights)),
        "calibration_error": calibration_error(target, scores, weights, squares),
        "lift": lift(target, scores, weights=weights),
        "contacts": 1000 * float(np.average(made, weights=weights)),
    }


def contacts_reached(scores: Scores, decided: Mask, economics: Economics, weights: Scores | None) -> Mask:
    """The contacts that the team makes where each lead stands for so many, 1 unless given."""
    if weights is None:
        return contacts_made(scores, decided, economics)
    order = np.argsort(np.where(decided, -scores, np.inf), kind="stable")
    made = np.zeros(len(scores), dtype=bool)
    most = economics.contacts_per_1000_leads * float(weights.sum()) / 1000
    made[order] = np.cumsum(weights[order]) <= most
    return made & decided


def profit(target: Target, made: Mask, economics: Economics, weights: Scores | None = None) -> float:
    """What these contacts earned, less what they cost, per 1,000 leads."""
    if weights is not None:
        every = made * (economics.conversion_value * target - economics.contact_cost)
        return 1000 * float(np.average(every, weights=weights))
    earned = economics.conversion_value * target[made].sum() - economics.contact_cost * made.sum()
    return 1000 * float(earned) / len(target)


def calibration_bins(target: Target, scores: Scores, bins: int = 10) -> tuple[Scores, Scores, Scores]:
    """Mean score, conversion rate and number of leads of each of these equal-count bins, lowest scores first."""
    order = np.array_split(np.argsort(scores, kind="stable"), min(bins, len(scores)))
    mean, rate = ([float(values[rows].mean()) for rows in order] for values in (scores, target))
    return np.array(mean), np.array(rate), np.array([float(len(rows)) for rows in order])


def lift(target: Target, scores: Scores, share: float = 0.1, weights: Scores | None = None) -> float:
    """Conversion rate among the best share of the leads over that of all; equal scores share the last places."""
    if weights is not None:
        every, tie = np.unique(-scores, return_inverse=True)
        leads, converted = (np.bincount(tie, each, len(every)) for each in (weights, weights * target))
        places = max(1, round(share * float(weights.sum())))
        taken = np.clip(places - (np.cumsum(leads) - leads), 0, leads) / leads
        return float(taken @ converted / places / np.average(target, weights=weights))
    places = max(1, round(share * len(scores)))
    last = np.partition(scores, -places)[-places]
    above, tied = scores > last, scores == last
    hits = target[above].sum() + target[tied].mean() * (places - above.sum())
    return float(hits / places / target.mean())


def bands(scores: Scores) -> tuple[Band, ...]:
    """Bands by the least score they take, best first: the best 10 % of these scores are A, the next 20 % B, 30 % C."""
    cuts = np.quantile(scores, [1 - end for _, end in BANDS])
    named = [Band(name=name, min_score=float(cut)) for (name, _), cut in zip(BANDS, cuts, strict=True)]
    return (*named, Band(name="D", min_score=0.0))
