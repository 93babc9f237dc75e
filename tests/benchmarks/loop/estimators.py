"""What the worlds ask of the loop: the one place that calls the product's estimators, and a reference of their design.

PRODUCT is the product as it is; a function that it does not have yet leaves the figure as the product gives it today.
REFERENCE computes the same by inverse probabilities, in this module alone: it shows that a world can be solved, never
that the product does. D. Horvitz and D. Thompson, JASA 47, 1952; M. Dudik and others, Doubly Robust Policy Evaluation
and Learning, ICML 2011.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from service.history import Estimate
from service.lifecycle.data.source import Metric
from service.lifecycle.evaluation import weighting
from service.lifecycle.evaluation.bootstrap import figure, poisson, resamples
from service.lifecycle.evaluation.calibration import calibration_error
from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.evaluation.confidence import estimates
from service.lifecycle.evaluation.quality import Mask, Scores, Target
from service.lifecycle.evaluation.selection import selection
from service.lifecycle.promotion import gate
from service.lifecycle.promotion.challenger import to_compare
from service.lifecycle.promotion.gate import Contender, Rules, Verdict
from service.lifecycle.promotion.power import Look
from service.lifecycle.relations.bins import bin_of
from service.lifecycle.relations.outcomes import CLIP as PRODUCT_CLIP
from service.lifecycle.relations.outcomes import LabelRules
from service.lifecycle.training.selection import Rows
from service.model import contact_rule
from service.model.bundle import Economics
from service.model.decide import contacts_made
from tests.benchmarks.loop.policy import Rule, rule_of

FIGURES = ("roc_auc", "brier", "calibration_error", "profit", "profit at half the line")
DRAWS, CLIP, EXPLORED = 400, 0.002, 50
"""Resamples of an interval; the least probability that a weight allows for; contacts below the line that it takes."""
NOT_ALL = ("of contacted leads alone", "not of all scored leads")
"""One of these is in a sentence that warns."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""The outcomes of all leads of these worlds are final; any time would do."""


@dataclass(frozen=True)
class ScoredLeads:
    """Leads, or cells of `leads` each, and which of them were contacted under which probability.

    `target` is known of contacted leads alone; of others it is 0. They came in so many `days`. `stated` says whether
    the lead source states that outcomes are those of contacted leads.
    """

    target: Target
    scores: Scores
    contacted: Mask
    probability: Scores
    leads: Scores
    days: int
    stated: bool = True

    @property
    def below(self) -> Mask:
        """Those below the line, which are contacted by chance alone."""
        return self.probability < 1


class Evaluated(NamedTuple):
    """The figures, or none; the sentence that says whom they are about, empty where nothing is said.

    `selected` says whether outcomes were found to depend on the decision.
    """

    figures: dict[str, Estimate]
    about: str
    selected: bool

    @property
    def warned(self) -> bool:
        """Whether the test finds that outcomes are selected, and the sentence says that figures are not of all."""
        return self.selected and any(words in self.about for words in NOT_ALL)


class Estimators(NamedTuple):
    """How the loop makes a contact rule, evaluates, weighs labelled leads, and judges a challenger on which of them."""

    name: str
    rule: Callable[[Scores, Economics, float], Rule]
    evaluate: Callable[[ScoredLeads, float, Economics], Evaluated]
    weights: Callable[[Scores], Scores | None]
    window: Callable[..., Rows | None]
    judge: Callable[..., Verdict]


def plain_rule(scores: Scores, economics: Economics, share: float) -> Rule:
    """Whom it pays to contact: nothing is explored."""
    return Rule(economics.threshold)


def product_rule(scores: Scores, economics: Economics, share: float) -> Rule:
    """The product's."""
    made = contact_rule.rule_of(scores, economics.threshold, economics.contacts_per_1000_leads, share)
    return Rule(made.line, made.explore_probability)


def product_figures(seen: ScoredLeads, line: float, economics: Economics) -> Evaluated:
    """The product's: of all leads, where the source states whose outcomes there are, and enough were explored.

    Test and sentence are those of `service.lifecycle.evaluate`, from the counts that it would have of these leads.
    """
    rules = LabelRules(NOW, timedelta(0), outcomes_of="contacted" if seen.stated else "all")
    tested = selection(selection_counts(seen), rules)
    judged = seen.contacted | seen.stated
    target, scores, leads = seen.target[judged], seen.scores[judged], seen.leads[judged]
    weights = below = None
    if seen.stated:
        weights, below = np.where(seen.contacted, product_weights(seen.probability), 0.0), seen.below
    cells = {at: ScoreCells.of(target, scores, scores >= at, at, leads, weights, below) for at in (line, line / 2)}
    rests_on = weighting.weighting(cells[line])
    explored_days = seen.days if (seen.contacted & seen.below).any() else 0
    about = weighting.about(tested, rests_on, seen.days, explored_days, "").about
    if rests_on and not rests_on.enough:
        return Evaluated({}, about, tested.depends_on_decision)
    found = estimates(cells[line], line, economics, DRAWS, names=FIGURES[:4])
    half = estimates(cells[line / 2], line / 2, economics, DRAWS, names=FIGURES[3:4])
    return Evaluated(found | {FIGURES[4]: half["profit"]}, about, tested.depends_on_decision)


