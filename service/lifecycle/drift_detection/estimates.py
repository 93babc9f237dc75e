"""What the served model is expected to reach on these leads, before any of their outcomes is known.

A calibrated score is the chance that its lead converts, and so says what to expect of each figure (confidence-based
performance estimation: J. Bialek and others, Estimating model performance under covariate shift without labels,
arXiv:2401.08348). The scores are corrected first by what the held-out outcomes say of the calibration, on the logit
scale (D. Cox, Two further applications of a model for binary regression, Biometrika 45, 1958).

What it cannot know: whether a lead that looks as before is still worth as much. Where the concept itself changed, the
estimate stays where it was and is wrong; only outcomes tell, and they are what `evaluate` waits for. Nor does the
interval hold what a feature newly missing or a value never seen may have changed in the meaning of a score.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import chi2

from service.history import Estimate
from service.lifecycle.evaluation.quality import Scores
from service.model.bundle import Economics
from service.model.decide import contacts_made
from service.model.reference import Reference

FIGURES = ("roc_auc", "precision", "recall", "profit")
LEVEL = 0.9
CONTRADICTED = 0.001
"""Of the likelihood-ratio test of the held-out outcomes against the scores as they are."""

TRAINING = 3.0
"""How much more than the held-out leads those of training tell of the calibration: they are about so many times more.
Without their part an interval of 90 % held 99 % of the precisions of models that 20,000 leads had trained, and the
chance outcomes of 1,500 held-out leads moved estimates of precision by up to .06 (`tests.benchmarks.loop.label_free`).
"""

DRAWS = 300
LEAST = 1e-6


def expected(
    reference: Reference, scores: Scores, threshold: float, economics: Economics, seed: int = 0
) -> dict[str, Estimate]:
    """FIGURES of these scores as their outcomes should show them, with the interval that holds LEVEL of such outcomes.

    The interval counts in how well the calibration is known from the held-out outcomes, and that outcomes are chance:
    it is about the figure that will be measured on these very leads. A figure that such leads do not have is left
    out: precision where none is contacted.
    """
    line, covariance = calibration(reference)
    margin = logit(np.clip(scores, LEAST, 1 - LEAST))
    figures = _Figures(scores, threshold, economics)
    draw = np.random.default_rng(seed)
    lines = draw.multivariate_normal(line, covariance, DRAWS)
    shown = [figures.of((draw.random(len(scores)) < expit(a + b * margin)).astype(np.float64)) for a, b in lines]
    value = figures.of(expit(line[0] + line[1] * margin))
    estimates = {}
    for name, figure, chances in zip(FIGURES, value, np.array(shown).T, strict=True):
        told = chances[np.isfinite(chances)]
        if np.isfinite(figure) and len(told) > DRAWS / 2:
            low, high = np.quantile(told, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            estimates[name] = Estimate(float(figure), float(low), float(high))
    return estimates


def calibration(reference: Reference) -> tuple[Scores, Scores]:
    """Intercept and slope that correct a score's logit, and their covariance, from the held-out outcomes by score bin.

    A model is fitted so that its scores are calibrated on its training leads: intercept 0 and slope 1. These weigh
    TRAINING times as much as what the held-out outcomes say, unless the outcomes contradict them: then the outcomes
    alone count.
    """
    bins = reference.calibration
    margin = logit(np.clip([b.score for b in bins], LEAST, 1 - LEAST))
    leads, converted = (np.array([getattr(b, name) for b in bins], dtype=np.float64) for name in ("leads", "converted"))
    design = np.column_stack([np.ones_like(margin), margin])

    def loss(line: Scores) -> float:
        z = design @ line
        return float((leads * np.logaddexp(0, z) - converted * z).sum())

    def gradient(line: Scores) -> Scores:
        slope: Scores = design.T @ (leads * expit(design @ line) - converted)
        return slope

    none = np.array([0.0, 1.0])
    fitted = minimize(loss, none, jac=gradient, method="BFGS")
    contradicted = 2 * (loss(none) - fitted.fun) > chi2.isf(CONTRADICTED, 2)
    share = 1.0 if contradicted else 1 / (1 + TRAINING)
    line = none + share * (fitted.x - none) if fitted.x[1] > 0 else none
    chance = expit(design @ line)
    information = design.T @ (design * (leads * chance * (1 - chance))[:, None])
    return line, share * np.linalg.pinv(information)


class _Figures:
    """FIGURES of leads, given each one's chance to convert or what became of it; ranks are worked out once."""

    def __init__(self, scores: Scores, threshold: float, economics: Economics) -> None:
        self._place = np.unique(scores, return_inverse=True)[1]
        self._decided = scores >= threshold
        self._made = contacts_made(scores, self._decided, economics)
        self._economics = economics

    def of(self, converted: Scores) -> Scores:
        """NaN where a figure has nothing to be about."""
        positives, others = (np.bincount(self._place, weights) for weights in (converted, 1 - converted))
        below = np.cumsum(others) - others / 2  # of equal scores half count as ranked below
        hits, contacts, every = converted[self._decided].sum(), self._decided.sum(), converted.sum()
        earned = self._economics.conversion_value * converted[self._made].sum()
        spent = self._economics.contact_cost * self._made.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.array(
                [
                    positives @ below / (every * others.sum()),
                    np.float64(hits) / contacts,
                    np.float64(hits) / every,
                    1000 * (earned - spent) / len(converted),
                ]
            )
