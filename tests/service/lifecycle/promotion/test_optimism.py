"""What a promoted challenger owes to luck is told from what it is worth."""

import numpy as np
import pytest

from service.history import Estimate
from service.lifecycle.promotion.gate import Contender, Rules, Verdict, decide
from service.lifecycle.promotion.optimism import optimism, true_gain
from service.model.bundle import Economics

MONEY = Economics(conversion_value=100, contact_cost=10)
ERROR = 0.01


def seen(value: float) -> Estimate:
    return Estimate(value, value - 1.96 * ERROR, value + 1.96 * ERROR)


def test_a_gain_far_above_the_limit_is_believed_and_one_at_the_limit_is_not() -> None:
    assert true_gain(seen(0.2), 0.004) == pytest.approx(0.2, abs=1e-4)
    assert true_gain(seen(0.024), 0.004) == 0
    assert 0 < true_gain(seen(0.03), 0.004) < 0.02


@pytest.mark.parametrize("true", [0.005, 0.015, 0.06])
def test_the_gains_that_pass_are_nearer_the_truth_than_those_seen(true: float) -> None:
    found = true + ERROR * np.random.default_rng(0).normal(size=4_000)
    passed = [seen(value) for value in found if value - 1.96 * ERROR > 0.004]
    estimated, shown = (float(np.mean(v)) for v in ([true_gain(g, 0.004) for g in passed], [g.value for g in passed]))
    assert abs(estimated - true) < max(abs(shown - true), 0.15 * ERROR)


def test_every_figure_has_its_share_of_the_luck_and_a_refused_challenger_has_none() -> None:
    draw = np.random.default_rng(1)
    odds = draw.normal(-2, 1.5, 3_000)
    target = (draw.random(3_000) < 1 / (1 + np.exp(-odds))).astype(np.int8)
    blind, keen = (
        Contender(1 / (1 + np.exp(-(odds + error * draw.normal(size=3_000)))), MONEY.threshold) for error in (1.0, 0.7)
    )
    rules = Rules(draws=200)
    verdict = decide(target, blind, keen, "roc_auc", MONEY, rules=rules)
    assert verdict.by == "gain"
    lucky = optimism(target, blind, keen, verdict, "roc_auc", MONEY, rules)
    assert 0 < lucky["roc_auc"] < verdict.figures["gain.roc_auc"].value
    assert lucky["pr_auc"] > 0 > lucky["brier"]
    assert optimism(target, blind, keen, Verdict(None, "", verdict.figures), "roc_auc", MONEY, rules) == {}
