"""Which candidate is served: the recipe's, or the best by the source's metric on leads that none of them has seen."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_curve
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from service.lifecycle.data.leads import Leads
from service.lifecycle.data.source import Direction, Metric, TrainingRecipe
from service.lifecycle.evaluation.quality import Scores, Target, figures
from service.lifecycle.training.candidates import DEFAULT, ModelSettings, candidates
from service.lifecycle.training.shared_values import shared_frame
from service.model.bundle import Economics

Rows = npt.NDArray[np.intp]
Progress = Callable[[str], None]

FOLDS = 5
HELD_OUT = 0.2
MIN_OUTCOMES = 50
"""Conversions, and leads without one, that training needs: with fewer, a held-out figure is within chance."""


class TooFewOutcomes(Exception):
    """There are too few leads of one outcome to train and to judge a model."""


@dataclass(frozen=True)
class Split:
    """Positions of the leads to train on and of those held out to judge by, and how they were told apart."""

    train: Rows
    held_out: Rows
    how: str


@dataclass(frozen=True)
class Compared:
    """Every candidate by name, fitted on the training leads alone: its scores and figures of the held-out leads.

    Figures that need a threshold are taken at the one that the economics imply.
    """

    split: Split
    target: Target
    pipelines: dict[str, Pipeline]
    scores: dict[str, Scores]
    figures: dict[str, dict[str, float]]

    def best(self, metric: Metric, recipe: TrainingRecipe) -> str:
        """The candidate that the recipe names, or the best one by this metric."""
        if recipe.candidate != "best":
            return recipe.candidate
        return max(self.figures, key=lambda name: self.figures[name][metric])


@dataclass(frozen=True)
class Choice:
    """A threshold that a metric alone would choose on the held-out leads, and what follows from it.

    `contacts` (asked for) and `profit` (of those that the team can make) are per 1,000 leads; `lost` is the profit
    given up against the chosen threshold.
    """

    metric: Metric
    threshold: float
    value: float
    contacts: float
    profit: float
    lost: float


class Everyone(NamedTuple):
    """Leads that are like those to come, with or without an outcome: prepared inputs, and the model's scores."""

    frame: pd.DataFrame
    scores: Scores


@dataclass(frozen=True)
class Selection:
    """The chosen model, fitted on the training leads alone, and what it and the others showed.

    One that was then `refitted` on all leads showed before what it did: its own scores of leads that it knows would be
    too good. `held_out` and `cross_validated` hold figures by candidate; `scores` are the chosen one's, of the held-out
    leads. `settings` are those that it was made with; `optimism` is as in `JudgedOn`. `weights` say how many leads each
    held-out one stands for where only contacted ones have outcomes; `everyone` are leads that nobody selected, where
    these are known, of which the model has seen none either.
    """

    candidate: str
    pipeline: Pipeline
    split: Split
    target: Target
    scores: Scores
    threshold: float
    held_out: dict[str, dict[str, float]]
    cross_validated: dict[str, dict[str, float]]
    choices: tuple[Choice, ...]
    refitted: bool = False
    settings: ModelSettings = DEFAULT
    out_of_fold: Scores = field(default_factory=lambda: np.empty(0))
    optimism: dict[str, float] = field(default_factory=dict)
    weights: Scores | None = None
    everyone: Everyone | None = None

    @property
    def every_score(self) -> Scores:
        """Scores of leads that are like those to come."""
        if self.everyone is not None:
            return self.everyone.scores
        return self.scores if self.weights is None else self.scores[self.standing]

    @property
    def standing(self) -> Rows:
        """Places of held-out leads that are together like all leads: each in proportion to its weight.

        They are as many as the effective sample size (L. Kish, Survey Sampling, 1965), so that who counts them takes
        them for no more than they tell.
        """
        if self.weights is None:
            return np.arange(len(self.scores))
        reached = np.cumsum(self.weights)
        count = max(1, round(float(reached[-1] ** 2 / (self.weights**2).sum())))
        at = (np.arange(count) + 0.5) * reached[-1] / count
        places: Rows = np.minimum(np.searchsorted(reached, at), len(reached) - 1)
        return places


