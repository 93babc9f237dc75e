"""A challenger, trained and judged against the champion on the most recent leads that neither has seen."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from service.lifecycle.data.leads import Leads
from service.lifecycle.data.source import Source
from service.lifecycle.evaluation.labelled import LabelledLeads, select
from service.lifecycle.evaluation.quality import Scores, Target, figures
from service.lifecycle.evaluation.segments import segments
from service.lifecycle.promotion import gate
from service.lifecycle.promotion.explored import holding_enough, recent_since, since_exploring, too_few_explored
from service.lifecycle.promotion.gate import Contender, Rules, Verdict
from service.lifecycle.promotion.optimism import optimism
from service.lifecycle.promotion.power import Look
from service.lifecycle.training.candidates import DEFAULT, ModelSettings, candidates
from service.lifecycle.training.golden import as_received
from service.lifecycle.training.search import search
from service.lifecycle.training.selection import Everyone, Rows, Selection, Split, choices, fit, split
from service.model.bundle import Bundle

MOST = 4_000
"""Leads of a first look, at most: more would be taken from those that the challenger learns what is new from."""

ENOUGH = 200
"""Conversions, and leads without one, that are enough for a first look. A comparison rests on them, not on leads: where
many convert, a shorter window tells as much, and the challenger has seen more of what is new. On the bank's contacts
(scripts/replay) any number from 75 to 250 serves as well; with up to MOST, challengers come too late."""


class Fitted(NamedTuple):
    """A candidate's name, its pipeline, fitted, and the settings that it was made with."""

    candidate: str
    pipeline: Pipeline
    settings: ModelSettings = DEFAULT


Fit = Callable[[Leads], Fitted]
"""The source's recipe: leads with outcomes, oldest first, to a fitted model."""


@dataclass(frozen=True)
class Challenge:
    """`chosen` is the challenger as it was judged; None where there were too few leads to judge by."""

    verdict: Verdict
    chosen: Selection | None


def challenge(
    matured: LabelledLeads,
    champion: Bundle,
    source: Source,
    recipe: Fit | None = None,
    rules: Rules | None = None,
    look: Look | None = None,
) -> Challenge:
    """Train a challenger on the leads before the window, and compare both models on the window.

    Where only contacted leads have outcomes, a window with too few explored ones says nothing of the others: refused.
    """
    rules, look = rules or Rules(), look or Look(interesting=source.interesting_gain)
    leads = matured.leads
    weighted = source.outcomes_of == "contacted"
    unseen = to_judge_by(matured, champion)
    if weighted:
        unseen = since_exploring(matured, unseen)
    least = holding_enough(leads, unseen) if weighted else 0
    rows = to_compare(leads.target, unseen, lambda these: score(champion, leads.frame.iloc[these]), rules, look, least)
    if rows is None:
        return Challenge(Verdict(None, str(gate.too_small(leads.target[unseen], rules)), {}), None)
    if weighted and (few := too_few_explored(matured, rows)):
        return Challenge(Verdict(None, few, {}), None)
    chosen = trained(leads, rows, source, recipe)
    if weighted and (frame := recent_since(matured, rows)) is not None:
        chosen = replace(chosen, everyone=Everyone(frame, chosen.pipeline.predict_proba(frame)[:, 1]))
    frame = leads.frame.iloc[rows]
    days = None if leads.times is None else days_of(leads.times[rows])
    served = Contender(score(champion, frame), champion.manifest.threshold, days)
    challenger = Contender(chosen.scores, chosen.threshold, days)
    verdict = gate.decide(
        chosen.target,
        served,
        challenger,
        source.metric,
        source.economics,
        segments(leads.schema, frame, chosen.target, rules.large, rules.segment_outcomes),
        rules,
        look=look,
        weights=chosen.weights,
    )
    lucky = optimism(
        chosen.target, served, challenger, verdict, source.metric, source.economics, rules, weights=chosen.weights
    )
    return Challenge(verdict, replace(chosen, optimism=lucky))


def trained(leads: Leads, rows: Rows, source: Source, recipe: Fit | None = None) -> Selection:
    """A challenger that has learned from the leads before these rows, and what it shows on these."""
    before = np.arange(rows[0])
    fitted = (recipe or by_recipe(source))(select(leads, before))
    target, threshold = leads.target[rows], source.economics.threshold
    scores: Scores = fitted.pipeline.predict_proba(leads.frame.iloc[rows])[:, 1]
    weights = None if leads.contact_weights is None else leads.contact_weights[rows]
    return Selection(
        fitted.candidate,
        fitted.pipeline,
        Split(before, rows, f"the most recent {len(rows):,} that the champion had not seen"),
        target,
        scores,
        threshold,
        {fitted.candidate: figures(target, scores, threshold, source.economics, weights=weights)},
        {},
        tuple(choices(target, scores, source.economics, weights)),
        settings=fitted.settings,
        weights=weights,
    )


