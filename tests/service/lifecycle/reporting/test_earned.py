from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from service.history import Contacts, Estimate
from service.lifecycle.evaluation.selection import selection
from service.lifecycle.relations.bins import bin_of
from service.lifecycle.relations.outcomes import LabelRules
from service.lifecycle.reporting.earned import contacts
from service.model.bundle import Economics
from tests.facts import states
from tests.service.lifecycle.evaluation.test_selection import ALL, CONTACTED

MONEY = Economics(conversion_value=100, contact_cost=10)
LINE, SHARE, COUNT = 0.3, 0.1, 6_000


def world(seed: int, outcomes_of: str = "contacted", share: float = SHARE) -> tuple[dict[str, Any], float]:
    """Leads of a calibrated model, a row each, and what its contacts earn more in the mean than as many at random."""
    random = np.random.default_rng(seed)
    score = random.beta(1, 5, COUNT)
    above = score >= LINE
    # Days differ in their leads and in the chance of a contact: here better leads have the higher one.
    chance = above.sum() * share / (~above).sum() * np.where(score < 0.1, 0.7, 1.4)
    explored = ~above & (random.random(COUNT) < chance)
    called = above | explored
    known = called | (outcomes_of == "all")
    target = (random.random(COUNT) < score).astype(np.int64)
    weight = np.where(explored, 1 / np.maximum(chance, 1e-9), 1.0) if outcomes_of == "contacted" else np.ones(COUNT)
    rows = {
        "is_chosen": called,
        "contacted": called,
        "explored": explored,
        "is_known": known,
        "is_labelled": known,
        "score_bin": bin_of(score),
        "leads": np.ones(COUNT, dtype=np.int64),
        "score_sum": score,
        "converted": target,
        "weight_sum": weight,
        "square_sum": weight**2,
        "weighted_converted": weight * target,
    }
    explored_mean = np.average(score[~above], weights=chance[~above]) if share else 0.0
    return rows, 100 * (score[above].sum() + explored.sum() * explored_mean - called.sum() * score.mean())


def found(rows: dict[str, Any], rules: LabelRules) -> Contacts:
    counts = pa.table(rows)
    return contacts(counts, rules, MONEY, selection(counts, rules))


def test_the_estimate_holds_the_truth_where_contacted_leads_alone_have_outcomes() -> None:
    errors, held = [], 0
    for seed in range(400):
        rows, truth = world(seed)
        earned = found(rows, CONTACTED).earned
        assert earned
        errors.append(earned.value / truth - 1)
        held += earned.low <= truth <= earned.high
    assert abs(float(np.mean(errors))) < 0.02
    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize(("by_line", "explored"), [(1.0, 0.75), (0.75, 1.0)])
def test_outcomes_that_are_rarer_on_one_side_of_the_line_do_not_move_the_estimate(
    by_line: float, explored: float
) -> None:
    """A stratum counts as many leads as it stands for, not as many outcomes."""
    errors = []
    for seed in range(100):
        rows, _ = world(seed)
        score, random = rows["score_sum"], np.random.default_rng(seed + 10_000)
        called = rows["is_labelled"]
        heard = called & (random.random(COUNT) < np.where(rows["explored"], explored, by_line))
        earned = found(rows | {"is_known": heard, "is_labelled": heard}, CONTACTED).earned
        assert earned
        gain = rows["converted"][heard].sum() - heard.sum() * score.mean()
        errors.append(earned.value / (100 * gain) - 1)
    assert abs(float(np.mean(errors))) < 0.015


def test_the_estimate_holds_the_truth_where_all_leads_have_outcomes() -> None:
    results = [(found(rows, ALL).earned, truth) for rows, truth in (world(seed, "all") for seed in range(400))]
    held = [earned.low <= truth <= earned.high for earned, truth in results if earned]
    assert len(held) == 400
    assert 0.92 <= np.mean(held) <= 0.98


def test_contacts_are_counted_by_who_chose_them() -> None:
    rows, _ = world(1)
    rows["contacted"] = rows["contacted"].copy()
    chosen, by_line = np.flatnonzero(rows["is_chosen"]), np.flatnonzero(rows["is_chosen"] & ~rows["explored"])
    rows["contacted"][by_line[:5]] = False  # nobody was there
    rows["is_labelled"] = rows["is_labelled"] & rows["contacted"]
    others = np.flatnonzero(~rows["is_chosen"])[:7]
    rows["contacted"][others] = True  # sales knew them
    made = found(rows, CONTACTED._replace(contact_log=True))
    assert (made.leads, made.not_reached, made.from_files) == (COUNT, 5, True)
    assert {name: group.contacted for name, group in made.groups.items()} == {
        "line": len(by_line) - 5,
        "exploration": int(rows["explored"].sum()),
        "sales": 7,
    }
    assert made.cost == 10 * (len(chosen) - 5)
    assert made.revenue == 100 * rows["converted"][chosen][rows["contacted"][chosen]].sum()
    assert made.groups["line"].converted + made.groups["exploration"].converted == made.revenue / 100


@pytest.mark.parametrize(
    ("share", "kept", "facts"),
    [(0.0, COUNT, ["nobody is contacted at random"]), (0.02, COUNT, ["only", "50"]), (SHARE, 100, ["only", "50"])],
)
def test_without_enough_contacts_at_random_there_is_no_figure_and_a_reason(
    share: float, kept: int, facts: list[str]
) -> None:
    rows, _ = world(2, share=share)
    made = found({name: column[:kept] for name, column in rows.items()}, CONTACTED)
    assert made.earned is None
    states(made.no_estimate, *facts)


def test_without_outcomes_of_others_there_is_no_figure_whatever_the_source_says() -> None:
    rows, _ = world(3)
    made = found(rows | {"weight_sum": np.ones(COUNT), "square_sum": np.ones(COUNT)}, ALL)
    assert made.earned is None
    states(made.no_estimate, "fewer outcomes than the others")


def test_there_is_no_figure_where_most_leads_could_not_be_contacted_at_random() -> None:
    rows, _ = world(4)
    later = world(5, share=0.0)[0]
    both = {name: np.concatenate([column, *[later[name]] * 3]) for name, column in rows.items()}
    made = found(both, CONTACTED)
    assert made.earned is None
    states(made.no_estimate, "at random were possible")


def test_the_interval_is_not_empty_where_no_explored_lead_converted() -> None:
    rows, _ = world(6)
    won = rows["converted"] * ~rows["explored"]
    earned = found(rows | {"converted": won, "weighted_converted": won * rows["weight_sum"]}, CONTACTED).earned
    assert isinstance(earned, Estimate)
    assert earned.low < 0.95 * earned.value