def split(leads: Leads, share: float = HELD_OUT, seed: int = 0) -> Split:
    """Hold out the most recent share of the leads, or a random and stratified one where no time order is known.

    Of a sample only leads that stand for themselves are held out, so that figures of them need no weights.
    Raises TooFewOutcomes where one side of the split has too few of one outcome.
    """
    rows, whole = np.arange(len(leads.target)), np.flatnonzero(leads.whole)
    size = min(round(share * len(rows)), round((1 - share) * len(whole)))
    if min(leads.target.sum(), len(rows) - leads.target.sum()) < MIN_OUTCOMES:
        raise TooFewOutcomes(
            f"{leads.target.sum()} of {len(rows)} leads converted; training needs at least {MIN_OUTCOMES} that did and "
            f"{MIN_OUTCOMES} that did not"
        )
    how_many = f"{share:.0%}" if leads.drawn is None else f"{size:,}"
    if leads.in_time_order:
        train, held_out, how = rows[:-size], rows[-size:], f"the most recent {how_many}"
    else:
        train, held_out = train_test_split(whole, test_size=size, stratify=leads.target[whole], random_state=seed)
        train = np.concatenate([np.flatnonzero(~leads.whole), train])
        how = f"a random, stratified {how_many} (the source states no time order)"
    for name, part in (("training", train), ("held-out", held_out)):
        if not FOLDS <= (converted := int(leads.target[part].sum())) <= len(part) - FOLDS:
            raise TooFewOutcomes(
                f"of the {len(part)} {name} leads ({how} held out) {converted} converted: too one-sided"
            )
    return Split(train, held_out, how)


def select(
    leads: Leads,
    metric: Metric,
    economics: Economics,
    recipe: TrainingRecipe,
    seed: int = 0,
    tell: Progress = lambda _: None,
    settings: Mapping[str, ModelSettings] | None = None,
) -> Selection:
    """Fit every candidate on the training leads; the recipe names one, or the metric decides on the held-out leads.

    The chosen model is not fitted again, so that the held-out figures are those of the very model that is served.
    """
    compared = compare(leads, economics, recipe, seed, tell, settings)
    chosen = compared.best(metric, recipe)
    means, unseen_scores = cross_validate(leads, economics, seed, tell, recipe.monotone, settings)
    return Selection(
        chosen,
        compared.pipelines[chosen],
        compared.split,
        compared.target,
        compared.scores[chosen],
        economics.threshold,
        compared.figures,
        means,
        tuple(choices(compared.target, compared.scores[chosen], economics)),
        settings=(settings or {}).get(chosen, DEFAULT),
        out_of_fold=unseen_scores[chosen],
    )


def compare(
    leads: Leads,
    economics: Economics,
    recipe: TrainingRecipe,
    seed: int = 0,
    tell: Progress = lambda _: None,
    settings: Mapping[str, ModelSettings] | None = None,
) -> Compared:
    """Fit every candidate on the training leads, and judge it on the held-out ones.

    Raises TooFewOutcomes, and SourceError where the recipe binds a column that is no number.
    """
    parts = split(leads, seed=seed)
    fitted = candidates(leads.schema, leads.frame.iloc[parts.train], seed, recipe.monotone, settings)
    target, unseen = leads.target[parts.held_out], leads.frame.iloc[parts.held_out]
    scores = {}
    for name, pipeline in fitted.items():
        tell(f"fitting {name} on {len(parts.train):,} leads")
        train = parts.train
        scores[name] = fit(
            pipeline, leads.frame.iloc[train], leads.target[train], unseen, recipe, weights_of(leads, train)
        )
    held_out = {name: figures(target, s, economics.threshold, economics) for name, s in scores.items()}
    return Compared(parts, target, fitted, scores, held_out)


