from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from service.history import OutcomeSelection
from service.lifecycle.evaluation.selection import selection
from service.lifecycle.relations.bins import bin_of
from service.lifecycle.relations.outcomes import LabelRules
from tests.facts import states
from tests.service.lifecycle.records import NOON

ALL = LabelRules(NOON, timedelta(days=30))
CONTACTED = ALL._replace(outcomes_of="contacted")
ABSENT = ALL._replace(complete=NOON)
LINE = 0.3


def leads(seed: int, count: int = 3_000) -> dict[str, Any]:
    """Leads of a calibrated model, all of which have an outcome."""
    random = np.random.default_rng(seed)
    score = random.beta(1, 5, count)
    return {
        "is_chosen": score >= LINE,
        "contacted": score >= LINE,
        "explored": np.zeros(count, dtype=bool),
        "score_bin": bin_of(score),
        "first_score": score,
        "is_known": np.ones(count, dtype=bool),
        "is_labelled": np.ones(count, dtype=bool),
        "is_ripe": np.ones(count, dtype=bool),
        "is_after": np.zeros(count, dtype=bool),
        "target": (random.random(count) < score).astype(np.int32),
    }


def judged(world: dict[str, Any], rules: LabelRules = ALL) -> OutcomeSelection:
    """One row a lead: the relation's rows are sums of these."""
    rows = world | {"leads": world["is_ripe"].astype(np.int64)}
    rows |= {"converted": world["target"], "score_sum": world["first_score"]}
    return selection(pa.table(rows), rules)


def test_outcomes_of_all_leads_depend_on_nothing_in_nearly_every_world() -> None:
    found = []
    for seed in range(60):
        world = leads(seed)
        world["is_known"] = np.random.default_rng(seed + 1_000).random(3_000) < 0.8
        found += [judged(world), judged(world | {"is_known": world["is_ripe"]}, ABSENT)]
    assert sum(each.depends_on_decision or each.depends_on_score for each in found) <= 1
    assert found[0].about.startswith("The figures are of all scored leads")


@pytest.mark.parametrize("answered", [1.0, 0.5])
def test_outcomes_of_contacted_leads_alone_are_found_in_every_world(answered: float) -> None:
    for seed in range(20):
        world = leads(seed)
        world["is_known"] = world["is_chosen"] & (np.random.default_rng(seed).random(3_000) < answered)
        found = judged(world)
        assert (found.depends_on_decision, found.depends_on_score) == (True, True)
    assert found.with_outcome_by_decision["skip"] == 0
    states(found.about, "not of all scored leads", "0% of the others", 'outcomes_of = "contacted"')


def test_a_difference_too_small_to_matter_is_none_however_many_leads_show_it() -> None:
    world = leads(1, 200_000)
    share = np.where(world["is_chosen"], 0.83, 0.8)
    world["is_known"] = np.random.default_rng(1).random(200_000) < share
    assert not judged(world).depends_on_decision
    world["is_known"] = np.random.default_rng(1).random(200_000) < share + np.where(world["is_chosen"], 0.04, 0)
    assert judged(world).depends_on_decision


def test_outcomes_that_high_scores_have_more_often_depend_on_the_score() -> None:
    world = leads(1)
    rank = np.argsort(np.argsort(world["first_score"])) / 3_000
    world["is_known"] = np.random.default_rng(1).random(3_000) < 0.5 + 0.3 * rank
    world["is_chosen"][:] = True
    found = judged(world)
    assert (found.depends_on_decision, found.depends_on_score) == (False, True)
    states(found.about, "highest scores", "lowest")
    assert len(found.with_outcome_by_tenth) == 10


def test_where_silence_is_a_loss_leads_that_nobody_contacts_are_found_by_what_their_scores_promise() -> None:
    for seed in range(20):
        world = leads(seed)
        assert not judged(world, ABSENT).depends_on_decision
        world["target"] = world["target"] * world["is_chosen"]
        found = judged(world, ABSENT)
        assert found.depends_on_decision
    states(found.about, "too high", 'outcomes_of = "contacted"')


def test_figures_of_contacted_leads_say_whether_chance_chose_some() -> None:
    world = leads(1)
    world["is_known"] = world["is_labelled"] = world["is_chosen"]
    states(judged(world, CONTACTED).about, "contacted leads alone", "exploration.share")
    drawn = ~world["is_chosen"] & (np.random.default_rng(1).random(3_000) < 0.05)
    world["explored"], world["is_labelled"] = drawn, world["is_chosen"] | drawn
    world["is_known"] = world["is_labelled"]
    found = judged(world, CONTACTED)
    assert found.explored == drawn.sum() > 50
    states(found.about, "all scored leads", f"{found.explored}", "at random")


def test_a_warning_says_where_only_the_best_of_the_leads_to_contact_are_contacted() -> None:
    world = leads(1)
    drawn = ~world["is_chosen"] & (np.random.default_rng(1).random(3_000) < 0.05)
    world["explored"], random = drawn, np.random.default_rng(2).random(3_000) < 0.6
    for reached, warned in ((world["first_score"] >= 1.3 * LINE, True), (random, False), (world["is_ripe"], False)):
        called = world["is_chosen"] & reached | drawn
        found = judged(world | {"contacted": called, "is_known": called, "is_labelled": called}, CONTACTED)
        assert ("nobody contacted" in found.about) == warned
    assert found.about.startswith("The figures estimate all scored leads")


def test_no_lead_is_no_evidence() -> None:
    found = judged({name: values[:0] for name, values in leads(1).items()})
    assert (found.leads, found.depends_on_decision, found.depends_on_score) == (0, False, False)
