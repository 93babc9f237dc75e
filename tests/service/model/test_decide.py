"""Decision and band follow from the score, with the least score of each included."""

import math

import numpy as np
import pytest

from service.lifecycle.training.onnx_export import to_onnx
from service.model.bundle import Economics
from service.model.contact_rule import ContactRule
from service.model.decide import Decider, contact_list, contacts_made
from tests.service.forge import manifest, train


def test_a_lead_is_contacted_from_the_threshold_on_and_stands_in_the_first_band_that_it_reaches() -> None:
    decider = Decider(manifest(to_onnx(train()[0])))
    assert [decider.decision(score) for score in (0.39, 0.4, 1.0)] == ["skip", "contact", "contact"]
    assert [decider.band(score) for score in (1.0, 0.6, 0.59, 0.3, 0.29, 0.0)] == ["A", "A", "B", "B", "C", "C"]


def test_looked_up_a_score_means_the_same_at_each_step_and_beside_it() -> None:
    decider = Decider(manifest(to_onnx(train()[0])))
    steps = [0.0, 0.3, 0.4, 0.6, 1.0]
    scores = [near for step in steps for near in (math.nextafter(step, -1), step, math.nextafter(step, 2))]
    assert decider.meanings(scores) == [(decider.decision(score), decider.band(score)) for score in scores]
    assert len(set(decider.meanings(scores))) == 4


def test_a_rule_in_the_place_of_the_bundles_own_moves_the_line() -> None:
    own = manifest(to_onnx(train()[0]))
    decider = Decider(own, ContactRule(line=0.5, explore_probability=0.2))
    assert [decider.decision(score) for score in (0.49, 0.5)] == ["skip", "contact"]
    keys = [f"lead-{i}" for i in range(100)]
    assert decider.drawn(keys).tolist() == decider.rule.drawn("forge", keys)
    assert Decider(own).rule == ContactRule(line=own.threshold)


SCORES = np.round(np.random.default_rng(1).random(2_000), 2)  # with ties
DRAWN = np.random.default_rng(2).random(2_000) < 0.05


@pytest.mark.parametrize("capacity", [1, 100, 300, 1000])
@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.99, 1.0])
def test_a_list_holds_the_best_that_fit_and_all_drawn_ones_outside(capacity: float, threshold: float) -> None:
    money = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=capacity)
    ranked, explored = contact_list(SCORES, DRAWN, threshold, money)
    assert not (ranked & explored).any()
    assert (explored == DRAWN & ~ranked).all()
    pays = threshold <= SCORES
    assert not (ranked & ~pays).any()
    assert SCORES[ranked].min(initial=1) >= SCORES[~ranked & pays].max(initial=0)
    most = int(capacity * 2) if capacity < 1000 else int(pays.sum())
    contacts = int(ranked.sum() + explored.sum())
    assert contacts <= most or not ranked.any()
    # Another one would not fit, or pay.
    others = ~ranked & pays
    if others.any():
        following = np.flatnonzero(others)[np.argmax(SCORES[others])]
        assert contacts + (not DRAWN[following]) > most


@pytest.mark.parametrize(
    ("count", "capacity", "expected"),
    [(0, 400, 0), (1, 400, 1), (1, 1, 1), (2, 400, 1), (3, 500, 2), (4, 400, 2), (10, 400, 4), (10, 1000, 10)],
)
def test_a_short_list_holds_the_capacity_rounded_and_at_least_one_that_pays(
    count: int, capacity: float, expected: int
) -> None:
    money = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=capacity)
    scores, nobody = np.linspace(0.9, 0.5, count), np.zeros(count, dtype=bool)
    assert contact_list(scores, nobody, 0.5, money).ranked.tolist() == [place < expected for place in range(count)]
    assert not contact_list(scores, nobody, 0.95, money).ranked.any()


def test_a_list_without_exploration_holds_the_contacts_that_the_team_makes() -> None:
    money = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=300)
    ranked, explored = contact_list(SCORES, np.zeros(2_000, dtype=bool), 0.4, money)
    assert (ranked == contacts_made(SCORES, SCORES >= 0.4, money)).all()
    assert not explored.any()
    assert len(contact_list(np.empty(0), np.zeros(0, dtype=bool), 0.4, money).ranked) == 0


def test_each_day_has_its_own_capacity_and_what_is_left_of_a_contact_is_the_next_days() -> None:
    money = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=300)
    days = np.repeat([5, 3, 9], 5)  # 1.5 contacts each
    scores = np.tile([0.25, 0.45, 0.4, 0.35, 0.3], 3) + np.repeat([0.5, 0.0, 0.0], 5)
    made = contacts_made(scores, scores >= 0.2, money, days)
    assert {int(day): scores[made & (days == day)].tolist() for day in (3, 5, 9)} == {
        3: [0.45],
        5: [0.95, 0.9],
        9: [0.45],
    }
    assert (days[contacts_made(scores, scores >= 0.2, money)] == 5).all()
    assert contacts_made(scores, scores >= 0.92, money, days).sum() == 1
    nobody = contacts_made(np.array([]), np.array([], dtype=bool), money)
    assert nobody.tolist() == []
