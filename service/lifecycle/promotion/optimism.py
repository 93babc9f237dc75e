"""By how much a promoted challenger's figures are too good: it was promoted because it looked better on these leads.

The gain that opened the gate is a normal variable of which only values above the gate's limit are seen. Its conditional
maximum-likelihood estimate is the gain whose mean, given that it passed, is the one seen (H. Zhong and R. Prentice,
Bias-reduced estimators and confidence intervals for odds ratios in genome-wide association studies, Biostatistics 9,
2008). The rest is luck, and a figure has its share of it by its covariance with the gain over the same resamples.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr

from service.history import Estimate
from service.lifecycle.data.source import Metric
from service.lifecycle.evaluation.bootstrap import SIMPLE, figure, resamples
from service.lifecycle.evaluation.confidence import by_rank, rank
from service.lifecycle.evaluation.quality import Scores, Target
from service.lifecycle.evaluation.regressions import standard_error
from service.lifecycle.promotion.gate import Contender, Rules, Verdict, metric_unit
from service.lifecycle.promotion.power import Look
from service.model.bundle import Economics

DRAWS = 500


def optimism(
    target: Target,
    champion: Contender,
    challenger: Contender,
    verdict: Verdict,
    metric: Metric,
    economics: Economics,
    rules: Rules,
    seed: int = 0,
    weights: Scores | None = None,
) -> dict[str, float]:
    """What to expect each of the challenger's figures to lose on other leads; nothing for one that is refused."""
    if verdict.by is None:
        return {}
    chosen_by = metric if verdict.by == "gain" else "brier"
    gain = verdict.figures[f"gain.{chosen_by}"]
    least = rules.gain * metric_unit(metric, target, economics, weights) if verdict.by == "gain" else 0.0
    beyond = Look(verdict.power.look if verdict.power else 1).beyond
    if gain.value <= least + beyond * standard_error(gain):
        return {}  # its calibration opened the gate
    luck = gain.value - true_gain(gain, least, beyond)
    sign = 1 if verdict.by == "gain" else -1
    before, after = (
        figure(chosen_by, target, c.scores, c.threshold, economics, c.contacts(economics, weights))
        for c in (champion, challenger)
    )
    made = challenger.contacts(economics, weights)
    own = {name: figure(name, target, challenger.scores, challenger.threshold, economics, made) for name in SIMPLE}
    ranked = rank(target, challenger.scores, weights)
    gains, figures = [], []
    for counts in resamples(len(target), DRAWS, seed):
        mass = counts if weights is None else counts * weights
        gains.append(sign * (after(mass) - before(mass)))
        figures.append({name: each(mass) for name, each in own.items()} | by_rank(ranked, mass))
    drawn = np.concatenate(gains)
    spread = float(drawn.var()) or 1.0
    return {
        name: luck
        * float(np.mean((drawn - drawn.mean()) * np.concatenate([chunk[name] for chunk in figures])))
        / spread
        for name in figures[0]
    }


def true_gain(gain: Estimate, least: float, errors: float = 1.96) -> float:
    """The likely gain, from 0 to the one seen, of one that is seen only so many standard errors above `least`."""
    error = standard_error(gain)
    limit = least + errors * error

    def beyond(true: float) -> float:
        """The mean of a gain that passed, less the one seen."""
        short = (limit - true) / error
        return float(true + error * np.exp(-(short**2) / 2 - log_ndtr(-short)) / np.sqrt(2 * np.pi)) - gain.value

    if error == 0 or gain.value <= 0:
        return max(0.0, gain.value)
    return float(brentq(beyond, 0.0, gain.value)) if beyond(0.0) < 0 else 0.0
