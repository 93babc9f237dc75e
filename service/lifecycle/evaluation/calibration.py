"""Calibration error: the mean distance, over the leads, of a score from the conversion rate of such leads.

The leads are taken in at most GROUPS groups of about equally many, by score; leads of equal scores are never parted.
The plain sum of the groups' distances takes chance for error: a perfect model of 1,000 leads, of which a tenth
converts, shows .02 by it. Here a group's distance counts with the sign that other outcomes of it and of its neighbours
show, so that chance cancels out (E. Berta and others, A Variational Estimator for Lp Calibration Errors,
arXiv:2602.24230). Which outcomes are the others is not drawn: the normal approximation of a group's sum is split into
two independent parts (A. Neufeld and others, Data Thinning for Convolution-Closed Distributions, JMLR 25, 2024), and
the mean over all such splits has a closed form.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from service.history import Estimate

Values = npt.NDArray[np.float64]

GROUPS = 10
NEAR = 1.5 / GROUPS
"""How far neighbours are apart at most, as a share of the leads: of ten groups one has two. Large groups have none."""
NOISE = 0.7
"""Standard error of the part that shows a sign, beyond that of a group's sum, over the latter. At 0.7 the error found
has the same standard error whether or not the model is calibrated."""
LEVEL = 0.95
_STEPS = 600
_MOST = 12.0


@dataclass(frozen=True)
class Groups:
    """The leads by score. `off` is conversions less scores, `variance` that of `off` if the scores are right.

    `scores` and `squares` are the sums of the scores and of their squares; `middle` is the share of the leads up to a
    group's middle. All but `leads`, the number or weight of all leads, have one entry a group.
    """

    leads: float
    off: Values
    variance: Values
    scores: Values
    squares: Values
    middle: Values

    @property
    def standard_error(self) -> float:
        """That of the calibration error."""
        return float(np.sqrt(self.variance.sum())) / self.leads

    def error(self, off: Values | None = None) -> Values:
        """The calibration error that these sums of groups (... x groups) show, by default the leads' own.

        Its mean is 0 for a calibrated model: it may be below.
        """
        off = self.off if off is None else off
        near = np.abs(np.subtract.outer(self.middle, self.middle)) <= NEAR
        spread = np.sqrt(np.maximum(self.variance @ near, 1e-300))
        sign = off @ near / (NOISE * spread)
        density = np.exp(-(sign**2) / 2) / np.sqrt(2 * np.pi)
        mean: Values = (off * (2 * ndtr(sign) - 1) - 2 * self.variance / NOISE / spread * density).sum(axis=-1)
        return mean / self.leads

    def by_chance(self, draws: int, seed: int = 0) -> Values:
        """The calibration errors that a calibrated model with these scores shows, one a draw of outcomes.

        Conversions of a group are binomial with the mean and variance that its scores imply.
        """
        rate = np.divide(self.squares, self.scores, out=np.zeros_like(self.scores), where=self.scores > 0)
        count = np.rint(np.divide(self.scores, rate, out=np.zeros_like(rate), where=rate > 0))
        drawn = np.random.default_rng(seed).binomial(count.astype(np.int64), rate, (draws, len(rate)))
        return self.error(drawn - count * rate)


def grouped(
    target: npt.ArrayLike, scores: Values, leads: Values | None = None, squares: Values | None = None
) -> Groups:
    """Group leads, or cells of `leads` each with one outcome; `leads` may be weights.

    `squares` are the sums of the squared weights, by default `leads`: every lead has the weight 1.
    """
    leads = np.ones(len(scores)) if leads is None else leads
    squares = leads if squares is None else squares
    every, tie = np.unique(scores, return_inverse=True)
    tied = np.bincount(tie, leads)
    middle = np.cumsum(tied) - tied / 2
    place = np.minimum((middle / tied.sum() * GROUPS).astype(np.int64), GROUPS - 1)
    _, group = np.unique(place, return_inverse=True)
    off: Values = np.bincount(tie, leads * (np.asarray(target) - scores)).astype(np.float64)
    variance = np.bincount(tie, squares) * every * (1 - every)
    count, off, variance, summed, squared = (
        np.bincount(group, column).astype(np.float64) for column in (tied, off, variance, tied * every, tied * every**2)
    )
    return Groups(float(tied.sum()), off, variance, summed, squared, (np.cumsum(count) - count / 2) / tied.sum())


def calibration_error(
    target: npt.ArrayLike, scores: Values, leads: Values | None = None, squares: Values | None = None
) -> float:
    """The calibration error of these leads or cells; 0 where chance shows less than none. See `grouped`."""
    return max(0.0, float(grouped(target, scores, leads, squares).error()))


def interval(groups: Groups, level: float = LEVEL) -> Estimate:
    """The calibration error with its interval of this level, by inversion of tests whose level is exact at 0 too.

    G. Feldman and R. Cousins, Unified approach to the classical statistical analysis of small signals, Physical Review
    D 57, 1998. The upper end allows for signs that the leads are too few to show, were all groups equally far off.
    """
    error, scale = float(groups.error()), groups.standard_error or 1e-300
    low, high = _ends(error / scale, level)
    value = min(max(0.0, error), 1.0)
    return Estimate(value, min(low * scale, value), min(max(high * scale, value), 1.0))


def _ends(found: float, level: float) -> tuple[float, float]:
    """The interval of an error in standard errors."""
    true, least, most = _belt(level)
    half = float(ndtri((1 + level) / 2))
    low = found - half if found > most[-1] else float(np.interp(found, most, true, left=0.0))
    high = found + half if found > least[-1] else float(np.interp(found, least, true))
    shown = true * (2 * ndtr(true * np.sqrt(3 / GROUPS / (1 + NOISE**2))) - 1)
    return low, float(np.interp(high, shown, true)) if high < shown[-1] else high


@cache
def _belt(level: float) -> tuple[Values, Values, Values]:
    """True errors above 0, and the least and most that is likely to be found of each; all in standard errors.

    Of what may be found those values are likely that are most so against the best explanation, an error of 0 or more.
    """
    true = np.linspace(0, _MOST, _STEPS + 1)[1:]
    low, high = true + 1.6, true + 8.0
    for _ in range(60):
        most = (low + high) / 2
        least = _least(true, most)
        enough = ndtr(most - true) - ndtr(least - true) > level
        low, high = np.where(enough, low, most), np.where(enough, most, high)
    return true, _least(true, high), high


def _least(true: Values, most: Values) -> Values:
    """The lower end of the likely values that is as likely, against the best explanation, as this upper end."""
    mirrored = 2 * true - most
    return np.where(mirrored >= 0, mirrored, (true**2 - (most - true) ** 2) / (2 * true))
