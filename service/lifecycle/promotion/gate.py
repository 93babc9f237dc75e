"""The gate: whether a challenger takes the champion's place. Both are judged on leads that neither has seen.

Three ways lead through it:

- the challenger is better in the source's metric by more than a least gain, beyond noise;
- the champion's calibration has failed beyond noise, and the challenger is better in Brier score beyond noise and not
  worse in the source's metric than a margin;
- the champion's calibration is far off beyond noise, and the challenger, of which that cannot be said, has a smaller
  calibration error, a better Brier score, and is not worse than that margin either.

None is open where a large segment gets worse than allowed, beyond noise. What is beyond noise depends on how often
challengers were compared with this champion: over all looks chance promotes an equal one in at most 5 % of champions'
lives (`regressions.level`; `tests.benchmarks.loop.gate_years` measures it).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

from service.history import Estimate, Power
from service.lifecycle.data.source import Metric
from service.lifecycle.evaluation import calibration
from service.lifecycle.evaluation.calibration import grouped
from service.lifecycle.evaluation.quality import Mask, Scores, Target, contacts_reached
from service.lifecycle.evaluation.regressions import level
from service.lifecycle.promotion.influence import Influence, influence
from service.lifecycle.promotion.power import Look, found_by, measured
from service.model.bundle import Economics
from service.model.decide import contacts_made

WHO = ("champion", "challenger")


@dataclass(frozen=True)
class Rules:
    """What the gate asks for.

    `gain`, `margin` and `segment_loss` are in the metric's own unit for shares; for profit the first two are shares of
    what contacting exactly those who convert would earn. `failed` is in standard errors: so many that weekly looks call
    a calibrated model miscalibrated in at most 5 % of years (`tests.benchmarks.loop.late`). A calibration is far off
    where its error is more than `far_off` of the conversion rate, or of the rate of the others where that is less,
    beyond noise. A large segment has at least the share `large` of the leads and `segment_outcomes` of each outcome.
    """

    leads: int = 1_000
    outcomes: int = 50
    gain: float = 0.004
    margin: float = 0.02
    failed: float = 3.7
    far_off: float = 0.2
    large: float = 0.1
    segment_outcomes: int = 30
    segment_loss: float = 0.02
    draws: int = 10_000


@dataclass(frozen=True)
class Contender:
    """A model before the gate: its score of each lead, and from which score on it has a lead contacted.

    With the leads' `days` the team contacts the best of each day, as many as it can. Recorded decisions are not asked,
    for a challenger has none.
    """

    scores: Scores
    threshold: float
    days: npt.NDArray[np.int64] | None = None

    def contacts(self, economics: Economics, weights: Scores | None = None) -> Mask:
        """Whom the team contacts, where each lead stands for so many, 1 unless given: then all are of one day."""
        if weights is not None:
            return contacts_reached(self.scores, self.decided, economics, weights)
        return contacts_made(self.scores, self.decided, economics, self.days)

    @property
    def decided(self) -> Mask:
        """Whom the model has contacted."""
        return self.scores >= self.threshold


@dataclass(frozen=True)
class Verdict:
    """`by` says which way led through the gate, None: refused. `figures` are what the decision rests on."""

    by: Literal["gain", "calibration"] | None
    reason: str
    figures: dict[str, Estimate]
    power: Power | None = None

    @property
    def promote(self) -> bool:
        """Whether the challenger takes the champion's place."""
        return self.by is not None


def decide(
    target: Target,
    champion: Contender,
    challenger: Contender,
    metric: Metric,
    economics: Economics,
    segments: Mapping[str, Mask] | None = None,
    rules: Rules | None = None,
    seed: int = 0,
    look: Look | None = None,
    weights: Scores | None = None,
) -> Verdict:
    """Compare both on the same leads, which neither has seen. All arrays have one entry a lead.

    `weights` say how many leads each stands for; figures and their errors are then of weighted means. Whether scores
    fail as probabilities is tested without them: it is asked of outcomes given the score.
    """
    rules, look = rules or Rules(), look or Look()
    if small := too_small(target, rules):
        return Verdict(None, small, {})
    contenders = (champion, challenger)
    both = _Both(
        target, contenders, tuple(each.contacts(economics, weights) for each in contenders), economics, weights
    )
    compared, brier_compared = both.figure(metric), both.figure("brier")
    unit = metric_unit(metric, target, economics, weights)
    gain, brier = _gain(compared), _gain(brier_compared[::-1])
    figures = {
        **{f"{who}.{metric}": each.estimate for who, each in zip(WHO, compared, strict=True)},
        **{f"{who}.brier": each.estimate for who, each in zip(WHO, brier_compared, strict=True)},
        f"gain.{metric}": gain.estimate,
        "gain.brier": brier.estimate,
    }
    power = measured(metric, target, gain.error, rules.gain * unit, look.interesting * unit, look)
    failure = miscalibration(target, champion.scores, rules, seed)
    far = nearer(target, champion.scores, challenger.scores, rules, look, weights)
    kept = gain.value >= -rules.margin * unit
    brier_better = brier.value > look.beyond * brier.error
    by: Literal["gain", "calibration"] | None = None
    if gain.value - look.beyond * gain.error > rules.gain * unit:
        by, reason = "gain", f"better in {metric} by {_said(gain)}"
    elif failure and brier_better and kept:
        by = "calibration"
        reason = f"the champion's {failure}; better in Brier score by {_said(brier)}; {metric} changes by {_said(gain)}"
    elif far and brier.value > 0 and kept:
        by = "calibration"
        reason = f"the champion's {far}; better in Brier score by {_said(brier)}; {metric} changes by {_said(gain)}"
    else:
        reason = f"not better in {metric} by more than {rules.gain * unit:.4g} beyond noise: {_said(gain)}"
        lost = None if kept else f"{metric} would lose more than {rules.margin * unit:.4g}"
        reason += f"; {found_by(power)}; {_calibrated(failure, lost, brier)}"
    if by and (worse := list(_worse(both, metric, segments or {}, rules))):
        return Verdict(None, f"{reason}; but it gets worse for {'; '.join(worse)}; {found_by(power)}", figures, power)
    return Verdict(by, reason, figures, power)