def cross_validate(
    leads: Leads,
    economics: Economics,
    seed: int = 0,
    tell: Progress = lambda _: None,
    monotone: Mapping[str, Direction] | None = None,
    settings: Mapping[str, ModelSettings] | None = None,
) -> tuple[dict[str, dict[str, float]], dict[str, Scores]]:
    """Each candidate's figures, the mean of five stratified, shuffled folds, and its score of each lead while held out.

    They ignore time, and with it the recipe's half-life. Of a sample only leads that stand for themselves are judged on
    and have a score.
    """
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(leads.frame, leads.target)
    each: dict[str, list[dict[str, float]]] = {}
    out_of_fold: dict[str, Scores] = {}
    for number, (train, rest) in enumerate(folds, 1):
        rest = rest[leads.whole[rest]]
        known, unseen = leads.frame.iloc[train], leads.frame.iloc[rest]
        for name, pipeline in candidates(leads.schema, known, seed, monotone, settings).items():
            tell(f"cross-validating {name}, fold {number} of {FOLDS}")
            scores = fit(pipeline, known, leads.target[train], unseen, weights=weights_of(leads, train))
            out_of_fold.setdefault(name, np.empty(len(leads.target)))[rest] = scores
            reached = figures(leads.target[rest], scores, economics.threshold, economics)
            each.setdefault(name, []).append(reached)
    means = {name: {f: float(np.mean([fold[f] for fold in found])) for f in found[0]} for name, found in each.items()}
    return means, {name: scores[leads.whole] for name, scores in out_of_fold.items()}


def weights_of(leads: Leads, rows: Rows) -> Scores | None:
    """How many leads each of these stands for; None: itself."""
    return None if leads.weights is None else leads.weights[rows]


def fit(
    pipeline: Pipeline,
    frame: pd.DataFrame,
    target: Target,
    unseen: pd.DataFrame,
    recipe: TrainingRecipe | None = None,
    weights: Scores | None = None,
) -> Scores:
    """Fit the pipeline in place, on leads oldest first, weighted as the recipe says; score the unseen leads.

    `weights` say how many leads each stands for, 1 unless given. It learns from shared numbers only; the unseen leads
    are scored as they are.

    One thread: the trees' OpenMP threads wait for each other actively, and on two cores shared with another busy
    process that took 89 s for 3 s of work.
    """
    if recipe and recipe.half_life_leads:
        weights = recency(np.ones(len(target)) if weights is None else weights, recipe.half_life_leads)
    if weights is not None:
        # With a mean of 1 the penalty of a regression weighs as much against them as without weights.
        weights = weights / float(weights.mean())
    with threadpool_limits(limits=1):
        pipeline.fit(shared_frame(frame), target, model__sample_weight=weights)
        scores: Scores = pipeline.predict_proba(unseen)[:, 1]
    return scores


def recency(weights: Scores, half_life: float) -> Scores:
    """Weights of leads, oldest first, that halve with each half-life of age.

    A lead's age is the number of younger ones, of which each stands for its weight.
    """
    younger = np.cumsum(weights[::-1])[::-1] - weights
    halved: Scores = weights * 0.5 ** (younger / half_life)
    return halved


def choices(target: Target, scores: Scores, economics: Economics, weights: Scores | None = None) -> Iterator[Choice]:
    """For each metric the threshold that is best by it alone on these leads, of which each may stand for several.

    Where that asks for more contacts than the team can make, the profit is that of the best it can. ROC-AUC has no
    threshold; for it stands the point of the curve farthest above chance (Youden's J).
    """
    chosen = figures(target, scores, economics.threshold, economics, weights=weights)["profit"]
    false_rate, true_rate, cuts = roc_curve(target, scores, sample_weight=weights, drop_intermediate=False)
    leads = len(target) if weights is None else float(weights.sum())
    converted = target.sum() if weights is None else float(weights @ target)
    others = leads - converted
    hits, contacts = true_rate * converted, true_rate * converted + false_rate * others
    by_metric: dict[Metric, Scores] = {
        "precision": hits / np.maximum(contacts, 1),
        "recall": true_rate,
        "f1": 2 * hits / (contacts + converted),
        "roc_auc": true_rate - false_rate,
        "accuracy": (hits + others - (contacts - hits)) / leads,
        "profit": np.where(
            1000 * contacts <= economics.contacts_per_1000_leads * leads,
            economics.conversion_value * hits - economics.contact_cost * contacts,
            -np.inf,
        ),
    }
    for metric, values in by_metric.items():
        # The last point of recall contacts everyone; of equally good points the first contacts the fewest.
        cut = float(np.clip(cuts[int(np.argmax(values))], 0, 1))
        at = figures(target, scores, cut, economics, weights=weights)
        asked = 1000 * float(np.average(scores >= cut, weights=weights))
        yield Choice(metric, cut, at[metric], asked, at["profit"], chosen - at["profit"])
