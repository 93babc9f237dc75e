"""Whether a model ranks leads better than chance, and whether its decisions earn more than decisions without it.

Both are judged on out-of-fold scores, so that all leads count: a fifth of 1,000 leads with 120 conversions is too
few to tell a ROC-AUC of .70 from chance.
"""

from statistics import NormalDist

import numpy as np
from scipy.stats import rankdata

from service.lifecycle.evaluation.quality import Mask, Scores, Target
from service.lifecycle.training.selection import FOLDS, Selection
from service.model.bundle import Economics, Skill
from service.model.decide import contacts_made

CHANCE = 0.5
SURE = NormalDist().inv_cdf(0.99)
"""Standard errors from an estimate to its one-sided 99 % limit: of 100 sources without signal one passes."""
LIKELY = NormalDist().inv_cdf(0.95)
"""The same at 95 %, for profits, which are judged only where the ranking is beyond chance."""
WITHIN = NormalDist().inv_cdf(0.975)
"""The same to either end of a two-sided 95 % interval."""
OVERLAP = (1 + FOLDS / (FOLDS - 1)) ** 0.5
"""Factor of a standard error that comes from folds: their models share most of their leads, so their figures vary
together (C. Nadeau, Y. Bengio, Inference for the Generalization Error, Machine Learning 52, 2003, section 3). Of 400
sources without signal the ROC-AUC varied 1.43 times as much as without the factor, which is 1.5."""


class NoSkill(Exception):
    """The model is not shown to be better than none. The message holds each reason and what to do."""


def judge(target: Target, chosen: Selection, economics: Economics) -> Skill:
    """What out-of-fold and held-out scores show. `target` holds the outcomes of all leads, in the order of the table.

    It is doubted where the ROC-AUC may be chance, where the profit is not beyond that of contacting everyone or as many
    at random, or where the held-out leads are ranked no better than by chance.
    """
    scores = chosen.out_of_fold
    auc, spread = roc_auc(target, scores)
    at_least = max(auc - SURE * OVERLAP * spread, 0.0)
    held_out = interval(chosen.target, chosen.scores)
    made = contacts_made(scores, scores >= chosen.threshold, economics)
    over_everyone, over_random = gains(target, made, economics)
    doubts = []
    if at_least <= CHANCE:
        doubts.append(
            f"its ROC-AUC over all leads is {auc:.3f}, and at least {at_least:.3f} (99 %): that may be chance"
        )
    if held_out[0] <= CHANCE:
        doubts.append(f"it ranks the held-out leads no better than chance (ROC-AUC {held_out[0]:.3f})")
    for (gain, error), otherwise in (
        (over_everyone, "contacting everyone"),
        (over_random, "as many contacts at random"),
    ):
        noise = LIKELY * OVERLAP * error
        if not doubts and gain <= noise:
            doubts.append(f"it earns {gain:+,.0f} per 1,000 leads against {otherwise}, within noise ({noise:,.0f})")
    return Skill(
        roc_auc=auc,
        roc_auc_at_least=at_least,
        held_out_roc_auc=held_out,
        gain_over_everyone=over_everyone[0],
        gain_over_random=over_random[0],
        doubts=tuple(doubts),
    )


def publishable(skill: Skill, reason: str | None) -> Skill:
    """The skill as the bundle keeps it, with the reason where there are doubts. Raises NoSkill where none is given."""
    if not skill.doubts:
        return skill
    if not reason:
        raise NoSkill(
            f"no use shown: {'; '.join(skill.doubts)}. Nothing is published. Look for more leads, or for columns that "
            "are known when a lead arrives. If the team cannot contact everyone, state contacts_per_1000_leads. To "
            "serve this model all the same: --publish-anyway REASON"
        )
    return skill.model_copy(update={"published_because": reason})


def interval(target: Target, scores: Scores) -> tuple[float, float, float]:
    """ROC-AUC, and the two ends of its 95 % interval, of scores by one model."""
    value, error = roc_auc(target, scores)
    return value, max(value - WITHIN * error, 0.0), min(value + WITHIN * error, 1.0)


def roc_auc(target: Target, scores: Scores) -> tuple[float, float]:
    """ROC-AUC and its standard error.

    E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988), by ranks as in X. Sun, W. Xu, IEEE Signal Processing
    Letters 21 (2014).
    """
    won = target == 1
    converted, others = int(won.sum()), int((~won).sum())
    ranks = rankdata(scores)
    above = (ranks[won] - rankdata(scores[won])) / others  # per conversion, the share of the others below it
    below = 1 - (ranks[~won] - rankdata(scores[~won])) / converted
    error = np.sqrt(above.var(ddof=1) / converted + below.var(ddof=1) / others)
    return float(above.mean()), float(error)


def gains(target: Target, made: Mask, economics: Economics) -> tuple[tuple[float, float], tuple[float, float]]:
    """Profit per 1,000 leads beyond contacting everyone, as far as the team can, and beyond as many contacts at random.

    Each with its standard error, for the contacts taken as given.
    """
    worth = economics.conversion_value * target - economics.contact_cost
    everyone = min(economics.contacts_per_1000_leads / 1000, 1.0)
    beyond_everyone = worth * (made - everyone)
    # The mean of this is the covariance of worth and contact: what the choice adds to contacts at random.
    beyond_random = (worth - worth.mean()) * (made - made.mean())
    return _per_1000(beyond_everyone), _per_1000(beyond_random)


def _per_1000(each: Scores) -> tuple[float, float]:
    return 1000 * float(each.mean()), 1000 * float(each.std(ddof=1) / np.sqrt(len(each)))
