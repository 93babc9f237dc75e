"""Whether leads, their scores and the decisions on them differ from those that the model was judged on.

Each column is compared by Pearson's chi-squared test of homogeneity over the reference's bins and values, where missing
is one and all values not listed are another. Both sides are samples, and the test knows the size of both. Because
many columns are looked at, p-values are adjusted by Holm's method, so that the chance of any false finding is at most
ALPHA.
With many leads the smallest difference is beyond chance; so it must also be of some size, and, for a finding, in a
feature that moves the score.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import chi2_contingency

from service.history import FeatureDrift
from service.lifecycle.evaluation.multiple_tests import holm
from service.lifecycle.evaluation.quality import Scores
from service.lifecycle.training.reference_profile import count
from service.model.reference import Categories, Column, Counts, Reference, counts

ALPHA = 0.01
MIN_DISTANCE = 0.02
"""Population stability index beyond what chance brings; a share that goes from 20 % to 26 % has as much."""

MIN_INFLUENCE = 0.02
"""Of the mean score. A feature that moves scores less is reported, but its drift is no finding."""

MIN_EXPECTED = 5
"""Leads that chance should put in a cell on either side; smaller cells are taken together (W. Cochran, 1954)."""

MEASURED = 500
"""Leads that the influence is measured on: its standard error is a few hundredths of itself."""

Score = Callable[[pd.DataFrame], Scores]


@dataclass(frozen=True)
class Comparison:
    """Every feature, the score and the decision beside the reference; `reasons` are sentences, the gravest first."""

    features: tuple[FeatureDrift, ...]
    scores: FeatureDrift
    decisions: FeatureDrift
    reasons: tuple[str, ...]

    @property
    def found(self) -> bool:
        """Whether something that matters differs beyond chance."""
        return bool(self.reasons)


def compare(
    reference: Reference,
    now: Sequence[Counts],
    frame: pd.DataFrame,
    scores: Scores,
    threshold: float,
    score: Score,
) -> Comparison:
    """Compare leads with the reference. `now` counts all of them by the bins and values of each of its features.

    `frame` and `scores` are of all of them or of a random sample: prepared leads, and their scores by the served model,
    by which `score` scores other prepared leads.
    """
    pairs = [(counts(column), found) for column, found in zip(reference.features, now, strict=True)]
    pairs.append((counts(reference.scores), count(reference.scores, scores)))
    contacted = int((scores >= threshold).sum())
    held = reference.leads - reference.contacted
    pairs.append((np.array([reference.contacted, held]), np.array([contacted, len(scores) - contacted])))
    p_values = holm([p_value(*pair) for pair in pairs])
    moved = [
        bool(p < ALPHA and distance(*pair) >= MIN_DISTANCE + by_chance(*pair))
        for p, pair in zip(p_values, pairs, strict=True)
    ]
    weights = influences(reference, frame, scores, score)
    drifts = [
        FeatureDrift(
            feature=name,
            distance=distance(then, found),
            p_value=float(p),
            influence=weights.get(name, 0.0),
            drifted=drifted,
            missing=float(found[-1] / found.sum()) if column else 0.0,
            missing_in_training=float(then[-1] / then.sum()) if column else 0.0,
            unseen=float(found[-2] / found.sum()) if isinstance(column, Categories) else 0.0,
            unseen_in_training=float(then[-2] / then.sum()) if isinstance(column, Categories) else 0.0,
        )
        for name, column, (then, found), p, drifted in zip(
            [*(c.name for c in reference.features), "score", "decision"],
            [*reference.features, None, None],
            pairs,
            p_values,
            moved,
            strict=True,
        )
    ]
    *features, of_scores, of_decisions = drifts
    shares = reference.contacted / reference.leads, contacted / len(scores)
    mean_then = float(np.average(reference.scores.means, weights=reference.scores.counts))
    reasons = list(_reasons(features, of_scores, of_decisions, (mean_then, float(scores.mean())), shares))
    return Comparison(tuple(features), of_scores, of_decisions, tuple(reasons))


def p_value(then: Counts, now: Counts) -> float:
    """Of the test that both were drawn from the same shares; 1 where there is nothing to tell them apart by."""
    table = np.array([then, now])
    table = table[:, table.sum(axis=0) > 0]
    small = table.sum(axis=0) * table.sum(axis=1).min() / table.sum() < MIN_EXPECTED
    if small.any():
        table = np.column_stack([table[:, ~small], table[:, small].sum(axis=1)])
    return float(chi2_contingency(table, correction=False).pvalue) if table.shape[1] > 1 else 1.0


def distance(then: Counts, now: Counts) -> float:
    """Population stability index: the sum of (q - p) log(q / p) over the shares, each side with half a lead in each."""
    p, q = ((side + 0.5) / (side + 0.5).sum() for side in (then, now))
    return float(((q - p) * np.log(q / p)).sum())


def by_chance(then: Counts, now: Counts) -> float:
    """The mean of that index where nothing differs: (cells - 1) (1/n + 1/m).

    B. Yurdakul, J. Naranjo, Statistical properties of the population stability index, Journal of Risk Model
    Validation 14, 2020.
    """
    cells = int(((then + now) > 0).sum())
    return float((cells - 1) * (1 / then.sum() + 1 / now.sum()))


def excess(now: float, then: float, leads: int, held_out: int, shares: int) -> float:
    """How far a share of `leads` is above the same one of the reference's `held_out`; 0 where chance explains it.

    Two-sample test of proportions, one-sided, at ALPHA for so many `shares` together (Bonferroni).
    """
    both = (now * leads + then * held_out) / (leads + held_out)
    error = (both * (1 - both) * (1 / leads + 1 / held_out)) ** 0.5
    above = now - then
    return above if above > NormalDist().inv_cdf(1 - ALPHA / shares) * error else 0.0


def influences(reference: Reference, frame: pd.DataFrame, scores: Scores, score: Score) -> dict[str, float]:
    """How far scores move, on average, when a feature's values are exchanged for the reference's; by feature.

    As a share of the mean score. Of MEASURED leads at most, the same ones each time.
    """
    draw = np.random.default_rng(0)
    rows = draw.permutation(len(frame))[:MEASURED]
    some, usual = frame.iloc[rows], scores[rows]
    exchanged = pd.concat([some.assign(**{c.name: sampled(c, len(some), draw)}) for c in reference.features])
    moved = np.abs(score(exchanged).reshape(len(reference.features), -1) - usual).mean(axis=1)
    return {c.name: float(m / usual.mean()) for c, m in zip(reference.features, moved, strict=True)}


def sampled(column: Column, size: int, draw: np.random.Generator) -> npt.NDArray[np.float64] | npt.NDArray[np.object_]:
    """Prepared cells drawn from the reference; a number is its bin's mean."""
    every = counts(column)
    which = draw.choice(len(every), size, p=every / every.sum())
    if isinstance(column, Categories):
        return np.array([*column.values, "(other)", ""], dtype=object)[which]
    return np.array([*column.means, np.nan])[which]


def _reasons(
    features: list[FeatureDrift],
    scores: FeatureDrift,
    decisions: FeatureDrift,
    means: tuple[float, float],
    contacted: tuple[float, float],
) -> Iterator[str]:
    if scores.drifted:
        yield f"scores differ (distance {scores.distance:.2f}); mean {means[1]:.3f}, at training {means[0]:.3f}"
    if decisions.drifted:
        yield f"{contacted[1]:.1%} of the leads are to be contacted, at training {contacted[0]:.1%}"
    matter = [f for f in features if f.drifted and f.influence >= MIN_INFLUENCE]
    for f in sorted(matter, key=lambda f: -f.distance * f.influence):
        text = f"{f.feature} differs (distance {f.distance:.2f}); it moves a score by {f.influence:.0%} on average"
        if f.missing - f.missing_in_training > 0.05:
            text += f"; {f.missing:.1%} missing, at training {f.missing_in_training:.1%}"
        if f.unseen - f.unseen_in_training > 0.05:
            text += f"; {f.unseen:.1%} hold values that training did not know, at training {f.unseen_in_training:.1%}"
        yield text