def _calibrated(failure: str | None, lost: str | None, brier: Influence) -> str:
    """Why the champion's calibration is no reason for the challenger."""
    if not failure:
        return "the champion is calibrated within noise"
    return f"the champion's {failure}, but {lost or f'the Brier score is not better beyond noise: {_said(brier)}'}"


def too_small(target: Target, rules: Rules) -> str | None:
    """Why these leads are too few to judge by; None if they are enough."""
    converted, count = int(target.sum()), len(target)
    if count >= rules.leads and min(converted, count - converted) >= rules.outcomes:
        return None
    return (
        f"too few leads that neither model has seen: {count:,}, of which {converted:,} converted; asked for are "
        f"{rules.leads:,}, and {rules.outcomes} of each outcome"
    )


def miscalibration(target: Target, scores: Scores, rules: Rules | None = None, seed: int = 0) -> str | None:
    """How the scores fail as probabilities beyond noise; None if they do not.

    They fail if their mean is off by more than `failed` standard errors, or if the calibration error is larger than
    in all but as rare a share of draws of outcomes from the scores themselves.
    """
    rules = rules or Rules()
    off = errors_off(target, scores)
    if abs(off) > rules.failed:
        return (
            f"mean score is {scores.mean():.4f} where {target.mean():.4f} converted, {abs(off):.1f} standard errors off"
        )
    groups, rare = grouped(target, scores), 2 * (1 - NormalDist().cdf(rules.failed))
    error, limit = float(groups.error()), float(np.quantile(groups.by_chance(rules.draws, seed), 1 - rare))
    return f"calibration error is {error:.4f}, chance explains {limit:.4f}" if error > limit else None


def errors_off(target: Target, scores: Scores) -> float:
    """By how many standard errors more of the leads converted than their scores say, if these are right."""
    return float(target.sum() - scores.sum()) / (float(np.sqrt((scores * (1 - scores)).sum())) or 1.0)


def nearer(
    target: Target,
    champion: Scores,
    challenger: Scores,
    rules: Rules,
    look: Look,
    weights: Scores | None = None,
) -> str | None:
    """How the champion's scores are far off as probabilities, beyond the noise of so many looks, where the challenger's
    are nearer and may be right; None where that is not so."""
    rate = float(np.average(target, weights=weights))
    limit = rules.far_off * min(rate, 1 - rate)
    squares = None if weights is None else weights**2
    before, after = (
        calibration.interval(grouped(target, scores, weights, squares), 1 - 2 * level(look.number))
        for scores in (champion, challenger)
    )
    if before.low <= limit or after.low > limit or after.value >= before.value:
        return None
    return (
        f"calibration error is {before.value:.4f} ({before.low:.4f} to {before.high:.4f}), far off is {limit:.4f}, the "
        f"challenger's is {after.value:.4f}"
    )


@dataclass(frozen=True)
class _Both:
    """Champion and challenger on the same leads, and whom the team contacts for each."""

    target: Target
    contenders: tuple[Contender, ...]
    made: tuple[Mask, ...]
    economics: Economics
    weights: Scores | None

    def figure(self, name: str, of: Mask | None = None) -> list[Influence]:
        """This figure of each, of all leads or those of a mask."""
        part = slice(None) if of is None else of
        weights = None if self.weights is None else self.weights[part]
        return [
            influence(
                name,
                self.target[part],
                each.scores[part],
                each.decided[part],
                made[part],
                self.economics,
                weights,
            )
            for each, made in zip(self.contenders, self.made, strict=True)
        ]


def _gain(compared: list[Influence]) -> Influence:
    """The second less the first."""
    first, second = compared
    return second.less(first)


def _worse(both: _Both, metric: Metric, segments: Mapping[str, Mask], rules: Rules) -> Iterator[str]:
    """The segments that get worse by more than allowed beyond noise, at 5 % for all of them together (Bonferroni).

    Where profit counts, by ROC-AUC: of a team that cannot contact all, a segment that becomes good takes contacts from
    the others, whose profit falls though they are ranked as well as before.
    """
    judged: Metric = "roc_auc" if metric == "profit" else metric
    for name, mask in segments.items():
        gain = _gain(both.figure(judged, mask))
        least = -gain.value - NormalDist().inv_cdf(1 - 0.05 / len(segments)) * gain.error
        if least > rules.segment_loss:
            yield f"{name}: {judged} loses at least {least:.4g}, {rules.segment_loss:.4g} is allowed"


def metric_unit(metric: Metric, target: Target, economics: Economics, weights: Scores | None = None) -> float:
    """1 for shares; for profit what contacting exactly those who convert would earn per 1,000 leads."""
    if metric != "profit":
        return 1.0
    rate = float(np.average(target, weights=weights))
    return 1000 * rate * (economics.conversion_value - economics.contact_cost)


def _said(gain: Influence) -> str:
    of = gain.estimate
    return f"{of.value:.4f} ({of.low:.4f} to {of.high:.4f})"
