"""What each metric would choose on the held-out leads, and which errors and profit follow from it."""

from dataclasses import dataclass

import numpy as np

from service.history import Estimate
from service.lifecycle.data.source import Metric, Source
from service.lifecycle.evaluation.bootstrap import Figure, figure
from service.lifecycle.evaluation.confidence import together
from service.lifecycle.evaluation.quality import Mask, profit
from service.lifecycle.training.selection import Compared, choices
from service.model.bundle import Economics
from service.model.decide import contacts_made


@dataclass(frozen=True)
class Consequence:
    """What follows from contacting leads from this score on, best first, as far as the team can.

    Numbers and money are per 1,000 leads. `asked` are the contacts that the threshold asks for, `contacts` those that
    the team makes. `missed` are conversions that it does not contact, `wasted` contacts that do not convert.
    """

    candidate: str
    threshold: float
    asked: float
    contacts: float
    missed: float
    missed_cost: float
    wasted: float
    wasted_cost: float
    profit: Estimate


@dataclass(frozen=True)
class Consequences:
    """By metric: what it chooses by itself, its own value there, its profit beyond that of the choice by profit, and
    what is served.

    A choice has a threshold of its own; what is served contacts from the economics' threshold on, and the metric
    decides only which candidate that is. `at_random` is the profit of as many contacts at random as the team can make.
    """

    chosen: dict[Metric, Consequence]
    reached: dict[Metric, float]
    beyond_profit: dict[Metric, Estimate]
    served: dict[Metric, Consequence]
    at_random: float


def consequences(source: Source, compared: Compared) -> Consequences:
    """The choices of all metrics, in the order of `choices`, judged on the same leads under the same resamples."""
    economics, target = source.economics, compared.target
    by_candidate = {
        name: {choice.metric: choice for choice in choices(target, scores, economics)}
        for name, scores in compared.scores.items()
    }
    metrics = list(next(iter(by_candidate.values())))
    best = {metric: compared.best(metric, source.recipe) for metric in metrics}
    cuts = {f"chosen {m}": (best[m], by_candidate[best[m]][m].threshold) for m in metrics}
    cuts |= {f"served {m}": (best[m], economics.threshold) for m in metrics}
    made = {cut: _made(compared, *cut, economics) for cut in cuts.values()}
    values = {cut: profit(target, mask, economics) for cut, mask in made.items()}
    drawn = {
        (name, threshold): figure("profit", target, compared.scores[name], threshold, economics, mask)
        for (name, threshold), mask in made.items()
    }
    standard = cuts["chosen profit"]
    estimates = together(
        {str(cut): value for cut, value in values.items()}
        | {f"beyond {cut}": value - values[standard] for cut, value in values.items()},
        {str(cut): each for cut, each in drawn.items()}
        | {f"beyond {cut}": _difference(each, drawn[standard]) for cut, each in drawn.items()},
        len(target),
    )

    def consequence(cut: tuple[str, float]) -> Consequence:
        return _consequence(compared, cut, made[cut], economics, estimates[str(cut)])

    return Consequences(
        {m: consequence(cuts[f"chosen {m}"]) for m in metrics},
        {m: by_candidate[best[m]][m].value for m in metrics},
        {m: estimates[f"beyond {cuts[f'chosen {m}']}"] for m in metrics},
        {m: consequence(cuts[f"served {m}"]) for m in metrics},
        economics.contacts_per_1000_leads
        * (economics.conversion_value * float(target.mean()) - economics.contact_cost),
    )


def _made(compared: Compared, candidate: str, threshold: float, economics: Economics) -> Mask:
    scores = compared.scores[candidate]
    return contacts_made(scores, scores >= threshold, economics)


def _difference(one: Figure, other: Figure) -> Figure:
    return lambda weights: one(weights) - other(weights)


def _consequence(
    compared: Compared, cut: tuple[str, float], made: Mask, economics: Economics, earned: Estimate
) -> Consequence:
    candidate, threshold = cut
    converted = compared.target == 1
    missed, wasted = (1000 * float(np.mean(each)) for each in (converted & ~made, made & ~converted))
    return Consequence(
        candidate,
        threshold,
        asked=1000 * float((compared.scores[candidate] >= threshold).mean()),
        contacts=1000 * float(made.mean()),
        missed=missed,
        missed_cost=missed * (economics.conversion_value - economics.contact_cost),
        wasted=wasted,
        wasted_cost=wasted * economics.contact_cost,
        profit=earned,
    )