def to_judge_by(matured: LabelledLeads, champion: Bundle) -> Rows:
    """The leads that the champion has not seen; of a sample those that stand for themselves alone."""
    return np.flatnonzero(matured.unseen(champion.manifest.provenance) & matured.leads.whole)


def window(target: Target, unseen: Rows, rules: Rules, wanted: int | None = None) -> Rows | None:
    """The most recent of the leads that the champion has not seen: from the rest the challenger learns.

    As many as hold ENOUGH of each outcome, at most MOST, or as `wanted` where an earlier look found more necessary: so
    it grows with the weeks. Never more than half of them; and no fewer leads, and of each outcome, than the rules ask
    for: None where there are not that many.
    """
    converted = np.cumsum(target[unseen][::-1])
    rarer = np.minimum(converted, np.arange(1, len(unseen) + 1) - converted)
    least, ample = (int(np.searchsorted(np.maximum.accumulate(rarer), n)) + 1 for n in (rules.outcomes, ENOUGH))
    if least > len(unseen) or len(unseen) < rules.leads:
        return None
    size = max(min(len(unseen) // 2, max(min(MOST, ample), wanted or 0)), rules.leads, least)
    return unseen[-size:]


def to_compare(
    target: Target, unseen: Rows, scores_of: Callable[[Rows], Scores], rules: Rules, look: Look, least: int = 0
) -> Rows | None:
    """The window of a look, with at least so many leads; None where there are too few. `scores_of` are the champion's.

    It holds as many leads as the look before asked for. Where the champion's scores fail as probabilities on the newest
    leads, it holds these alone: leads have changed, older ones tell of a time that is over, and the challenger needs
    what is new to learn from.
    """
    newest = window(target, unseen, rules, least)
    if newest is None or not look.leads or gate.miscalibration(target[newest], scores_of(newest), rules):
        return newest
    return window(target, unseen, rules, max(look.leads, least))


def days_of(times: pd.DatetimeIndex) -> npt.NDArray[np.int64]:
    """The day of each time, in UTC; all that are unknown are of one."""
    return times.to_numpy("datetime64[D]").astype(np.int64)


def score(champion: Bundle, frame: pd.DataFrame) -> Scores:
    """The bundle's scores of prepared leads, the service's way from JSON to score."""
    schema = champion.manifest.lead_schema
    leads = [as_received(schema, row) for row in frame.to_dict("records")]
    return np.array(champion.engine.score(champion.engine.parse(msgspec.json.encode(leads))))


def by_recipe(source: Source) -> Fit:
    """The source's recipe. "best" is the better candidate on the most recent of the leads, then fitted on all."""

    recipe = source.recipe

    def fit_by(leads: Leads) -> Fitted:
        name = str(recipe.candidate)
        if name != "best":
            found = search(leads, recipe)
        else:
            parts = split(leads)
            train, rest = select(leads, parts.train), select(leads, parts.held_out)
            found = search(train, recipe)
            reached = {}
            for each, pipeline in candidates(train.schema, train.frame, 0, recipe.monotone, found).items():
                scores = fit(pipeline, train.frame, train.target, rest.frame, recipe, train.weights)
                economics, weights = source.economics, rest.contact_weights
                of = figures(rest.target, scores, economics.threshold, economics, weights=weights)
                reached[each] = of[source.metric]
            name = max(reached, key=lambda each: reached[each])
        chosen = candidates(leads.schema, leads.frame, 0, recipe.monotone, found)[name]
        fit(chosen, leads.frame, leads.target, leads.frame.iloc[:1], recipe, leads.weights)
        return Fitted(name, chosen, found.get(name, DEFAULT))

    return fit_by


def refit(matured: LabelledLeads, chosen: Selection, source: Source) -> Selection:
    """The same candidate and settings, fitted on all leads, the window too.

    The figures and scores stay those of the challenger, which had not seen the window: scores of leads that a model was
    fitted on are too sure, and would promise too much. Contact rule, bands and reference are made of how the new model
    scores leads that came later, whose outcome is not known yet: where leads change, it may score the window otherwise
    than the challenger did.
    """
    leads, settings = matured.leads, {chosen.candidate: chosen.settings}
    pipeline = candidates(leads.schema, leads.frame, 0, source.recipe.monotone, settings)[chosen.candidate]
    fit(pipeline, leads.frame, leads.target, leads.frame.iloc[:1], source.recipe, leads.weights)
    everyone = chosen.everyone
    if (later := matured.later()) is not None:
        everyone = Everyone(later, pipeline.predict_proba(later)[:, 1])
    return replace(chosen, pipeline=pipeline, refitted=True, everyone=everyone)
