"""b. A segment that is never called becomes good: does the loop find it, and what does exploring cost?

The leads are the sample's. Of lead source SEGMENT, SEGMENT_SHARE of all leads, 2.8 % convert, and 5 % score at or above
the line; from block ONSET on CONVERSION of them converts. The first model learns from FIRST leads whose outcomes are
all known. Then blocks of BLOCK leads come, and the outcomes of a block are known two blocks later; a challenger is
tried at every block, in the window and with the looks of `retrain`. One loop sees the outcomes of all leads, the other
those of the leads that its contact rule contacts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.sample import Sample, generate
from service.lifecycle.data.source import Source, TrainingRecipe, load_source
from service.lifecycle.evaluation.labelled import select
from service.lifecycle.evaluation.quality import Mask, Scores
from service.lifecycle.evaluation.segments import segments
from service.lifecycle.promotion.explored import holding_enough
from service.lifecycle.promotion.gate import Contender, Rules
from service.lifecycle.promotion.power import Look
from service.lifecycle.training.candidates import candidates
from service.lifecycle.training.selection import Rows, fit
from service.model.bundle import Economics
from tests.benchmarks.loop.estimators import PRODUCT, Estimators
from tests.benchmarks.loop.limits import Progress
from tests.benchmarks.loop.policy import Rule
from tests.benchmarks.loop.trials import run_trials

SEEDS, QUICK = 20, 1
FIRST, BLOCK, BLOCKS, LAST = 6_000, 4_000, 14, 3
SEGMENT, SEGMENT_SHARE, ONSET, CONVERSION = "outbound_list", 0.18, 2, 0.3
SHARE = 0.1
"""Of the capacity, for exploring."""
RECIPE = TrainingRecipe(candidate="logistic_regression", half_life_leads=8_000)
COSTS = {0.05: 0.03, 0.1: 0.06}
"""The largest share of the profit that exploring may cost, by the share of the capacity that it gets."""
COST_LEADS = 50_000

PROFIT = "profit over the last blocks, of a loop that sees all outcomes"
LIMITS: dict[str, tuple[float, float]] = {
    PROFIT: (0.9, np.inf),
    **{f"share of profit that exploring {share:.0%} costs": (0.0, most) for share, most in COSTS.items()},
    "leads explored at 10 %, per 1,000": (1.0, 1_000.0),
}
SOURCE = Path(__file__).parents[3] / "service/examples/sample.toml"


@dataclass(frozen=True)
class World:
    """The leads with the outcomes that they have if they are contacted, and their true chances."""

    source: Source
    leads: Leads
    chances: Scores


@dataclass(frozen=True)
class Model:
    """A fitted model, how many of the oldest leads it was trained or judged on, and the next look at it."""

    pipeline: Pipeline
    seen: int
    look: Look

    def score(self, leads: Leads, rows: Rows) -> Scores:
        """Scores of the leads in these rows."""
        scores: Scores = self.pipeline.predict_proba(leads.frame.iloc[rows])[:, 1]
        return scores


def world(seed: int) -> World:
    """A world of its own for each seed."""
    sample = Sample(rows=FIRST + BLOCKS * BLOCK, seed=seed)
    source = load_source(SOURCE).model_copy(update={"sample": sample, "recipe": RECIPE})
    leads, generated = load(source), generate(sample)
    good = (leads.frame["lead_source"] == SEGMENT).to_numpy() & (np.arange(sample.rows) >= FIRST + ONSET * BLOCK)
    chances = np.where(good, CONVERSION, generated.score)
    drawn = np.random.default_rng([seed, 1]).random(sample.rows) < CONVERSION
    target = np.where(good, drawn, leads.target).astype(np.int8)
    return World(source, Leads(**{**vars(leads), "target": target}), chances)


def trained(world: World, rows: Rows, seen: int) -> Model:
    """A model of these leads, with their weights."""
    part = select(world.leads, rows)
    pipeline = candidates(part.schema, part.frame)[RECIPE.candidate]
    fit(pipeline, part.frame, part.target, part.frame.iloc[:1], world.source.recipe, part.weights)
    return Model(pipeline, seen, Look(interesting=world.source.interesting_gain))


def retrained(world: World, champion: Model, rows: Rows, by: Estimators) -> Model:
    """The challenger of these labelled leads, oldest first, if it passes; otherwise the champion, looked at once more.

    As in `challenger.challenge`: the window holds enough explored leads, or there is no comparison.
    """
    leads, economics, metric, rules = world.leads, world.source.economics, world.source.metric, Rules()
    unseen, weighted = rows[rows >= champion.seen], leads.contact_weights is not None
    least = holding_enough(leads, unseen)
    judged = by.window(leads.target, unseen, partial(champion.score, leads), rules, champion.look, least)
    if judged is None or (weighted and not holding_enough(leads, judged)):
        return champion
    challenger = trained(world, rows[rows < judged[0]], 0)
    target = leads.target[judged]
    first, second = (Contender(each.score(leads, judged), economics.threshold) for each in (champion, challenger))
    large = segments(leads.schema, leads.frame.iloc[judged], target, rules.large, rules.segment_outcomes)
    weights = leads.contact_weights[judged] if leads.contact_weights is not None else None
    verdict = by.judge(target, first, second, metric, economics, champion.look, weights, large)
    if verdict.promote:
        return trained(world, rows, int(rows[-1]) + 1)
    needed = verdict.power.leads_needed if verdict.power else None
    return replace(champion, look=replace(champion.look, number=champion.look.number + 1, leads=needed))


def followed(world: World, share: float | None, by: Estimators) -> npt.NDArray[np.float64]:
    """Expected profit per 1,000 leads of each block. Without a share the loop sees all outcomes and never explores."""
    economics, total = world.source.economics, len(world.leads.target)
    known, probability = np.zeros(total, dtype=bool), np.ones(total)
    known[:FIRST] = True
    champion = trained(world, np.arange(FIRST), FIRST)
    profits = []
    for block in range(BLOCKS):
        begin = FIRST + block * BLOCK
        final = np.arange(FIRST if block < 2 else begin - BLOCK)
        rows = final[known[final]]
        if block >= 2:
            if share is not None:
                weights = by.weights(probability)
                leads = replace(world.leads, contact_weights=weights, explored=known & (probability < 1))
                world = replace(world, leads=leads)
            champion = retrained(world, champion, rows, by)
        before = np.arange(begin - BLOCK, begin)
        rule = by.rule(champion.score(world.leads, before), economics, share or 0.0)
        now = np.arange(begin, begin + BLOCK)
        scores = champion.score(world.leads, now)
        contacted = rule.contacts([f"lead-{row}" for row in now], scores)
        known[now] = contacted if share is not None else True
        probability[now] = rule.probability(scores) if share is not None else 1.0
        profits.append(_profit(world.chances[now], contacted, economics))
    return np.array(profits)


def _profit(chances: Scores, contacted: Mask, economics: Economics) -> float:
    return 1000 * float(np.where(contacted, economics.expected_value(chances), 0.0).mean())


def share_of_profit(seed: int, by: Estimators) -> float:
    """Of the profit over the last blocks of a loop that sees all outcomes, how much the loop with a policy makes."""
    made = world(seed)
    mine, best = (followed(made, share, by)[-LAST:].sum() for share in (SHARE, None))
    return float(mine / best)


def costs(by: Estimators) -> dict[str, float]:
    """What exploring costs on the sample, whose conversions stay as they are, at its own capacity."""
    sample = Sample(rows=FIRST + COST_LEADS, seed=1)
    source = load_source(SOURCE).model_copy(update={"sample": sample, "recipe": RECIPE})
    made = World(source, load(source), generate(sample).score)
    model, rows = trained(made, np.arange(FIRST), FIRST), np.arange(FIRST, FIRST + COST_LEADS)
    scores, chances = model.score(made.leads, rows), made.chances[rows]
    value = source.economics.expected_value(chances)

    def profit(rule: Rule) -> float:
        return float(rule.probability(scores) @ value)

    without = profit(by.rule(scores, source.economics, 0.0))
    rules = {share: by.rule(scores, source.economics, share) for share in COSTS}
    found = {
        f"share of profit that exploring {share:.0%} costs": 1 - profit(rule) / without for share, rule in rules.items()
    }
    last = rules[max(rules)]
    explored = np.where(scores < last.line, last.explore, 0.0)
    return found | {"leads explored at 10 %, per 1,000": 1000 * float(explored.mean())}


def measure(seeds: int, by: Estimators = PRODUCT, tell: Progress = print) -> dict[str, float]:
    """The mean share of the profit over so many worlds, and what exploring costs."""
    shares = run_trials(partial(share_of_profit, by=by), range(1, seeds + 1), "segment world", tell)
    return {PROFIT: float(np.mean(shares)), **costs(by)}


def limits(quick: bool) -> Mapping[str, tuple[float, float]]:
    """The same for a quick look."""
    return LIMITS
