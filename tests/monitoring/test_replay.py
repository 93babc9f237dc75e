"""Thirty days told by a seed, in a real Prometheus."""

import numpy as np
import pytest

from monitoring.proof.replay.firing import held


@pytest.mark.parametrize(
    ("true", "steps", "fires"),
    [
        ([0, 1, 1, 1, 0, 1], 0, [0, 1, 1, 1, 0, 1]),
        ([0, 1, 1, 1, 0, 1], 2, [0, 0, 0, 1, 0, 0]),
        ([1, 1, 1, 1], 2, [0, 0, 1, 1]),
    ],
)
def test_what_is_true_fires_once_it_was_so_for_its_hold(true: list[int], steps: int, fires: list[int]) -> None:
    assert held(np.array(true, bool), steps).astype(int).tolist() == fires
