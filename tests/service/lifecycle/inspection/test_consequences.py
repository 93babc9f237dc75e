"""What each metric would choose: both kinds of error, their cost and the profit add up, within the team's capacity."""

import numpy as np
import pytest

from service.history import Estimate
from service.lifecycle.data.source import Source, TrainingRecipe
from service.lifecycle.evaluation.bootstrap import figure, resamples
from service.lifecycle.evaluation.confidence import DRAWS
from service.lifecycle.evaluation.quality import figures
from service.lifecycle.inspection.consequences import Consequence, Consequences, consequences
from service.lifecycle.training.selection import Compared, Split
from service.model.bundle import Economics

LEADS = 2_000
MONEY = Economics(conversion_value=100, contact_cost=20, contacts_per_1000_leads=300)
SHARP, COARSE = "logistic_regression", "gradient_boosting"


@pytest.fixture(scope="module")
def compared() -> Compared:
    """One candidate knows each lead's chance of converting; the other knows of each whether it is above a half."""
    draw = np.random.default_rng(3)
    chance = draw.beta(1, 3, LEADS)
    target = (draw.random(LEADS) < chance).astype(np.int8)
    scores = {SHARP: chance, COARSE: np.where(chance > 0.5, 0.9, 0.1)}
    seen = {name: figures(target, each, MONEY.threshold, MONEY) for name, each in scores.items()}
    return Compared(Split(np.arange(0), np.arange(LEADS), "all"), target, {}, scores, seen)


def source(recipe: TrainingRecipe | None = None) -> Source:
    stated = {"name": "s", "path": "s.csv", "target_column": "won", "positive": "yes", "economics": MONEY}
    return Source.model_validate({**stated, "recipe": recipe or TrainingRecipe()})


@pytest.fixture(scope="module")
def found(compared: Compared) -> Consequences:
    return consequences(source(), compared)


def every(found: Consequences) -> list[Consequence]:
    return [*found.chosen.values(), *found.served.values()]


def test_profit_is_what_both_kinds_of_error_leave_of_contacting_just_those_who_convert(
    found: Consequences, compared: Compared
) -> None:
    most = 1000 * compared.target.mean() * (MONEY.conversion_value - MONEY.contact_cost)
    for c in every(found):
        assert c.profit.value + c.missed_cost + c.wasted_cost == pytest.approx(most)
        assert (c.missed_cost, c.wasted_cost) == pytest.approx((80 * c.missed, 20 * c.wasted))
        assert c.contacts - c.wasted + c.missed == pytest.approx(1000 * compared.target.mean())


def test_the_team_makes_what_is_asked_for_as_far_as_it_can(found: Consequences) -> None:
    assert all(c.contacts == pytest.approx(min(c.asked, 300)) for c in every(found))
    assert found.chosen["recall"].asked > 300
    assert found.chosen["precision"].asked < 300


def test_each_metric_takes_the_candidate_that_is_better_by_it(found: Consequences, compared: Compared) -> None:
    best = {m: max(compared.figures, key=lambda name: compared.figures[name][m]) for m in found.chosen}
    assert set(best.values()) == {SHARP, COARSE}
    assert {m: c.candidate for m, c in found.chosen.items()} == best
    assert {m: c.candidate for m, c in found.served.items()} == best


def test_a_candidate_that_the_recipe_names_is_taken_by_all(compared: Compared) -> None:
    named = consequences(source(TrainingRecipe(candidate=COARSE)), compared)
    assert {c.candidate for c in every(named)} == {COARSE}


def test_what_is_served_contacts_from_the_score_at_which_a_contact_pays(
    found: Consequences, compared: Compared
) -> None:
    for c in found.served.values():
        assert c.threshold == 0.2
        assert c.profit.value == pytest.approx(compared.figures[c.candidate]["profit"])


def test_a_choice_that_earns_clearly_less_does_so_beyond_chance_and_profit_less_than_itself_by_nothing(
    found: Consequences, compared: Compared
) -> None:
    less = found.beyond_profit["precision"]
    assert less.value == pytest.approx(found.chosen["precision"].profit.value - found.chosen["profit"].profit.value)
    assert less.low < less.value < less.high < 0
    one, other = (
        figure("profit", compared.target, compared.scores[c.candidate], c.threshold, MONEY)
        for c in (found.chosen["precision"], found.chosen["profit"])
    )
    drawn = np.concatenate([one(w) - other(w) for w in resamples(LEADS, DRAWS, 0)])
    ends = np.quantile(drawn, (0.025, 0.975)) - drawn.mean() + less.value
    assert (less.low, less.high) == pytest.approx(tuple(ends))
    assert found.beyond_profit["profit"] == Estimate(0.0, 0.0, 0.0)
    assert all(c.profit.low < c.profit.value < c.profit.high for c in every(found) if c.contacts > 10)


def test_at_random_as_many_are_contacted_as_the_team_can(found: Consequences, compared: Compared) -> None:
    assert found.at_random == pytest.approx(300 * (100 * compared.target.mean() - 20))
