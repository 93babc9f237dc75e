"""The gate: whether a challenger takes the champion's place. Both are judged on leads that neither has seen.

Two ways lead through it. Two models of one recipe, trained on different leads, are never quite equal; the least gain
keeps the gate shut for such differences, so that both ways together promote an equal model in fewer than 5 % of trials
(`tests.benchmarks.gate` measures it):

- the challenger is better in the source's metric by more than a least gain, beyond noise;
- the champion's calibration has failed beyond noise, and the challenger is better in Brier score beyond noise and not
  worse in the source's metric than a margin.

Neither way is open where a large segment gets worse than allowed, beyond noise.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from service.history import Estimate
from service.lifecycle.data.source import Metric
from service.lifecycle.evaluation.bootstrap import Weights, figure, resamples
from service.lifecycle.evaluation.calibration import grouped
from service.lifecycle.evaluation.quality import Mask, Scores, Target
from service.model.bundle import Economics
from service.model.decide import contacts_made


@dataclass(frozen=True)
class Rules:
    """What the gate asks for.

    `gain`, `margin` and `segment_loss` are in the metric's own unit for shares; for profit they are shares of what
    contacting exactly those who convert would earn. `failed` is in standard errors. A large segment has at least the
    share `large` of the leads and `segment_outcomes` leads of each outcome.
    """

    leads: int = 1_000
    outcomes: int = 50
    gain: float = 0.004
    margin: float = 0.02
    failed: float = 3.0
    large: float = 0.1
    segment_outcomes: int = 30
    segment_loss: float = 0.02
    draws: int = 1_000


@dataclass(frozen=True)
class Contender:
    """A model before the gate: its score of each lead, and from which score on it has a lead contacted."""

    scores: Scores
    threshold: float


@dataclass(frozen=True)
class Verdict:
    """`by` says which way led through the gate, None: refused. `figures` are what the decision rests on."""

    by: Literal["gain", "calibration"] | None
    reason: str
    figures: dict[str, Estimate]

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
) -> Verdict:
    """Compare both on the same leads, which neither has seen. All arrays have one entry a lead.

    Beyond noise means that the whole 95 % interval lies beyond: by chance that happens in 2.5 % a way.
    """
    rules = rules or Rules()
    if small := too_small(target, rules):
        return Verdict(None, small, {})
    everyone = np.ones(len(target), dtype=bool)
    both = _Both(target, (champion, challenger), economics, rules.draws, seed)
    pair, brier_pair = both.pairs({metric: (metric, everyone), "brier": ("brier", everyone)}).values()
    gain, brier, unit = pair.gain(), brier_pair.gain(-1), metric_unit(metric, target, economics)
    figures = {
        **{f"{who}.{metric}": pair.each(i) for i, who in enumerate(("champion", "challenger"))},
        **{f"{who}.brier": brier_pair.each(i) for i, who in enumerate(("champion", "challenger"))},
        f"gain.{metric}": gain,
        "gain.brier": brier,
    }
    failure = miscalibration(target, champion.scores, rules, seed)
    by: Literal["gain", "calibration"] | None = None
    if gain.low > rules.gain * unit:
        by, reason = "gain", f"better in {metric} by {_said(gain)}"
    elif failure and brier.low > 0 and gain.value >= -rules.margin * unit:
        by = "calibration"
        reason = f"the champion's {failure}; better in Brier score by {_said(brier)}; {metric} changes by {_said(gain)}"
    else:
        reason = f"not better in {metric} by more than {rules.gain * unit:.4g} beyond noise: {_said(gain)}"
        if not failure:
            reason += "; the champion is calibrated within noise"
        elif brier.low > 0:
            reason += f"; the champion's {failure}, but {metric} would lose more than {rules.margin * unit:.4g}"
        else:
            reason += f"; the champion's {failure}, but the Brier score is not better beyond noise: {_said(brier)}"
    if by and (worse := list(_worse(both, metric, segments or {}, rules))):
        return Verdict(None, f"{reason}; but it gets worse for {'; '.join(worse)}", figures)
    return Verdict(by, reason, figures)


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


@dataclass(frozen=True)
class _Pair:
    """One figure of champion and challenger: on the leads themselves, and in each resample (2 x draws)."""

    values: Scores
    drawn: Scores

    def each(self, who: int) -> Estimate:
        low, high = np.quantile(self.drawn[who], (0.025, 0.975))
        return Estimate(float(self.values[who]), float(low), float(high))

    def gain(self, sign: int = 1) -> Estimate:
        low, high = np.quantile(sign * (self.drawn[1] - self.drawn[0]), (0.025, 0.975))
        return Estimate(sign * float(self.values[1] - self.values[0]), float(low), float(high))


@dataclass(frozen=True)
class _Both:
    """Champion and challenger on the same leads."""

    target: Target
    contenders: tuple[Contender, Contender]
    economics: Economics
    draws: int
    seed: int

    def pairs(self, asked: Mapping[str, tuple[str, Mask]]) -> dict[str, _Pair]:
        """For each, the figure of this name on the leads of this mask, under the same resamples of all leads."""
        both = [(c, contacts_made(c.scores, c.scores >= c.threshold, self.economics)) for c in self.contenders]
        of = {
            key: [figure(name, self.target[m], c.scores[m], c.threshold, self.economics, made[m]) for c, made in both]
            for key, (name, m) in asked.items()
        }

        def values(weights: Weights) -> dict[str, Scores]:
            return {key: np.array([each(weights[:, asked[key][1]]) for each in two]) for key, two in of.items()}

        whole = values(np.ones((1, len(self.target))))
        chunks = [values(weights) for weights in resamples(len(self.target), self.draws, self.seed)]
        return {key: _Pair(whole[key][:, 0], np.concatenate([chunk[key] for chunk in chunks], axis=1)) for key in asked}


def _worse(both: _Both, metric: Metric, segments: Mapping[str, Mask], rules: Rules) -> Iterator[str]:
    """The segments that get worse by more than allowed beyond noise, at 5 % for all of them together (Bonferroni)."""
    for name, pair in both.pairs({name: (metric, mask) for name, mask in segments.items()}).items():
        loss = pair.drawn[0] - pair.drawn[1]
        least = float(np.quantile(loss, 0.05 / len(segments)))
        allowed = rules.segment_loss * metric_unit(metric, both.target[segments[name]], both.economics)
        if least > allowed:
            yield f"{name}: {metric} loses at least {least:.4g}, {allowed:.4g} is allowed"


def metric_unit(metric: Metric, target: Target, economics: Economics) -> float:
    """1 for shares; for profit what contacting exactly those who convert would earn per 1,000 leads."""
    if metric != "profit":
        return 1.0
    return 1000 * float(target.mean()) * (economics.conversion_value - economics.contact_cost)


def _said(gain: Estimate) -> str:
    return f"{gain.value:.4f} ({gain.low:.4f} to {gain.high:.4f})"
