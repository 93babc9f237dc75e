"""Standard errors from influences are those that resamples show."""

import numpy as np
import pytest

from service.lifecycle.evaluation.bootstrap import SIMPLE, figure, resamples
from service.lifecycle.evaluation.quality import Scores, Target, figures
from service.lifecycle.promotion.influence import Influence, influence
from service.model.bundle import Economics
from service.model.decide import contacts_made

MONEY = Economics(conversion_value=600, contact_cost=60, contacts_per_1000_leads=200)
DRAW = np.random.default_rng(3)
COUNT, THRESHOLD = 1_500, 0.12
CHANCE = DRAW.beta(1, 7, COUNT)
TARGET = (DRAW.random(COUNT) < CHANCE).astype(np.int8)
BLURRED = np.clip(CHANCE + DRAW.normal(0, 0.08, COUNT), 0.001, 1).round(2)  # with ties


def of(name: str, scores: Scores, target: Target = TARGET, weights: Scores | None = None) -> Influence:
    decided = scores >= THRESHOLD
    return influence(name, target, scores, decided, contacts_made(scores, decided, MONEY), MONEY, weights)


@pytest.mark.parametrize("name", SIMPLE)
def test_a_figure_and_its_standard_error_are_those_of_the_resamples(name: str) -> None:
    found, better = of(name, BLURRED), of(name, CHANCE)
    assert found.value == pytest.approx(figures(TARGET, BLURRED, THRESHOLD, MONEY)[name])
    assert found.weights @ found.each == pytest.approx(0, abs=1e-9 * max(1.0, abs(found.value)))
    drawn = [
        np.concatenate([figure(name, TARGET, scores, THRESHOLD, MONEY)(w) for w in resamples(COUNT, 1_000, 1)])
        for scores in (BLURRED, CHANCE)
    ]
    assert found.error == pytest.approx(drawn[0].std(), rel=0.08)
    assert better.less(found).error == pytest.approx((drawn[1] - drawn[0]).std(), rel=0.08)
    assert better.less(found).value == pytest.approx(better.value - found.value)


@pytest.mark.parametrize("name", SIMPLE)
def test_a_lead_of_weight_two_moves_a_figure_as_two_leads(name: str) -> None:
    weights = DRAW.integers(1, 4, COUNT)
    twice = np.repeat(np.arange(COUNT), weights)
    scores, decided = BLURRED, BLURRED >= THRESHOLD
    one = influence(name, TARGET, scores, decided, decided, MONEY, weights.astype(np.float64))
    each = influence(name, TARGET[twice], scores[twice], decided[twice], decided[twice], MONEY)
    assert one.value == pytest.approx(each.value)
    assert one.each[twice] == pytest.approx(each.each)
    assert one.error > each.error  # they are no more leads than before


def test_a_figure_of_nothing_is_0_and_certain() -> None:
    nobody = np.zeros(COUNT, dtype=bool)
    assert influence("precision", TARGET, BLURRED, nobody, nobody, MONEY).estimate.high == 0
    assert influence("roc_auc", np.zeros(COUNT, dtype=np.int8), BLURRED, nobody, nobody, MONEY).error == 0
    with pytest.raises(KeyError):
        influence("lift", TARGET, BLURRED, nobody, nobody, MONEY)
