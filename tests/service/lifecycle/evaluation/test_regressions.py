import numpy as np

from service.history import Estimate
from service.lifecycle.evaluation.regressions import against_benchmark, against_earlier, beyond_noise
from tests.facts import states


def around(value: float, error: float) -> Estimate:
    return Estimate(value, value - 1.96 * error, value + 1.96 * error)


def test_chance_alone_is_reported_in_one_of_twenty_evaluations() -> None:
    draw, names = np.random.default_rng(0), [f"f{i}" for i in range(10)]
    quiet = sum(not beyond_noise({name: (draw.normal(), 1.0) for name in names}) for _ in range(1000))
    assert 930 < quiet < 970


def test_better_and_worse_are_told_apart_by_figure() -> None:
    now = {"roc_auc": around(0.7, 0.01), "brier": around(0.2, 0.001), "f1": around(0.5, 0.1)}
    changes = against_benchmark(now, {"roc_auc": 0.8, "brier": 0.1, "f1": 0.6, "recall": 1.0}, 1000, 4000)
    ranking, calibration = changes
    states(ranking, "roc auc", "worse", "training", "0.7000", "0.8000")
    states(calibration, "brier", "worse", "training", "0.2000", "0.1000")
    assert "better" in against_benchmark(now, {"brier": 0.3}, 1000, 4000)[0]


def test_a_benchmark_of_few_leads_is_itself_uncertain() -> None:
    now = {"roc_auc": around(0.7, 0.01)}
    assert against_benchmark(now, {"roc_auc": 0.73}, 1000, 100_000)
    assert not against_benchmark(now, {"roc_auc": 0.73}, 1000, 500)


def test_both_evaluations_are_uncertain() -> None:
    now = {"roc_auc": around(0.7, 0.01)}
    assert against_earlier(now, {"roc_auc": around(0.73, 0.001)}, "before")
    assert not against_earlier(now, {"roc_auc": around(0.73, 0.02)}, "before")


def test_a_figure_without_any_spread_changed_if_it_differs() -> None:
    assert beyond_noise({"same": (0.0, 0.0), "other": (0.1, 0.0)}) == {"other"}
