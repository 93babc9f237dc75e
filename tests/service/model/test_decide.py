"""Decision and band follow from the score, with the least score of each included."""

from service.lifecycle.export import to_onnx
from service.model.decide import Decider
from tests.service.forge import manifest, train


def test_a_lead_is_contacted_from_the_threshold_on_and_stands_in_the_first_band_that_it_reaches() -> None:
    decider = Decider(manifest(to_onnx(train()[0])))
    assert [decider.decision(score) for score in (0.39, 0.4, 1.0)] == ["skip", "contact", "contact"]
    assert [decider.band(score) for score in (1.0, 0.6, 0.59, 0.3, 0.29, 0.0)] == ["A", "A", "B", "B", "C", "C"]
