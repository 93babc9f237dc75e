"""Columns that know the outcome are named, those that are merely good are not."""

import numpy as np

from service.lifecycle.training.leaks import auc_alone


def test_chance_does_not_look_like_a_leak_even_with_many_values() -> None:
    draw = np.random.default_rng(3)
    target = (draw.random(2000) < 0.1).astype(np.int8)
    names = np.array([f"company {i}" for i in draw.integers(0, 1500, 2000)], dtype=object)
    for column in (names, draw.normal(size=2000)):
        value, error = auc_alone(column, target) or (0, 0)
        assert 0.4 < value < 0.6
        assert 0.01 < error < 0.04
    value, _ = auc_alone(np.abs(target * 5 - draw.random(2000)), target) or (0, 0)
    assert value > 0.95
    assert auc_alone(names, np.eye(1, 2000, dtype=np.int8)[0]) is None