def selection_counts(seen: ScoredLeads) -> pa.Table:
    """The rows of the relation `selection_counts`: everyone whom the rule chose was contacted, and has an outcome."""
    known = seen.contacted
    return pa.table(
        {
            "is_chosen": known,
            "contacted": known,
            "explored": known & seen.below,
            "score_bin": bin_of(seen.scores),
            "is_known": known,
            "is_labelled": known,
            "leads": seen.leads,
            "converted": seen.leads * seen.target,
            "score_sum": seen.leads * seen.scores,
        }
    )


def plain_figures(seen: ScoredLeads, line: float, economics: Economics) -> Evaluated:
    """Those of all leads that have an outcome, each as one."""
    known = seen.contacted
    found: dict[str, Estimate] = {}
    for at, names in ((line, FIGURES[:4]), (line / 2, FIGURES[3:4])):
        decided = seen.scores[known] >= at
        cells = ScoreCells.of(seen.target[known], seen.scores[known], decided, at, seen.leads[known])
        shown = estimates(cells, at, economics, DRAWS, names=names)
        found |= shown if at == line else {FIGURES[4]: shown["profit"]}
    return Evaluated(found, "", False)


def plain_judge(
    target: Target,
    champion: Contender,
    challenger: Contender,
    metric: Metric,
    economics: Economics,
    look: Look,
    weights: Scores | None = None,
    segments: Mapping[str, Mask] | None = None,
) -> Verdict:
    """The product's."""
    return gate.decide(target, champion, challenger, metric, economics, segments, look=look, weights=weights)


def weighted_figures(seen: ScoredLeads, line: float, economics: Economics) -> Evaluated:
    """The reference: weights of the inverse probability, self-normalised; profit doubly robust, by the scores."""
    explored = float(seen.leads[seen.contacted & seen.below].sum())
    about = "" if seen.contacted.all() else "outcomes are those of contacted leads alone"
    if about and explored < EXPLORED:
        return Evaluated({}, f"{about}: {explored:.0f} explored, {EXPLORED} are needed", True)
    known, weights = seen.contacted, _inverse(seen.probability)
    target, scores = seen.target[known], seen.scores[known]
    drawn = np.concatenate([np.ones((1, len(seen.leads))) * seen.leads, *poisson(seen.leads, DRAWS, 0)])
    weighted = drawn[:, known] * weights[known]
    values = {name: figure(name, target, scores, line, economics)(weighted) for name in ("roc_auc", "brier")}
    values["calibration_error"] = np.array([calibration_error(target, scores, each) for each in weighted])
    for name, at in ((FIGURES[3], line), (FIGURES[4], line / 2)):
        values[name] = 1000 * (drawn @ earned(seen, at, economics)) / drawn.sum(axis=1)
    return Evaluated({name: _interval(value) for name, value in values.items()}, "all leads", bool(about))


def earned(seen: ScoredLeads, line: float, economics: Economics) -> Scores:
    """What a lead earns where all from the line on are contacted: as the score says, and by how much that is wrong."""
    by_score = economics.conversion_value * seen.scores - economics.contact_cost
    missed = np.where(seen.contacted, _inverse(seen.probability) * (seen.target - seen.scores), 0.0)
    return np.where(seen.scores >= line, by_score + economics.conversion_value * missed, 0.0)


def weighted_judge(
    target: Target,
    champion: Contender,
    challenger: Contender,
    metric: Metric,
    economics: Economics,
    look: Look,
    weights: Scores | None = None,
    segments: Mapping[str, Mask] | None = None,
) -> Verdict:
    """The reference: a gain beyond noise in weighted resamples, as if it were the only look; segments are not asked.

    A contender reaches whom it can.
    """
    rules = Rules()
    weights = np.ones(len(target)) if weights is None else weights
    values = []
    for contender in (champion, challenger):
        made = _made(contender, weights, economics)
        value = figure(metric, target, contender.scores, contender.threshold, economics, made)
        chunks = resamples(len(target), rules.draws, 0)
        values.append(np.concatenate([value(chunk * weights) for chunk in chunks]))
    unit = 1.0
    if metric == "profit":
        unit = 1000 * float(weights @ target / weights.sum()) * (economics.conversion_value - economics.contact_cost)
    passed = bool(np.quantile(values[1] - values[0], 0.025) > rules.gain * unit)
    return Verdict("gain" if passed else None, "", {})


def _made(contender: Contender, weights: Scores, economics: Economics) -> Mask:
    if np.ptp(weights) == 0:
        return contacts_made(contender.scores, contender.scores >= contender.threshold, economics)
    line = rule_of(contender.scores, economics, 0.0, weights).line
    return contender.scores >= max(line, contender.threshold)


def wide_window(
    target: Target, unseen: Rows, scores_of: Callable[[Rows], Scores], rules: Rules, look: Look, least: int = 0
) -> Rows | None:
    """The reference: the newer half of the unseen leads; None where it is too small."""
    rows = unseen[len(unseen) // 2 :]
    return None if gate.too_small(target[rows], rules) else rows


def product_weights(probability: Scores) -> Scores:
    """Those of the relation `labelled`."""
    return 1 / np.maximum(probability, PRODUCT_CLIP)


def _inverse(probability: Scores) -> Scores:
    return 1 / np.maximum(probability, CLIP)


def _interval(values: Scores) -> Estimate:
    """The first value is that of the leads themselves, the others those of resamples."""
    low, high = np.quantile(values[1:], (0.025, 0.975)) - (values[1:].mean() - values[0])
    return Estimate(float(values[0]), float(low), float(high))


PRODUCT = Estimators("the product", product_rule, product_figures, product_weights, to_compare, plain_judge)
REFERENCE = Estimators("the reference", rule_of, weighted_figures, _inverse, wide_window, weighted_judge)
