"""The figures of a scored set of leads, and the thresholds and bands that follow from its scores."""

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

from service.model.bundle import Band, Economics

Scores = npt.NDArray[np.float64]
Target = npt.NDArray[np.int8]

BANDS = (("A", 0.1), ("B", 0.3), ("C", 0.6))
"""Band and the share of leads, from the best, in which it ends; the rest are D."""

NAMES = ("precision", "recall", "f1", "roc_auc", "accuracy", "profit", "pr_auc", "brier", "calibration_error", "lift")


def figures(target: Target, scores: Scores, threshold: float, economics: Economics) -> dict[str, float]:
    """All figures by NAMES, and `contacts`; leads that score at least the threshold are contacted.

    `profit` and `contacts` are per 1,000 leads, the former in the currency of the economics; `lift` is that of the
    best tenth; the others are shares. With no contact precision and f1 are 0. Needs outcomes of both kinds: raises
    ValueError otherwise.
    """
    if not 0 < target.sum() < len(target):
        raise ValueError(f"of {len(target)} leads {target.sum()} converted: no figure ranks one kind of outcome alone")
    contacted = scores >= threshold
    return {
        "precision": float(precision_score(target, contacted, zero_division=0)),
        "recall": float(recall_score(target, contacted)),
        "f1": float(f1_score(target, contacted, zero_division=0)),
        "roc_auc": float(roc_auc_score(target, scores)),
        "accuracy": float(accuracy_score(target, contacted)),
        "profit": profit(target, contacted, economics),
        "pr_auc": float(average_precision_score(target, scores)),
        "brier": float(brier_score_loss(target, scores)),
        "calibration_error": calibration_error(target, scores),
        "lift": lift(target, scores),
        "contacts": 1000 * float(contacted.mean()),
    }


def profit(target: Target, contacted: npt.NDArray[np.bool_], economics: Economics) -> float:
    """What contacting these leads earned, less what it cost, per 1,000 leads."""
    earned = economics.conversion_value * target[contacted].sum() - economics.contact_cost * contacted.sum()
    return 1000 * float(earned) / len(target)


def calibration_bins(target: Target, scores: Scores, bins: int = 10) -> tuple[Scores, Scores, Scores]:
    """Mean score, conversion rate and number of leads of each of these equal-count bins, lowest scores first."""
    order = np.array_split(np.argsort(scores, kind="stable"), min(bins, len(scores)))
    mean, rate = ([float(values[rows].mean()) for rows in order] for values in (scores, target))
    return np.array(mean), np.array(rate), np.array([float(len(rows)) for rows in order])


def calibration_error(target: Target, scores: Scores) -> float:
    """Mean distance of score and conversion rate over ten equal-count bins, weighted by their leads."""
    mean, rate, count = calibration_bins(target, scores)
    return float(np.average(np.abs(mean - rate), weights=count))


def lift(target: Target, scores: Scores, share: float = 0.1) -> float:
    """Conversion rate among the best share of the leads over that of all; equal scores share the last places."""
    places = max(1, round(share * len(scores)))
    last = np.partition(scores, -places)[-places]
    above, tied = scores > last, scores == last
    hits = target[above].sum() + target[tied].mean() * (places - above.sum())
    return float(hits / places / target.mean())


def choose_threshold(scores: Scores, economics: Economics) -> float:
    """The score from which on a contact pays, or higher, where more leads would be contacted than the team can.

    A contact pays if score * conversion_value >= contact_cost (expected value; C. Elkan, The Foundations of
    Cost-Sensitive Learning, IJCAI 2001, eq. 2), which holds for calibrated scores.
    """
    return max(economics.contact_cost / economics.conversion_value, capacity_limit(scores, economics))


def capacity_limit(scores: Scores, economics: Economics) -> float:
    """The least threshold that keeps the contacts within the team's capacity on a window that scores like this."""
    contacts = int(economics.contacts_per_1000_leads * len(scores) / 1000)
    ranked = np.sort(scores)[::-1]
    if contacts >= len(ranked):
        return 0.0
    # Midway between two scores, so that rounding in another engine contacts the same leads; a tie across the
    # limit is left out as a whole.
    beyond = float(ranked[contacts])
    within = ranked[ranked > beyond]
    limit = (float(within[-1]) + beyond) / 2 if len(within) else float(np.nextafter(beyond, 2))
    return min(limit, 1.0)


def bands(scores: Scores) -> tuple[Band, ...]:
    """Bands by the least score they take, best first: the best 10 % of these scores are A, the next 20 % B, 30 % C."""
    cuts = np.quantile(scores, [1 - end for _, end in BANDS])
    named = [Band(name=name, min_score=float(cut)) for (name, _), cut in zip(BANDS, cuts, strict=True)]
    return (*named, Band(name="D", min_score=0.0))
