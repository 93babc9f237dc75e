"""Decision and band follow from the score, with the least score of each included."""

import math

from service.lifecycle.training.onnx_export import to_onnx
from service.model.decide import Decider
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
