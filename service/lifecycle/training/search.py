"""Other settings of the candidates, tried for as long as the recipe says: `[recipe] search_seconds`."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from service.lifecycle.data.leads import Leads
from service.lifecycle.data.source import TrainingRecipe
from service.lifecycle.evaluation.labelled import select
from service.lifecycle.evaluation.quality import Scores, Target
from service.lifecycle.training.candidates import DEFAULT, ModelSettings, candidates
from service.lifecycle.training.selection import Progress, TooFewOutcomes, fit, split

STRENGTHS = (0.02, 0.1, 0.5, 2.5)
GRID: Mapping[str, tuple[ModelSettings, ...]] = {
    "logistic_regression": tuple(ModelSettings(c=c) for c in STRENGTHS),
    "spline_regression": tuple(ModelSettings(c=c, knots=knots) for c in STRENGTHS for knots in (4, 6, 10, 16)),
    # At most 16 leaves: the service's tables hold no more of a tree.
    "gradient_boosting": tuple(
        ModelSettings(leaves=leaves, trees=trees) for leaves in (4, 8, 15) for trees in (75, 150, 300)
    ),
}
"""By candidate what is tried beside DEFAULT."""


def search(
    leads: Leads,
    recipe: TrainingRecipe,
    seed: int = 0,
    tell: Progress = lambda _: None,
    now: Callable[[], float] = time.monotonic,
) -> dict[str, ModelSettings]:
    """The settings by candidate that are better than DEFAULT; nothing of a candidate of which none is.

    Each is fitted on the older of the leads and judged by log loss on the newest, which shows smaller differences than
    a metric of decisions. Better is what gains more than the standard error of the gain: of many settings some are
    better by chance. The order is the seed's; how far it gets depends on the machine. A fit that would end too late, by
    how long the last of its candidate took, is not begun.
    """
    if not recipe.search_seconds:
        return {}
    ends = now() + recipe.search_seconds
    try:
        parts = split(leads, seed=seed)
    except TooFewOutcomes as error:
        tell(f"searching no settings: {error}")
        return {}
    train, rest = select(leads, parts.train), select(leads, parts.held_out)
    losses: dict[str, dict[ModelSettings, Scores]] = {}
    took: dict[str, float] = {}
    for number, (name, settings) in enumerate(_order(recipe, seed), 1):
        began = now()
        if began + took.get(name, 0.0) >= ends:
            continue
        tell(f"searching settings: fit {number}, {name}, {ends - began:.0f} s left")
        pipeline = candidates(train.schema, train.frame, seed, recipe.monotone, {name: settings})[name]
        scores = fit(pipeline, train.frame, train.target, rest.frame, recipe, train.weights)
        losses.setdefault(name, {})[settings] = _losses(rest.target, scores, rest.contact_weights)
        took[name] = now() - began
    return {name: better for name, found in losses.items() if (better := _best(found)) != DEFAULT}


def search_before(
    leads: Leads, recipe: TrainingRecipe, seed: int = 0, tell: Progress = lambda _: None
) -> dict[str, ModelSettings]:
    """`search` on the leads before those that are held out to judge candidates by. Raises TooFewOutcomes."""
    if not recipe.search_seconds:
        return {}
    return search(select(leads, split(leads, seed=seed).train), recipe, seed, tell)


def _order(recipe: TrainingRecipe, seed: int) -> Iterator[tuple[str, ModelSettings]]:
    """DEFAULT of each candidate first, then the candidates in turn."""
    draw = np.random.default_rng(seed)
    names = list(GRID) if recipe.candidate == "best" else [recipe.candidate]
    shuffled = [[s for i in draw.permutation(len(GRID[name])) if (s := GRID[name][i]) != DEFAULT] for name in names]
    for turn in itertools.zip_longest(*([DEFAULT, *others] for others in shuffled)):
        yield from ((name, settings) for name, settings in zip(names, turn, strict=True) if settings is not None)


def _losses(target: Target, scores: Scores, weights: Scores | None) -> Scores:
    """The log loss of each lead, by the leads that it stands for."""
    likely: Scores = np.clip(np.where(target == 1, scores, 1 - scores), 1e-12, 1)
    return -np.log(likely) if weights is None else -np.log(likely) * weights / weights.mean()


def _best(found: Mapping[ModelSettings, Scores]) -> ModelSettings:
    """The one of the least mean loss, if that is less than DEFAULT's by more than the standard error."""
    best = min(found, key=lambda settings: float(found[settings].mean()))
    gain = found[DEFAULT] - found[best]
    return best if gain.mean() > gain.std() / np.sqrt(len(gain)) else DEFAULT
